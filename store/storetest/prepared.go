package storetest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"

	"github.com/gowarren/warren/store"
)

// prepared is run where transactions can be prepared, refused elsewhere.
var prepared = map[string]func(*bench){
	"CommitAndRollback": twoPhase(func(b *bench) {
		b.accounts(2)
		for _, end := range []struct {
			name   string
			finish func(context.Context, string) error
			want   int64
		}{{"gives:up", b.db.RollbackPrepared, 0}, {"goes_through.1", b.db.CommitPrepared, 5}} {
			b.prepare(end.name, 0, 5)
			if got := b.balance(b.db, 0); got != 0 {
				b.Errorf("%s: balance is %d before the end", end.name, got)
			}
			if names := b.waiting(); !slices.Equal(names, []string{end.name}) {
				b.Errorf("prepared are %q; want %q", names, end.name)
			}
			b.must(end.finish(b.ctx, end.name))
			if got := b.balance(b.db, 0); got != end.want || len(b.waiting()) != 0 {
				b.Errorf("%s: balance is %d, prepared are %q; want %d and none", end.name, got, b.waiting(), end.want)
			}
			for _, again := range []func(context.Context, string) error{b.db.CommitPrepared, b.db.RollbackPrepared} {
				if err := again(b.ctx, end.name); !errors.Is(err, store.ErrNotPrepared) {
					b.Errorf("%s: finished again: got %v; want ErrNotPrepared", end.name, err)
				}
			}
		}
	}),
	"FinishedByAnotherAfterADeath": twoPhase(func(b *bench) {
		b.accounts(1)
		cmd := b.process("prepare")
		out, err := cmd.CombinedOutput()
		if killed, ok := errors.AsType[*exec.ExitError](err); !ok || killed.Exited() {
			b.Fatalf("the process that prepares wasn't killed: %v: %s", err, out)
		}
		b.must(b.open(store.Options{Name: "other"}).CommitPrepared(b.ctx, "orphan"))
		if got := b.balance(b.db, 0); got != 7 {
			b.Errorf("balance is %d; want 7", got)
		}
	}),
	"FinishedByAnotherInstance": twoPhase(func(b *bench) {
		b.accounts(8)
		other := b.open(store.Options{Name: "other"})
		for id := range 8 {
			b.prepare(fmt.Sprint("handed-", id), id, 1)
		}
		b.must(errors.Join(together(8, func(id int) error { return other.CommitPrepared(b.ctx, fmt.Sprint("handed-", id)) })...))
		var sum int64
		b.must(b.db.QueryRow(b.ctx, `SELECT SUM(balance) FROM accounts`).Scan(&sum))
		if sum != 8 {
			b.Errorf("sum is %d; want 8", sum)
		}
	}),
	"NothingIsPreparedAfterAnError": twoPhase(func(b *bench) {
		b.accounts(1)
		for what, fn := range map[string]func(context.Context, *store.Tx) error{
			"refused": func(_ context.Context, tx *store.Tx) error {
				b.exec(tx, `UPDATE accounts SET balance = 5`)
				return errRefused
			},
			"forgotten error": func(ctx context.Context, tx *store.Tx) error {
				b.exec(tx, `UPDATE accounts SET balance = 5`)
				if _, err := tx.Exec(ctx, `INSERT INTO accounts (id, balance) VALUES (0, 0)`); err == nil {
					return errors.New("a key was given twice")
				}
				return nil
			},
			"joined error": func(ctx context.Context, tx *store.Tx) error {
				b.exec(tx, `UPDATE accounts SET balance = 5`)
				if _, err := b.db.Exec(ctx, `INSERT INTO accounts (id, balance) VALUES (0, 0)`); err == nil {
					return errors.New("a key was given twice")
				}
				return nil
			},
		} {
			if err := b.db.Prepare(b.ctx, "x", fn, store.Joinable); err == nil {
				b.Errorf("%s: prepared", what)
			}
			if names := b.waiting(); len(names) != 0 {
				b.Errorf("%s: prepared are %q", what, names)
			}
		}
		b.exec(b.db, `UPDATE accounts SET balance = 1`) // nobody holds the row
	}),
	"NamesAreTheDatabasesOwn": twoPhase(func(b *bench) {
		b.accounts(1)
		b.prepare("twice", 0, 1)
		err := b.db.Prepare(b.ctx, "twice", func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.Exec(ctx, `INSERT INTO accounts (id, balance) VALUES (9, 9)`)
			return err
		})
		if !errors.Is(err, store.ErrConflict) {
			b.Errorf("a name that is taken: got %v; want ErrConflict", err)
		}
		b.must(b.db.RollbackPrepared(b.ctx, "twice"))
		for _, name := range []string{"", "it's", strings.Repeat("x", 65), "a b", "ä"} {
			err := b.db.Prepare(b.ctx, name, func(context.Context, *store.Tx) error { return nil })
			if err == nil || !strings.Contains(err.Error(), "name") {
				b.Errorf("name %q: %v", name, err)
			}
		}
	}),
	"Serializable": twoPhase(func(b *bench) {
		b.accounts(1)
		b.must(b.db.Prepare(b.ctx, "strict", func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.Exec(ctx, `UPDATE accounts SET balance = 3`)
			return err
		}, store.Serializable))
		b.must(b.db.CommitPrepared(b.ctx, "strict"))
		if err := b.db.Prepare(b.ctx, "r", func(context.Context, *store.Tx) error { return nil }, store.ReadOnly); err == nil {
			b.Error("prepared one that only reads")
		}
	}),
	"ManyAtOnce": twoPhase(func(b *bench) {
		const n = 12
		b.accounts(n)
		errs := together(n, func(i int) error {
			name := fmt.Sprintf("many-%d", i)
			err := b.db.Prepare(b.ctx, name, func(ctx context.Context, tx *store.Tx) error {
				_, err := tx.Exec(ctx, `UPDATE accounts SET balance = 1 WHERE id = ?`, i)
				return err
			})
			if err != nil {
				return err
			}
			if i%2 == 0 {
				return b.db.CommitPrepared(b.ctx, name)
			}
			return b.db.RollbackPrepared(b.ctx, name)
		})
		b.must(errors.Join(errs...))
		var sum int64
		b.must(b.db.QueryRow(b.ctx, `SELECT SUM(balance) FROM accounts`).Scan(&sum))
		if sum != n/2 {
			b.Errorf("sum is %d; want %d", sum, n/2)
		}
	}),
}

// twoPhase runs test where the database prepares transactions, and otherwise
// wants it to say so.
func twoPhase(test func(*bench)) func(*bench) {
	return func(b *bench) {
		if !b.sqlite() {
			test(b)
			return
		}
		_, listed := b.db.Prepared(b.ctx)
		for what, err := range map[string]error{
			"CanPrepare":       b.db.CanPrepare(b.ctx),
			"Prepare":          b.db.Prepare(b.ctx, "x", func(context.Context, *store.Tx) error { b.Error("it ran"); return nil }),
			"CommitPrepared":   b.db.CommitPrepared(b.ctx, "x"),
			"RollbackPrepared": b.db.RollbackPrepared(b.ctx, "x"),
			"Prepared":         listed,
		} {
			if !errors.Is(err, store.ErrCannotPrepare) || !strings.Contains(err.Error(), "use PostgreSQL") {
				b.Errorf("%s: got %v; want a clear refusal", what, err)
			}
		}
	}
}

// prepare leaves a transaction prepared that adds to a balance.
func (b *bench) prepare(name string, id int, add int64) {
	b.Helper()
	b.must(b.db.Prepare(b.ctx, name, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE accounts SET balance = balance + ? WHERE id = ?`, add, id)
		return err
	}))
	b.Cleanup(func() { _ = b.db.RollbackPrepared(context.Background(), name) }) // or its database can't be dropped
}

func (b *bench) waiting() (names []string) {
	b.Helper()
	list, err := b.db.Prepared(b.ctx)
	b.must(err)
	for _, p := range list {
		names = append(names, p.Name)
	}
	return names
}

// prepareAndDie is a process that is killed with a transaction prepared.
func prepareAndDie(ctx context.Context, db *store.DB) error {
	err := db.Prepare(ctx, "orphan", func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE accounts SET balance = 7`)
		return err
	})
	if err != nil {
		return err
	}
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		return err
	}
	err = self.Kill()
	<-ctx.Done()
	return errors.Join(err, ctx.Err())
}
