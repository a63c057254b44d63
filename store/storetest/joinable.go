package storetest

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"

	"github.com/gowarren/warren/store"
)

var joinable = map[string]func(*bench){
	"AllIsOneTransaction": func(b *bench) {
		b.accounts(2)
		for _, ending := range []error{nil, errRefused} {
			err := b.db.InTx(b.ctx, func(ctx context.Context, outer *store.Tx) error {
				err := b.db.InTx(ctx, func(ctx context.Context, inner *store.Tx) error {
					if inner != outer {
						b.Error("what joined has a transaction of its own")
					}
					_, err := inner.Exec(ctx, `UPDATE accounts SET balance = balance + 1 WHERE id = 0`)
					return err
				})
				b.must(err)
				_, err = b.db.Exec(ctx, `UPDATE accounts SET balance = balance + 1 WHERE id = 1`)
				b.must(err)
				var sum int64
				b.must(b.db.QueryRow(ctx, `SELECT SUM(balance) FROM accounts`).Scan(&sum))
				if sum != 2 && ending == nil {
					b.Errorf("what joined sees a sum of %d; want 2", sum)
				}
				return ending
			}, store.Joinable)
			if !errors.Is(err, ending) {
				b.Errorf("got %v; want %v", err, ending)
			}
			if b.balance(b.db, 0) != 1 || b.balance(b.db, 1) != 1 {
				b.Errorf("balances are %d and %d; want 1 and 1", b.balance(b.db, 0), b.balance(b.db, 1))
			}
		}
	},
	"AnErrorInsideDoomsAll": func(b *bench) {
		b.accounts(1)
		err := b.db.InTx(b.ctx, func(ctx context.Context, tx *store.Tx) error {
			b.exec(tx, `UPDATE accounts SET balance = 5`)
			if err := b.db.InTx(ctx, func(context.Context, *store.Tx) error { return errRefused }); !errors.Is(err, errRefused) {
				b.Errorf("inside: got %v; want its own error", err)
			}
			if err := b.db.InTx(ctx, func(context.Context, *store.Tx) error { b.Error("it went on"); return nil }); !errors.Is(err, errRefused) {
				b.Errorf("the next: got %v; want the first one's error", err)
			}
			return nil // forgets it
		}, store.Joinable)
		if !errors.Is(err, errRefused) {
			b.Errorf("got %v; want the error from inside", err)
		}
		if got := b.balance(b.db, 0); got != 0 {
			b.Errorf("balance is %d; want 0", got)
		}
	},
	"AfterCommitWaitsForTheOuter": func(b *bench) {
		b.accounts(1)
		called := 0
		b.must(b.db.InTx(b.ctx, func(ctx context.Context, tx *store.Tx) error {
			b.must(b.db.InTx(ctx, func(_ context.Context, tx *store.Tx) error {
				tx.AfterCommit(func() { called++ })
				return nil
			}))
			if called != 0 {
				b.Error("called before anything was committed")
			}
			return nil
		}, store.Joinable))
		if called != 1 {
			b.Errorf("called %d times; want once", called)
		}
	},
	"TheWholeIsRunAgain": func(b *bench) {
		b.accounts(2)
		var outer, inner atomic.Int64
		transfer := func(from, to int, wait <-chan struct{}, there chan<- struct{}) error {
			return b.db.InTx(b.ctx, func(ctx context.Context, tx *store.Tx) error {
				outer.Add(1)
				return b.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
					inner.Add(1)
					if _, err := tx.Exec(ctx, `UPDATE accounts SET balance = balance - 1 WHERE id = ?`, from); err != nil {
						return err
					}
					if there != nil {
						close(there)
						there = nil
						<-wait
					}
					_, err := tx.Exec(ctx, `UPDATE accounts SET balance = balance + 1 WHERE id = ?`, to)
					return err
				})
			}, store.Joinable)
		}
		if b.sqlite() {
			b.must(transfer(0, 1, nil, nil)) // alone: nothing to meet
			return
		}
		first, second := make(chan struct{}), make(chan struct{})
		errs := together(2, func(i int) error {
			if i == 0 {
				return transfer(0, 1, second, first)
			}
			return transfer(1, 0, first, second)
		})
		b.must(errors.Join(errs...))
		if b.balance(b.db, 0) != 0 || b.balance(b.db, 1) != 0 {
			b.Errorf("balances are %d and %d after a deadlock", b.balance(b.db, 0), b.balance(b.db, 1))
		}
		if outer.Load() < 3 || outer.Load() != inner.Load() {
			b.Errorf("ran %d times outside, %d times inside; want the same, and once more for the deadlock", outer.Load(), inner.Load())
		}
	},
	"StricterInside": func(b *bench) {
		b.accounts(1)
		runs, after := 0, 0
		b.must(b.db.InTx(b.ctx, func(ctx context.Context, tx *store.Tx) error {
			runs++
			b.exec(tx, `UPDATE accounts SET balance = balance + 1`)
			return b.db.InTx(ctx, func(_ context.Context, tx *store.Tx) error {
				tx.AfterCommit(func() { after++ })
				return nil
			}, store.Serializable)
		}, store.Joinable))
		want := 2
		if b.sqlite() {
			want = 1 // always is
		}
		if runs != want || after != 1 || b.balance(b.db, 0) != 1 {
			b.Errorf("ran %d times, committed %d times, balance %d; want %d, 1, 1", runs, after, b.balance(b.db, 0), want)
		}
	},
	"OneAtATime": func(b *bench) {
		b.accounts(2)
		b.must(b.db.InTx(b.ctx, func(ctx context.Context, tx *store.Tx) error {
			rows, err := b.db.Query(ctx, `SELECT id FROM accounts`)
			b.must(err)
			rows.Next()
			var n int
			if err := b.db.QueryRow(ctx, `SELECT id FROM accounts`).Scan(&n); err == nil || !strings.Contains(err.Error(), "still being read") {
				b.Errorf("a statement while rows are read: %v", err)
			}
			b.must(rows.Close())
			errs := together(8, func(int) error {
				_, err := b.db.Exec(ctx, `UPDATE accounts SET balance = balance + 1 WHERE id = 0`)
				return err
			})
			return errors.Join(errs...) // in turn
		}, store.Joinable))
		if got := b.balance(b.db, 0); got != 8 {
			b.Errorf("balance is %d; want 8", got)
		}
	},
	"PanicInside": func(b *bench) {
		b.accounts(1)
		func() {
			defer func() { _ = recover() }()
			_ = b.db.InTx(b.ctx, func(ctx context.Context, tx *store.Tx) error {
				return b.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
					b.exec(tx, `UPDATE accounts SET balance = 7`)
					panic("boom")
				})
			}, store.Joinable)
		}()
		if got := b.balance(b.db, 0); got != 0 {
			b.Errorf("balance is %d after a panic", got)
		}
		b.exec(b.db, `UPDATE accounts SET balance = 8`) // nobody holds the row
	},
	"OthersStayOutside": func(b *bench) {
		b.accounts(1)
		other := b.open(store.Options{Name: "other"})
		b.must(b.db.InTx(b.ctx, func(ctx context.Context, tx *store.Tx) error {
			b.exec(tx, `UPDATE accounts SET balance = 5`)
			var n int64
			if err := other.QueryRow(ctx, `SELECT balance FROM accounts`).Scan(&n); err != nil || n != 0 {
				b.Errorf("another handle of the database sees %d (%v); want 0", n, err)
			}
			if _, err := other.Exec(ctx, `UPDATE accounts SET balance = 6`); !errors.Is(err, store.ErrElsewhere) {
				b.Errorf("a write elsewhere: got %v; want ErrElsewhere", err)
			}
			if err := other.InTx(ctx, func(context.Context, *store.Tx) error { return nil }, store.Joinable); !errors.Is(err, store.ErrElsewhere) {
				b.Errorf("a transaction elsewhere: got %v; want ErrElsewhere", err)
			}
			if err := b.db.Migrate(ctx, steps("SELECT 1")); !errors.Is(err, store.ErrNested) {
				b.Errorf("Migrate: got %v; want ErrNested", err)
			}
			return nil
		}, store.Joinable))
		err := b.db.InTx(b.ctx, func(ctx context.Context, tx *store.Tx) error {
			return b.db.InTx(ctx, func(context.Context, *store.Tx) error { return nil }, store.Joinable)
		})
		if !errors.Is(err, store.ErrNested) {
			b.Errorf("a joinable one within one that isn't: got %v; want ErrNested", err)
		}
	},
}
