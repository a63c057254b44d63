package coordinator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
	"github.com/gowarren/warren/store"
)

// define gives the transaction its branches, from what its submitter sent.
func (t *transaction) define(def *txnv1.PrepareRequest) error {
	t.check = def.GetCheck()
	open := def.GetTcc()
	if open == nil {
		open = def.GetTwoPhase()
	}
	t.openLocks = open.GetLocks()
	t.saga = def.GetSaga()
	if t.saga == nil {
		return nil
	}
	for i, step := range t.saga.GetSteps() {
		t.branches = append(t.branches, &branch{t: t, step: step, row: branchRow{
			gid: t.row.gid, name: step.GetName(), position: i, state: txnv1.BranchState_BRANCH_STATE_PENDING,
		}})
	}
	return t.link()
}

// link connects steps with those before and after them.
func (t *transaction) link() error {
	for _, b := range t.branches {
		for _, name := range b.step.GetAfter() {
			p := t.branch(name)
			if p == nil {
				return fmt.Errorf("step %q comes after %q, which there is not", b.row.name, name)
			}
			b.before, p.after = append(b.before, p), append(p.after, b)
		}
	}
	for _, b := range t.branches {
		if b.step.GetPivot() {
			b.force()
		}
	}
	return nil
}

// force marks what comes after the pivot.
func (b *branch) force() {
	for _, s := range b.after {
		if !s.forced {
			s.forced = true
			s.force()
		}
	}
}

// restore builds a transaction from its rows.
func (e *Engine) restore(r row, branches []branchRow, held []string) (*transaction, error) {
	t := newTransaction(e, r)
	var def txnv1.PrepareRequest
	if err := proto.Unmarshal(r.definition, &def); err != nil {
		return nil, fmt.Errorf("read transaction %q: %w", r.gid, err)
	}
	if err := t.define(&def); err != nil {
		return nil, fmt.Errorf("read transaction %q: %w", r.gid, err)
	}
	for _, key := range held {
		t.held[key] = true
	}
	for _, stored := range branches {
		if err := t.restoreBranch(stored); err != nil {
			return nil, fmt.Errorf("read transaction %q: %w", r.gid, err)
		}
	}
	return t, nil
}

func (t *transaction) restoreBranch(stored branchRow) error {
	b := t.branch(stored.name)
	if t.saga == nil {
		b = &branch{t: t, reg: &txnv1.RegisterRequest{}}
		t.branches = append(t.branches, b)
		if err := proto.Unmarshal(stored.definition, b.reg); err != nil {
			return err
		}
	}
	if b == nil {
		return fmt.Errorf("branch %q is none of its steps", stored.name)
	}
	if t.saga != nil && len(stored.definition) > 0 {
		edited := &txnv1.Step{}
		if err := proto.Unmarshal(stored.definition, edited); err != nil {
			return err
		}
		b.step = edited
	}
	b.row = stored
	if stored.due > 0 {
		b.due = time.Now().Add(t.e.clock.until(stored.due))
	}
	return nil
}

// load reads transactions that are ours.
func (e *Engine) load(ctx context.Context, q store.Querier, gids []string) ([]*transaction, error) {
	branches, err := readBranches(ctx, q, gids)
	if err != nil {
		return nil, err
	}
	held, err := readHeld(ctx, q, gids)
	if err != nil {
		return nil, err
	}
	var list []*transaction
	err = in(gids, func(marks string, args []any) error {
		rows, err := q.Query(ctx, `SELECT `+rowColumns+` FROM warren_txn WHERE gid IN `+marks, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			r, err := scanRow(rows)
			if err != nil {
				return err
			}
			t, err := e.restore(r, branches[r.gid], held[r.gid])
			if err != nil {
				e.logger.Error("transaction cannot be read; it is left alone", "error", err)
				continue
			}
			list = append(list, t)
		}
		return rows.Err()
	})
	return list, err
}

func readHeld(ctx context.Context, q store.Querier, gids []string) (map[string][]string, error) {
	held := map[string][]string{}
	err := in(gids, func(list string, args []any) error {
		rows, err := q.Query(ctx, `SELECT holder, lock_key FROM warren_txn_lock WHERE holder IN `+list, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var holder, key string
			if err := rows.Scan(&holder, &key); err != nil {
				return err
			}
			held[holder] = append(held[holder], key)
		}
		return rows.Err()
	})
	return held, err
}

// adopt returns the transaction with this coordinator as its owner, whoever had
// it before. One that has ended is returned as it is.
func (e *Engine) adopt(ctx context.Context, gid string) (*transaction, error) {
	if t := e.get(gid); t != nil {
		return t, nil
	}
	var t *transaction
	err := e.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		var state, epoch int64
		if err := tx.QueryRow(ctx, `SELECT state, epoch FROM warren_txn WHERE gid = ? FOR UPDATE`, gid).Scan(&state, &epoch); err != nil {
			return err
		}
		if r := (row{state: txnv1.State(state)}); !r.terminal() {
			if _, err := tx.Exec(ctx, `UPDATE warren_txn SET owner = ?, epoch = ? WHERE gid = ?`, e.node, epoch+1, gid); err != nil {
				return err
			}
		}
		list, err := e.load(ctx, tx, []string{gid})
		if err == nil && len(list) == 1 {
			t = list[0]
		}
		return err
	})
	switch {
	case errors.Is(err, store.ErrNoRows):
		return nil, refused(txnv1.Reason_TRANSACTION_NOT_FOUND, "there is no transaction %q", gid)
	case err != nil:
		return nil, away(err)
	case t == nil:
		return nil, refused(txnv1.Reason_BAD_TRANSACTION, "transaction %q cannot be read", gid)
	}
	if t.row.terminal() {
		t.gone = true
		return t, nil
	}
	return e.add(t), nil
}
