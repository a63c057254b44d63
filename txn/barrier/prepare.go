package barrier

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
	"github.com/gowarren/warren/rpc"
	"github.com/gowarren/warren/store"
)

// preparedPrefix marks the prepared transactions that are ours.
const preparedPrefix = "txn."

// preparedName is the name of a branch's prepared transaction: those of databases
// are short, and take few characters.
func preparedName(gid, branch string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %s %s", len(gid), gid, branch))
	return preparedPrefix + base64.RawURLEncoding.EncodeToString(sum[:])
}

// errAgain ends the transaction of a branch that was prepared and committed
// before.
var errAgain = errors.New("branch is done already")

// prepare does the operation in a transaction that ends prepared, and waits for
// the coordinator's decision.
func (c *call) prepare(ctx context.Context) (any, error) {
	db, err := c.twoPhaseDatabase(ctx)
	if err != nil {
		return nil, err
	}
	name := preparedName(c.branch.GID, c.branch.Name)
	// One that is prepared holds its rows: nobody can see them, or get by.
	if waits, err := isPrepared(ctx, db, name); err != nil || waits {
		if err == nil {
			c.verdict = duplicate
			err = c.preparedAnswer(ctx, db, name)
		}
		return c.reply, err
	}
	_, err = db.Exec(ctx, `INSERT INTO warren_prepared (name, gid, branch, answered, response, created_at) VALUES (?, ?, ?, FALSE, ?, ?)
		ON CONFLICT (name) DO NOTHING`, name, c.branch.GID, c.branch.Name, []byte{}, time.Now())
	if err != nil {
		return nil, fmt.Errorf("note branch %q to be prepared: %w", c.branch.Name, err)
	}
	var raw []byte
	err = db.Prepare(ctx, name, func(ctx context.Context, tx *store.Tx) (err error) {
		if raw, err = c.work(ctx, tx); err == nil && c.verdict != fresh {
			return errAgain // there is nothing to prepare
		}
		return err
	}, store.Joinable)
	if errors.Is(err, errAgain) {
		return c.reply, nil
	}
	if err != nil {
		return nil, err
	}
	// The branch is prepared, and that counts, also if its answer isn't kept.
	if _, err := db.Exec(ctx, `UPDATE warren_prepared SET answered = TRUE, response = ? WHERE name = ?`, notNil(raw), name); err != nil {
		c.barrier.logger.WarnContext(ctx, "answer of a prepared branch isn't kept", "gid", c.branch.GID, "branch", c.branch.Name, "error", err)
	}
	return c.reply, nil
}

// twoPhaseDatabase returns the method's database, if it can prepare.
func (c *call) twoPhaseDatabase(ctx context.Context) (*store.DB, error) {
	refused := func(format string, args ...any) error {
		c.failed = refuse(txnv1.Reason_TWO_PHASE_UNSUPPORTED, format, args...)
		return c.failed
	}
	if !c.barrier.opts.TwoPhase {
		return nil, refused("the service doesn't take part in two-phase commits")
	}
	if c.barrier.manual(c.method) {
		return nil, refused("%s has transactions of its own: they can't be prepared", c.method)
	}
	at, err := c.barrier.database(ctx, c.method, c.req)
	if err != nil {
		return nil, err
	}
	db, ok := at.(*store.DB)
	if !ok {
		return nil, refused("%s works on a shard: what is prepared there would keep it from being moved", c.method)
	}
	if err := db.CanPrepare(ctx); errors.Is(err, store.ErrCannotPrepare) {
		return nil, refused("%w", err)
	} else if err != nil {
		return nil, err
	}
	return db, nil
}

// preparedAnswer answers for a branch that is prepared already.
func (c *call) preparedAnswer(ctx context.Context, db *store.DB, name string) error {
	var answered bool
	var raw []byte
	err := db.QueryRow(ctx, `SELECT answered, response FROM warren_prepared WHERE name = ?`, name).Scan(&answered, &raw)
	if err != nil && !errors.Is(err, store.ErrNoRows) {
		return err
	}
	if !answered {
		// Whoever asks can't go on without an answer; that the branch is prepared
		// does no harm, as the transaction will be aborted.
		c.failed = refuse(txnv1.Reason_TRANSACTION_ABORTED, "branch %q is prepared, and its answer was lost", c.branch.Name)
		return c.failed
	}
	c.reply, err = c.answer(raw)
	return err
}

func isPrepared(ctx context.Context, db *store.DB, name string) (bool, error) {
	list, err := db.Prepared(ctx)
	return slices.ContainsFunc(list, func(p store.PreparedTx) bool { return p.Name == name }), err
}

// finish commits or rolls back what a branch prepared, wherever that is.
func (b *Barrier) finish(ctx context.Context, branch Branch, commit bool) error {
	list, err := b.all(ctx)
	if err != nil {
		return err
	}
	name, able := preparedName(branch.GID, branch.Name), false
	for _, db := range list {
		end := db.RollbackPrepared
		if commit {
			end = db.CommitPrepared
		}
		err := end(ctx, name)
		switch {
		case errors.Is(err, store.ErrCannotPrepare):
			continue
		case err != nil && !errors.Is(err, store.ErrNotPrepared):
			return err
		}
		able = true
	}
	switch {
	case !able:
		return rpc.Errorf(txnv1.Reason_TWO_PHASE_UNSUPPORTED, "no database of the service prepares transactions")
	case !commit:
		err = bar(ctx, list, branch)
	default:
		// Asked also when the database says yes: its word is not all we have.
		err = b.finished(ctx, list, branch)
	}
	if err == nil {
		err = forget(ctx, list, name)
	}
	return err
}

// finished tells what is committed already from what is lost: the row of the
// barrier was part of it.
func (b *Barrier) finished(ctx context.Context, list []*store.DB, branch Branch) error {
	for _, db := range list {
		by, _, err := done(ctx, db, branch, opPrepare, "")
		switch {
		case errors.Is(err, store.ErrNoRows):
			continue
		case err != nil:
			return err
		case by == opPrepare:
			return nil
		}
		return rpc.Errorf(txnv1.Reason_TRANSACTION_ABORTED, "branch %q was rolled back before", branch.Name)
	}
	b.metrics.lost.Inc()
	b.logger.ErrorContext(ctx, "prepared transaction is lost", "gid", branch.GID, "branch", branch.Name)
	return rpc.Errorf(txnv1.Reason_PREPARED_LOST, "branch %q isn't prepared, and nothing says that it was committed", branch.Name)
}

// bar keeps what is rolled back, or never came, from being prepared later.
func bar(ctx context.Context, list []*store.DB, branch Branch) error {
	for _, db := range list {
		by := byRollback
		err := db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
			first, err := insert(ctx, tx, branch, opPrepare, "", byRollback)
			if err == nil && !first {
				by, _, err = done(ctx, tx, branch, opPrepare, "")
			}
			return err
		})
		if err != nil {
			return err
		}
		if by == opPrepare {
			return rpc.Errorf(txnv1.Reason_TRANSACTION_COMMITTED, "branch %q was committed before", branch.Name)
		}
	}
	return nil
}

func forget(ctx context.Context, list []*store.DB, name string) error {
	for _, db := range list {
		if _, err := db.Exec(ctx, `DELETE FROM warren_prepared WHERE name = ?`, name); err != nil {
			return err
		}
	}
	return nil
}

// waiting is a prepared transaction of ours.
type waiting struct {
	gid, branch string // empty: unknown
	since       time.Time
	database    string
}

// prepared lists what waits for a decision.
func (b *Barrier) prepared(ctx context.Context) (out []waiting, err error) {
	list, err := b.all(ctx)
	if err != nil {
		return nil, err
	}
	for _, db := range list {
		names, err := db.Prepared(ctx)
		if errors.Is(err, store.ErrCannotPrepare) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, p := range names {
			if !strings.HasPrefix(p.Name, preparedPrefix) {
				continue
			}
			w := waiting{database: db.Name()}
			err := db.QueryRow(ctx, `SELECT gid, branch, created_at FROM warren_prepared WHERE name = ?`, p.Name).Scan(&w.gid, &w.branch, &w.since)
			if err != nil && !errors.Is(err, store.ErrNoRows) {
				return nil, err
			}
			out = append(out, w)
		}
	}
	return out, nil
}

// notNil is for columns that take no NULL.
func notNil(raw []byte) []byte {
	if raw == nil {
		return []byte{}
	}
	return raw
}
