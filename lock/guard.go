package lock

import (
	"context"
	"embed"
	"fmt"

	"github.com/gowarren/warren/store"
)

//go:embed migrations/*.sql
var migrations embed.FS

// maxGuardName is what the table takes.
const maxGuardName = 200

// Migrate makes the table that [Guard] keeps tokens in. A service whose setup
// calls App.Locks has it already.
func Migrate(ctx context.Context, db *store.DB) error {
	return db.MigrateSet(ctx, "warren.lock", migrations)
}

// Guard makes a transaction one of the lock's holder: it fails with [ErrLost] when
// a later holder has been here before, and keeps every earlier one out from its
// commit on. So what is written in such transactions only is written by one holder
// at a time, whatever the clocks and pauses of its processes.
//
// Tokens grow for as long as the engine keeps its data. Where an engine was begun
// anew, the rows of warren_lock_guards have to go, too.
func Guard(ctx context.Context, tx *store.Tx, name string, token int64) error {
	if name == "" || len(name) > maxGuardName {
		return fmt.Errorf("guard by lock %q: a name has 1 to %d bytes", name, maxGuardName)
	}
	err := guard(ctx, tx, name, token)
	if err != nil {
		return fmt.Errorf("guard by lock %s: %w", name, err)
	}
	return nil
}

func guard(ctx context.Context, tx *store.Tx, name string, token int64) error {
	added, err := tx.Exec(ctx, `INSERT INTO warren_lock_guards (name, token) VALUES (?, ?) ON CONFLICT (name) DO NOTHING`, name, token)
	if err != nil || added == 1 {
		return err
	}
	var seen int64
	if err := tx.QueryRow(ctx, `SELECT token FROM warren_lock_guards WHERE name = ? FOR UPDATE`, name).Scan(&seen); err != nil {
		return err
	}
	if seen > token {
		return fmt.Errorf("token %d came after %d: %w", token, seen, ErrLost)
	}
	if seen == token {
		return nil
	}
	_, err = tx.Exec(ctx, `UPDATE warren_lock_guards SET token = ? WHERE name = ?`, token, name)
	return err
}

// Guard makes a transaction one of this holder; see [Guard].
func (h *Held) Guard(ctx context.Context, tx *store.Tx) error { return Guard(ctx, tx, h.name, h.token) }
