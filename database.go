package warren

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/gowarren/warren/store"
)

// Database opens the service's own database and brings its schema up to the
// migrations. A database that is not there yet is waited for: the service is
// not ready meanwhile, and says why. A migration that is wrong is an error.
func (a *App) Database(ctx context.Context, migrations fs.FS) (*store.DB, error) {
	url := a.node.Env.Expand(a.node.Env.Database)
	db, err := store.Open(ctx, url, store.Options{
		Logger: a.Logger(), Metrics: a.Metrics(), Tracer: a.Tracer(),
	})
	if err != nil {
		return nil, err
	}
	a.OnStop(func(context.Context) error { return db.Close() })
	a.Check("database", db.Ping)
	if err := a.migrate(ctx, db, migrations); err != nil {
		return nil, fmt.Errorf("bring the database up to date: %w", err)
	}
	a.has(db)
	return db, nil
}

// migrate tries until the database is there.
func (a *App) migrate(ctx context.Context, db *store.DB, migrations fs.FS) error {
	return a.patiently(ctx, func(ctx context.Context) error { return db.Migrate(ctx, migrations) })
}

// patiently repeats what a database that is away keeps from being done.
func (a *App) patiently(ctx context.Context, do func(context.Context) error) error {
	const pause = 500 * time.Millisecond
	told := false
	for {
		err := do(ctx)
		if err == nil || !errors.Is(err, store.ErrUnavailable) && !errors.Is(err, store.ErrBusy) {
			return err
		}
		if !told {
			a.Logger().WarnContext(ctx, "waiting for the database", "because", err)
			told = true
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return errors.Join(err, context.Cause(ctx))
		}
	}
}
