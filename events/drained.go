package events

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gowarren/warren/store"
)

const drainedEvery = 10 * time.Millisecond

// Migrate makes the tables of events in a database. [Bus.Run] does so for those
// that the bus knows then; one that joins later is brought up to date before.
func Migrate(ctx context.Context, db *store.DB) error {
	return db.MigrateSet(ctx, "warren.events", migrations)
}

// Drained returns when the broker has, for good, all events that are committed in
// the database as of now: what is published after that, wherever it is, comes later
// than they do. It ends with ctx, too.
func (b *Bus) Drained(ctx context.Context, db *store.DB) error {
	err := b.drained(ctx, db)
	if err != nil {
		return fmt.Errorf("wait until the events of database %q are published: %w", db.Name(), err)
	}
	return nil
}

func (b *Bus) drained(ctx context.Context, db *store.DB) error {
	p, ok := db.Attached(busKey{}).(*place)
	if !ok || p.Bus != b {
		return errors.New("the bus does not know it")
	}
	if err := b.Ready(ctx); err != nil {
		return err
	}
	var last *int64
	if err := db.QueryRow(ctx, `SELECT MAX(seq) FROM warren_outbox`).Scan(&last); err != nil || last == nil {
		return err
	}
	for {
		left, err := p.unsettled(ctx, *last)
		if err != nil || left == 0 {
			return err
		}
		wake(p.woken)
		if !pause(ctx, drainedEvery) {
			return ctx.Err()
		}
	}
}

// unsettled tells whether of the rows up to one there are some that the broker has
// not, or not on its disk yet.
func (p *place) unsettled(ctx context.Context, last int64) (n int, err error) {
	err = p.db.QueryRow(ctx, `SELECT COUNT(*) FROM (SELECT seq FROM warren_outbox WHERE state = 0 AND seq <= ? LIMIT 1) w`, last).Scan(&n)
	if err != nil || n > 0 || p.can.Unsynced == 0 {
		return n, err
	}
	err = p.db.QueryRow(ctx, `SELECT COUNT(*) FROM (SELECT seq FROM warren_outbox WHERE state = 1 AND sent_at > ? AND seq <= ? LIMIT 1) w`,
		time.Now().Add(-p.can.Unsynced), last).Scan(&n)
	return n, err
}
