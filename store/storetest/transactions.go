package storetest

import (
	"context"
	"errors"
	"strings"

	"github.com/gowarren/warren/store"
)

var errRefused = errors.New("refused by the rules")

var transactions = map[string]func(*bench){
	"CommitAndRollback": func(b *bench) {
		b.accounts(1)
		for _, ending := range []error{nil, errRefused} {
			err := b.db.InTx(b.ctx, func(ctx context.Context, tx *store.Tx) error {
				b.exec(tx, `UPDATE accounts SET balance = balance + 1`)
				if got := b.balance(tx, 0); got < 1 {
					b.Errorf("the transaction doesn't see its own change: %d", got)
				}
				return ending
			})
			if !errors.Is(err, ending) {
				b.Errorf("got %v; want %v", err, ending)
			}
		}
		if got := b.balance(b.db, 0); got != 1 {
			b.Errorf("balance is %d; want 1", got)
		}
	},
	"AfterCommit": func(b *bench) {
		b.accounts(1)
		type key struct{}
		b.db.Attach(key{}, "part")
		var called, again int
		for _, ending := range []error{nil, errRefused} {
			again = 0
			err := b.db.InTx(b.ctx, func(_ context.Context, tx *store.Tx) error {
				if tx.Attached(key{}) != "part" || tx.Attached("other") != nil {
					b.Error("what was attached isn't found")
				}
				tx.AfterCommit(func() { called++; again = 1 })
				b.exec(tx, `UPDATE accounts SET balance = balance + 1`)
				if again != 0 {
					b.Error("called before the commit")
				}
				return ending
			})
			if !errors.Is(err, ending) {
				b.Errorf("got %v; want %v", err, ending)
			}
		}
		if called != 1 {
			b.Errorf("called %d times after one commit and one rollback", called)
		}
	},
	"Panic": func(b *bench) {
		b.accounts(1)
		func() {
			defer func() {
				if recover() != "boom" {
					b.Error("the panic didn't come through")
				}
			}()
			_ = b.db.InTx(b.ctx, func(ctx context.Context, tx *store.Tx) error {
				b.exec(tx, `UPDATE accounts SET balance = 7`)
				panic("boom")
			})
		}()
		if got := b.balance(b.db, 0); got != 0 {
			b.Errorf("balance is %d after a panic", got)
		}
		b.exec(b.db, `UPDATE accounts SET balance = 8`) // nobody holds the row
	},
	"NestedIsRefused": func(b *bench) {
		b.accounts(1)
		other := b.open(store.Options{Name: "other"})
		err := b.db.InTx(b.ctx, func(ctx context.Context, tx *store.Tx) error {
			var id int
			for what, err := range map[string]error{
				"InTx":     b.db.InTx(ctx, func(context.Context, *store.Tx) error { return nil }),
				"QueryRow": b.db.QueryRow(ctx, `SELECT id FROM accounts`).Scan(&id),
				"Migrate":  b.db.Migrate(ctx, steps("SELECT 1")),
			} {
				if !errors.Is(err, store.ErrNested) {
					b.Errorf("%s: got %v; want ErrNested", what, err)
				}
			}
			if _, err := b.db.Exec(ctx, `DELETE FROM accounts`); !errors.Is(err, store.ErrNested) {
				b.Errorf("Exec: got %v; want ErrNested", err)
			}
			return other.QueryRow(ctx, `SELECT id FROM accounts`).Scan(&id) // another database's business
		})
		b.must(err)
	},
	"NothingGoesOnAfterAnError": func(b *bench) {
		b.accounts(1)
		err := b.db.InTx(b.ctx, func(ctx context.Context, tx *store.Tx) error {
			b.exec(tx, `UPDATE accounts SET balance = 5`)
			if _, err := tx.Exec(ctx, `INSERT INTO accounts (id, balance) VALUES (0, 0)`); !errors.Is(err, store.ErrConflict) {
				b.Errorf("got %v; want ErrConflict", err)
			}
			if _, err := tx.Exec(ctx, `UPDATE accounts SET balance = 6`); err == nil || !strings.Contains(err.Error(), "over since") {
				b.Errorf("a statement after an error: %v", err)
			}
			return nil // forgets the error
		})
		if !errors.Is(err, store.ErrConflict) {
			b.Errorf("got %v; want ErrConflict", err)
		}
		if got := b.balance(b.db, 0); got != 0 {
			b.Errorf("balance is %d; want 0", got)
		}
	},
	"NoRowsIsNoError": func(b *bench) {
		b.accounts(1)
		b.must(b.db.InTx(b.ctx, func(ctx context.Context, tx *store.Tx) error {
			var n int
			if err := tx.QueryRow(ctx, `SELECT id FROM accounts WHERE id = ?`, 9).Scan(&n); !errors.Is(err, store.ErrNoRows) {
				b.Errorf("got %v; want ErrNoRows", err)
			}
			_, err := tx.Exec(ctx, `INSERT INTO accounts (id, balance) VALUES (9, 0)`)
			return err
		}))
	},
	"ReadOnly": func(b *bench) {
		b.accounts(1)
		other := b.open(store.Options{Name: "other"})
		b.must(b.db.InTx(b.ctx, func(ctx context.Context, tx *store.Tx) error {
			before := b.balance(tx, 0)
			b.exec(other, `UPDATE accounts SET balance = balance + 1`)
			if after := b.balance(tx, 0); after != before {
				b.Errorf("the state changed from %d to %d while it was read", before, after)
			}
			return nil
		}, store.ReadOnly))
		err := b.db.InTx(b.ctx, func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.Exec(ctx, `UPDATE accounts SET balance = 50`)
			return err
		}, store.ReadOnly)
		if err == nil || b.balance(b.db, 0) == 50 {
			b.Errorf("a read-only transaction wrote (%v)", err)
		}
		b.exec(b.db, `UPDATE accounts SET balance = 60`)
	},
	"CancelledWhileItRuns": func(b *bench) {
		b.accounts(1)
		ctx, cancel := context.WithCancel(b.ctx)
		err := b.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
			b.exec(tx, `UPDATE accounts SET balance = 5`)
			cancel()
			return nil
		})
		if !errors.Is(err, context.Canceled) {
			b.Errorf("got %v; want cancelled", err)
		}
		b.exec(b.db, `UPDATE accounts SET balance = balance + 1`)
		if got := b.balance(b.db, 0); got != 1 {
			b.Errorf("balance is %d; want 1", got)
		}
	},
	"OneStatementAtATime": func(b *bench) {
		b.accounts(3)
		b.must(b.db.InTx(b.ctx, func(ctx context.Context, tx *store.Tx) error {
			rows, err := tx.Query(ctx, `SELECT id FROM accounts`)
			b.must(err)
			rows.Next()
			if _, err := tx.Exec(ctx, `UPDATE accounts SET balance = 1`); err == nil || !strings.Contains(err.Error(), "still being read") {
				b.Errorf("a statement while rows are read: %v", err)
			}
			b.must(rows.Close())
			_, err = tx.Exec(ctx, `UPDATE accounts SET balance = 1`)
			return err
		}))
	},
	"TransactionEndsWithItsFunction": func(b *bench) {
		b.accounts(1)
		var kept *store.Tx
		b.must(b.db.InTx(b.ctx, func(_ context.Context, tx *store.Tx) error { kept = tx; return nil }))
		if _, err := kept.Exec(b.ctx, `UPDATE accounts SET balance = 5`); err == nil {
			b.Error("a transaction was used after its end")
		}
	},
}
