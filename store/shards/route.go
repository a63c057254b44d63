package shards

import (
	"context"
	"fmt"
	"hash/fnv"

	"github.com/gowarren/warren/internal/inshard"
	"github.com/gowarren/warren/store"
)

// Of returns the shard of a key. The answer for a key never changes.
func (s *Shards) Of(key string) int { return shardOf(key, s.count) }

// shardOf is agreed for ever: every row lies where it says.
func shardOf(key string, count int) int {
	h := fnv.New64a()
	_, _ = h.Write([]byte(key))
	// FNV alone spreads keys that differ at their ends badly in its low bits.
	n := h.Sum64()
	n ^= n >> 30
	n *= 0xbf58476d1ce4e5b9
	n ^= n >> 27
	n *= 0x94d049bb133111eb
	n ^= n >> 31
	return int(n % uint64(count))
}

// OfID returns the shard that an id carries.
func (s *Shards) OfID(id string) (int, error) {
	shard, _, err := ParseID(id)
	if err == nil && shard >= s.count {
		err = fmt.Errorf("%w: there is no shard %d", ErrID, shard)
	}
	return shard, err
}

// Shard is one shard, as something that transactions are run in, like a database.
type Shard struct {
	all    *Shards
	number int
}

// Shard returns the shard with the number.
func (s *Shards) Shard(number int) Shard { return Shard{s, number} }

// Number returns the shard's number.
func (s Shard) Number() int { return s.number }

// InTx is [Shards.InTx] of the shard.
func (s Shard) InTx(ctx context.Context, fn func(ctx context.Context, tx *store.Tx) error, opts ...store.TxOption) error {
	return s.all.InTx(ctx, s.number, fn, opts...)
}

// All returns every shard.
func (s *Shards) All() []Shard {
	out := make([]Shard, s.count)
	for i := range out {
		out[i] = Shard{s, i}
	}
	return out
}

// Database returns the database that has the shard, as far as is known here. It may
// be out of date at once: what must be right is done by InTx.
func (s *Shards) Database(ctx context.Context, shard int) (*store.DB, error) {
	p, m, err := s.where(ctx, shard)
	if err != nil {
		return nil, err
	}
	inshard.Asked(ctx, p.epoch > 1) // each attempt to move it counts
	return m.db, nil
}
