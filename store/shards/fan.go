package shards

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/gowarren/warren/store"
)

// Each calls read for the shards of every database, in a transaction that reads,
// several at once. Each shard is read exactly once, where it is: read keeps to the
// shards that it is given, as in
//
//	WHERE shard IN (?, ?, …)
//
// for which [In] is made, since a database may have rows of shards that come or
// have gone. The databases are not read at the same moment. Read is called again
// when a transaction has to be repeated, or when shards moved meanwhile.
func (s *Shards) Each(ctx context.Context, read func(ctx context.Context, tx *store.Tx, shards []int) error) error {
	_, err := gather(ctx, s, func(ctx context.Context, tx *store.Tx, shards []int) (struct{}, error) {
		return struct{}{}, read(ctx, tx, shards)
	})
	return err
}

type reader[T any] func(ctx context.Context, tx *store.Tx, shards []int) (T, error)

// gather returns what is read of the databases, and then of those shards that
// weren't where they should have been.
func gather[T any](ctx context.Context, s *Shards, read reader[T]) ([]T, error) {
	groups, err := s.groups()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var (
		wait  sync.WaitGroup
		mu    sync.Mutex
		first error
		out   []T
		late  []int
		turns = make(chan struct{}, s.opts.Concurrency)
	)
	for id, group := range groups {
		wait.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			part, left, err := readOwned(ctx, s, id, group, read)
			mu.Lock()
			defer mu.Unlock()
			out, late = append(out, part...), append(late, left...)
			if err != nil && first == nil {
				first = err
				cancel() // the others are read for nothing
			}
		})
	}
	wait.Wait()
	if first != nil {
		return nil, first
	}
	for _, shard := range late {
		var part T
		err := s.InTx(ctx, shard, func(ctx context.Context, tx *store.Tx) (err error) {
			part, err = read(ctx, tx, []int{shard})
			return err
		}, store.ReadOnly)
		if err != nil {
			return nil, err
		}
		out = append(out, part)
	}
	return out, nil
}

// groups are the shards by the databases that have them.
func (s *Shards) groups() (map[string][]int, error) {
	groups := map[string][]int{}
	for shard := range s.count {
		p, err := s.place(shard)
		if err != nil {
			return nil, err
		}
		groups[p.member] = append(groups[p.member], shard)
	}
	return groups, nil
}

// readOwned reads those of the shards that a database owns, and returns the others.
func readOwned[T any](ctx context.Context, s *Shards, id string, shards []int, read reader[T]) (out []T, left []int, err error) {
	m, err := s.member(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	err = m.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		owned, err := ownedIn(ctx, tx)
		if err != nil {
			return fmt.Errorf("look which shards database %s has: %w", id, err)
		}
		var here []int
		out, left = nil, nil
		for _, shard := range shards {
			if owned[shard] {
				here = append(here, shard)
			} else {
				left = append(left, shard)
			}
		}
		if len(here) == 0 {
			return nil
		}
		part, err := read(ctx, tx, here)
		out = []T{part}
		return err
	}, store.ReadOnly)
	return out, left, err
}

func ownedIn(ctx context.Context, tx *store.Tx) (map[int]bool, error) {
	rows, err := tx.Query(ctx, `SELECT shard FROM warren_shard_owners WHERE state = ?`, stateOwned)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	out := map[int]bool{}
	for rows.Next() {
		var shard int
		if err := rows.Scan(&shard); err != nil {
			return nil, err
		}
		out[shard] = true
	}
	return out, rows.Err()
}

// In returns a condition that is true for the rows of the shards, and its arguments:
// "shard IN (?,?)".
func In(column string, shards []int) (condition string, args []any) {
	args = make([]any, len(shards))
	for i, shard := range shards {
		args[i] = shard
	}
	return fmt.Sprintf(`%s IN (%s)`, column, strings.TrimSuffix(strings.Repeat("?,", len(shards)), ",")), args
}

// Collect reads one page from all shards: read returns the first rows of the shards
// that it is given, in order and at most limit, and Collect merges them into the
// first rows of all. The next page is that of the rows after the last, so the order
// has no ties.
func Collect[T any](ctx context.Context, s *Shards, limit int, compare func(a, b T) int,
	read func(ctx context.Context, tx *store.Tx, shards []int) ([]T, error)) ([]T, error) {
	if limit < 1 {
		return nil, errors.New("a page has one row at the least")
	}
	parts, err := gather(ctx, s, read)
	if err != nil {
		return nil, err
	}
	out := slices.Concat(parts...)
	slices.SortFunc(out, compare)
	return out[:min(limit, len(out))], nil
}
