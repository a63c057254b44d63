// Package inshard tells what runs within a transaction of which shard that is, so
// that the rows it leaves there move with the shard; and who asks for the database
// of a shard whether it was ever another one.
package inshard

import (
	"context"
	"sync/atomic"
)

// None is the number of what belongs to no shard.
const None = -1

type key struct{}

// With returns a context of a transaction of the shard.
func With(ctx context.Context, shard int) context.Context {
	return context.WithValue(ctx, key{}, shard)
}

// Of returns the shard of the context's transaction, or [None].
func Of(ctx context.Context) int {
	if shard, ok := ctx.Value(key{}).(int); ok {
		return shard
	}
	return None
}

// History is what was learnt of the shards whose databases were asked for.
type History struct{ asked, moved atomic.Bool }

type historyKey struct{}

// Asking returns a context with which questions for databases of shards leave what
// is known of these.
func Asking(ctx context.Context) (context.Context, *History) {
	h := &History{}
	return context.WithValue(ctx, historyKey{}, h), h
}

// Asked notes that somebody asked for the database of a shard.
func Asked(ctx context.Context, moved bool) {
	h, ok := ctx.Value(historyKey{}).(*History)
	if !ok {
		return
	}
	h.asked.Store(true)
	if moved {
		h.moved.Store(true)
	}
}

// NeverMoved tells whether shards were asked for, all of which are where they always
// were.
func (h *History) NeverMoved() bool { return h.asked.Load() && !h.moved.Load() }
