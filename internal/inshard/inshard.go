// Package inshard tells what runs within a transaction of which shard that is, so
// that the rows it leaves there move with the shard.
package inshard

import "context"

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
