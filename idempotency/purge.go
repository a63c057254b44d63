package idempotency

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gowarren/warren/store"
)

const (
	purgeEvery = time.Minute
	purgeSize  = 1000 // rows in one transaction
)

// Run deletes, until the context ends, what is kept no longer in the databases
// that all returns.
func (k *Keys) Run(ctx context.Context, all func() []Database) error {
	for {
		if err := k.Purge(ctx, all()...); err != nil && ctx.Err() == nil {
			k.opts.Logger.WarnContext(ctx, "old idempotency keys were not deleted", "error", err)
		}
		timer := time.NewTimer(purgeEvery)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
	}
}

// Purge deletes what is kept no longer, once.
func (k *Keys) Purge(ctx context.Context, databases ...Database) error {
	var errs []error
	for _, db := range databases {
		if err := purge(ctx, db); err != nil {
			errs = append(errs, fmt.Errorf("purge idempotency keys: %w", err))
		}
	}
	return errors.Join(errs...)
}

func purge(ctx context.Context, db Database) error {
	for _, state := range []string{stateDone, stateRunning} {
		for {
			var deleted int64
			err := db.InTx(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
				deleted, err = purgeSome(ctx, tx, shardOf(db), state)
				return err
			})
			if err != nil {
				return err
			}
			if deleted < purgeSize {
				break
			}
		}
	}
	return nil
}

func purgeSome(ctx context.Context, tx *store.Tx, shard int, state string) (int64, error) {
	// A claim whose time is over is worth nothing; that one with a wrong clock
	// made it is forgiven a while.
	before := time.Now()
	if state == stateRunning {
		before = before.Add(-time.Hour)
	}
	var edge *int64
	err := tx.QueryRow(ctx, fmt.Sprintf(`SELECT MAX(at) FROM (SELECT until_at AS at FROM warren_idempotency
		WHERE shard = ? AND state = ? AND until_at < ? ORDER BY until_at LIMIT %d) w`, purgeSize), shard, state, before).Scan(&edge)
	if err != nil || edge == nil {
		return 0, err
	}
	return tx.Exec(ctx, `DELETE FROM warren_idempotency WHERE shard = ? AND state = ? AND until_at <= ?`, shard, state, *edge)
}
