package shards

import "context"

// Failpoint has f called at the steps of a move.
func Failpoint(o *Options, f func(at string)) { o.failpoint = f }

// Number has the home number a database.
func Number(ctx context.Context, s *Shards, id, address string) (int, error) {
	return s.number(ctx, id, address)
}
