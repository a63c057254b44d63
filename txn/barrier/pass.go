package barrier

import (
	"context"
	"errors"
	"fmt"
	"time"

	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
	"github.com/gowarren/warren/internal/inshard"
	"github.com/gowarren/warren/rpc"
	"github.com/gowarren/warren/store"
)

// verdict is whether an operation is to be done.
type verdict int

const (
	fresh     verdict = iota // it is, now
	duplicate                // it was done before
	empty                    // what it would undo never took place, and now never will
)

func (v verdict) String() string { return [...]string{"first", "duplicate", "empty"}[v] }

// clocks is by how much those of a coordinator and a participant may differ.
const clocks = time.Minute

// pass makes the two inserts that decide whether the branch's operation is to be
// done; step tells several within one handler apart. It is an error if the
// operation is barred.
func pass(ctx context.Context, tx *store.Tx, b Branch, step string, keep time.Duration) (verdict, error) {
	what, now := op(b.Op), time.Now()
	begins := b.Op == txnv1.Op_OP_TRY || b.Op == txnv1.Op_OP_PREPARE
	if begins && !b.Deadline.IsZero() && now.After(b.Deadline.Add(clocks)) {
		return 0, refuse(txnv1.Reason_TRANSACTION_ABORTED, "%s of branch %q came after the transaction's end", what, b.Name)
	}
	forgotten := b.forgotten(keep)
	if origin := undoes(b.Op); origin != "" {
		barred, err := insert(ctx, tx, b, origin, step, what)
		if err != nil {
			return 0, err
		}
		if barred && forgotten {
			return 0, tooOld(b, keep)
		}
		if barred {
			_, err = insert(ctx, tx, b, what, step, what)
			return empty, err
		}
	}
	first, err := insert(ctx, tx, b, what, step, what)
	switch {
	case err != nil:
		return 0, err
	case first && forgotten && undoes(b.Op) == "":
		return 0, tooOld(b, keep)
	case first:
		return fresh, nil
	}
	by, _, err := done(ctx, tx, b, what, step)
	if err != nil {
		return 0, err
	}
	if by != what {
		return 0, refuse(txnv1.Reason_TRANSACTION_ABORTED, "%s of branch %q came after its %s", what, b.Name, by)
	}
	return duplicate, nil
}

// forgotten reports whether the branch may have been done and its row deleted.
func (b Branch) forgotten(keep time.Duration) bool {
	return !b.Created.IsZero() && time.Now().After(b.Created.Add(keep-keep/24))
}

// tooOld is no failure: the branch may have been done. An operator must know.
func tooOld(b Branch, keep time.Duration) error {
	e := rpc.Errorf(txnv1.Reason_TRANSACTION_ENDED,
		"%s of branch %q belongs to a transaction of %s, and what was done is remembered for %v only (setting txn.barrier.keep)",
		op(b.Op), b.Name, b.Created.UTC().Format(time.RFC3339), keep)
	return &typed{status: e, kind: txnv1.Outcome_KIND_RETRY}
}

const insertRow = `INSERT INTO warren_barrier (gid, branch, op, step, shard, done_by, response, repeats, created_at)
	VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?) ON CONFLICT (gid, branch, op, step) `

// insert notes an operation, and returns false if that was there before. Whoever
// does the same at this moment is waited for.
func insert(ctx context.Context, tx *store.Tx, b Branch, op, step, by string) (bool, error) {
	ending := "DO NOTHING"
	if tx.Dialect() == store.MySQL {
		// InnoDB gives all who meet a key that is taken a shared lock on it, and
		// when its owner rolls back they block one another. For an update they
		// queue for an exclusive one. It also tells new from old: 1 or 2.
		ending = "DO UPDATE SET repeats = warren_barrier.repeats + 1"
	}
	shard := inshard.Of(ctx)
	if op == opMessage || op == opPrepare {
		shard = inshard.None // the coordinator asks for it where it was written
	}
	n, err := tx.Exec(ctx, insertRow+ending, b.GID, b.Name, op, step, shard, by, []byte{}, time.Now())
	if err != nil {
		return false, fmt.Errorf("note %s of branch %q: %w", op, b.Name, err)
	}
	return n == 1, nil
}

// done reads what is noted of an operation.
func done(ctx context.Context, q store.Querier, b Branch, op, step string) (by string, response []byte, err error) {
	err = q.QueryRow(ctx, `SELECT done_by, response FROM warren_barrier WHERE gid = ? AND branch = ? AND op = ? AND step = ?`,
		b.GID, b.Name, op, step).Scan(&by, &response)
	if err != nil && !errors.Is(err, store.ErrNoRows) {
		err = fmt.Errorf("read %s of branch %q: %w", op, b.Name, err)
	}
	return by, response, err
}

// save keeps the answer for those who ask again.
func save(ctx context.Context, tx *store.Tx, b Branch, response []byte) error {
	_, err := tx.Exec(ctx, `UPDATE warren_barrier SET response = ? WHERE gid = ? AND branch = ? AND op = ? AND step = ''`,
		response, b.GID, b.Name, op(b.Op))
	return err
}
