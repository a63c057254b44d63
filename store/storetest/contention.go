package storetest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/gowarren/warren/store"
)

// adds is how often each writer adds one.
const adds = 25

var contention = map[string]func(*bench){
	"ManyGoroutines": func(b *bench) {
		b.accounts(1)
		const writers = 32
		for _, err := range together(writers, func(int) error { return addMany(b.ctx, b.db) }) {
			b.must(err)
		}
		if got := b.balance(b.db, 0); got != writers*adds {
			b.Errorf("balance is %d; want %d", got, writers*adds)
		}
	},
	"ManyProcesses": func(b *bench) {
		b.accounts(1)
		b.processes(4, "add")
		if got := b.balance(b.db, 0); got != 4*adds {
			b.Errorf("balance is %d; want %d", got, 4*adds)
		}
	},
	"SingleStatements": func(b *bench) {
		b.accounts(1)
		other := b.open(store.Options{Name: "other"})
		for _, err := range together(16, func(i int) error {
			db := []*store.DB{b.db, other}[i%2]
			for range adds {
				if _, err := db.Exec(b.ctx, `UPDATE accounts SET balance = balance + 1 WHERE id = ?`, 0); err != nil {
					return err
				}
			}
			return nil
		}) {
			b.must(err)
		}
		if got := b.balance(b.db, 0); got != 16*adds {
			b.Errorf("balance is %d; want %d", got, 16*adds)
		}
	},
	"Deadlock": func(b *bench) {
		b.accounts(2)
		meet := newMeeting()
		attempts := make([]int, 2)
		for _, err := range together(2, func(i int) error {
			return b.db.InTx(b.ctx, func(ctx context.Context, tx *store.Tx) error {
				attempts[i]++
				if _, err := tx.Exec(ctx, `UPDATE accounts SET balance = balance + 1 WHERE id = ?`, i); err != nil {
					return err
				}
				if !b.sqlite() && attempts[i] == 1 {
					meet.wait(b.ctx) // both hold one, and want the other's
				}
				_, err := tx.Exec(ctx, `UPDATE accounts SET balance = balance + 1 WHERE id = ?`, 1-i)
				return err
			})
		}) {
			b.must(err)
		}
		if b.balance(b.db, 0) != 2 || b.balance(b.db, 1) != 2 {
			b.Errorf("balances are %d and %d; want 2", b.balance(b.db, 0), b.balance(b.db, 1))
		}
		if total := attempts[0] + attempts[1]; !b.sqlite() && total < 3 {
			b.Errorf("%d attempts: nothing was repeated, so there was no deadlock", total)
		}
	},
	"SerializationFailure": func(b *bench) {
		b.accounts(2)
		meet := newMeeting()
		attempts := make([]int, 2)
		// Each reads both and writes one: together they could break a rule that
		// each alone obeys (write skew). At most one account may be emptied.
		b.exec(b.db, `UPDATE accounts SET balance = 1`)
		for _, err := range together(2, func(i int) error {
			return b.db.InTx(b.ctx, func(ctx context.Context, tx *store.Tx) error {
				attempts[i]++
				var sum int64
				if err := tx.QueryRow(ctx, `SELECT SUM(balance) FROM accounts`).Scan(&sum); err != nil {
					return err
				}
				if !b.sqlite() && attempts[i] == 1 {
					meet.wait(b.ctx)
				}
				if sum < 2 {
					return nil
				}
				_, err := tx.Exec(ctx, `UPDATE accounts SET balance = 0 WHERE id = ?`, i)
				return err
			}, store.Serializable)
		}) {
			b.must(err)
		}
		if sum := b.balance(b.db, 0) + b.balance(b.db, 1); sum != 1 {
			b.Errorf("%d is left; want 1", sum)
		}
		if total := attempts[0] + attempts[1]; !b.sqlite() && total < 3 {
			b.Errorf("%d attempts: nothing was repeated", total)
		}
	},
	"GivesUp": func(b *bench) {
		b.accounts(1)
		if b.sqlite() {
			b.givesUpOnLockedFile()
			return
		}
		b.givesUpOnConflicts()
	},
	"ReadersDoNotWaitForTheWriter": func(b *bench) {
		b.accounts(1)
		b.must(b.db.InTx(b.ctx, func(_ context.Context, tx *store.Tx) error {
			b.exec(tx, `UPDATE accounts SET balance = 5`)
			if got := b.balance(b.db, 0); got != 0 {
				b.Errorf("a reader saw %d, which isn't committed", got)
			}
			return nil
		}))
	},
	"ProcessKilledInATransaction": func(b *bench) {
		b.accounts(1)
		cmd := b.process("hold")
		out, err := cmd.StdoutPipe()
		b.must(err)
		b.must(cmd.Start())
		if line, err := bufio.NewReader(out).ReadString('\n'); line != "holding\n" {
			b.Fatalf("the process said %q (%v)", line, err)
		}
		b.must(cmd.Process.Kill())
		_ = cmd.Wait()
		b.exec(b.db, `UPDATE accounts SET balance = balance + 1`)
		if got := b.balance(b.db, 0); got != 1 {
			b.Errorf("balance is %d; want 1", got)
		}
	},
}

func addMany(ctx context.Context, db *store.DB) error {
	for range adds {
		err := db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
			var n int64
			if err := tx.QueryRow(ctx, `SELECT balance FROM accounts WHERE id = ? FOR UPDATE`, 0).Scan(&n); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, `UPDATE accounts SET balance = ? WHERE id = ?`, n+1, 0)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// holdAndHang is the process that is killed in the middle of a transaction.
func holdAndHang(ctx context.Context, db *store.DB) error {
	return db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if _, err := tx.Exec(ctx, `UPDATE accounts SET balance = 100`); err != nil {
			return err
		}
		fmt.Println("holding")
		<-ctx.Done()
		return ctx.Err()
	})
}

func (b *bench) givesUpOnLockedFile() {
	impatient, err := store.Open(b.ctx, b.address+"?busy_timeout=50ms", store.Options{})
	b.must(err)
	defer impatient.Close()
	b.must(b.db.InTx(b.ctx, func(_ context.Context, tx *store.Tx) error {
		err := impatient.InTx(b.ctx, func(context.Context, *store.Tx) error { return nil })
		if !errors.Is(err, store.ErrBusy) {
			b.Errorf("got %v; want ErrBusy", err)
		}
		if _, err := impatient.Exec(b.ctx, `DELETE FROM accounts`); !errors.Is(err, store.ErrBusy) {
			b.Errorf("got %v; want ErrBusy", err)
		}
		return nil
	}))
	b.must(impatient.InTx(b.ctx, func(context.Context, *store.Tx) error { return nil }))
}

// givesUpOnConflicts changes the row behind the transaction's back, every time.
func (b *bench) givesUpOnConflicts() {
	attempts := 0
	err := b.db.InTx(b.ctx, func(ctx context.Context, tx *store.Tx) error {
		attempts++
		return errContended(ctx, tx, b)
	}, store.Serializable)
	if !errors.Is(err, store.ErrBusy) || attempts != 10 {
		b.Errorf("got %v after %d attempts; want ErrBusy after 10", err, attempts)
	}
}

// errContended makes the transaction lose: on PostgreSQL by a change since it
// began, on MariaDB by a deadlock with a transaction that has done more.
func errContended(ctx context.Context, tx *store.Tx, b *bench) error {
	var n int64
	if err := tx.QueryRow(ctx, `SELECT balance FROM accounts WHERE id = 0`).Scan(&n); err != nil {
		return err
	}
	if b.db.Dialect() == store.PostgreSQL {
		b.exec(b.db, `UPDATE accounts SET balance = balance + 1`)
		_, err := tx.Exec(ctx, `UPDATE accounts SET balance = 0`)
		return err
	}
	return b.loseDeadlock(ctx, tx)
}

func (b *bench) loseDeadlock(ctx context.Context, tx *store.Tx) error {
	heavy := make(chan error, 1)
	ready := make(chan struct{})
	go func() {
		heavy <- b.db.InTx(b.ctx, func(ctx context.Context, rival *store.Tx) error {
			for id := 1000; id < 1040; id++ { // the server sacrifices who changed less
				if _, err := rival.Exec(ctx, `INSERT INTO accounts (id, balance) VALUES (?, 0)`, id); err != nil {
					return err
				}
			}
			close(ready)
			if _, err := rival.Exec(ctx, `UPDATE accounts SET balance = balance + 1 WHERE id = 0`); err != nil {
				return err
			}
			return errRefused
		})
	}()
	select {
	case <-ready:
	case <-b.ctx.Done():
		return b.ctx.Err()
	}
	_, err := tx.Exec(ctx, `UPDATE accounts SET balance = 0 WHERE id = 1039`)
	if rival := <-heavy; !errors.Is(rival, errRefused) {
		b.Errorf("the rival ended with %v", rival)
	}
	return err
}

// meeting lets two goroutines go on when both are there.
type meeting struct {
	mu   sync.Mutex
	here int
	both chan struct{}
}

func newMeeting() *meeting { return &meeting{both: make(chan struct{})} }

func (m *meeting) wait(ctx context.Context) {
	m.mu.Lock()
	if m.here++; m.here == 2 {
		close(m.both)
	}
	m.mu.Unlock()
	select {
	case <-m.both:
	case <-ctx.Done():
	}
}
