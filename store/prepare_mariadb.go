package store

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// MariaDB binds a prepared transaction to its connection until that is closed,
// and while it is being closed there is a moment in which another connection is
// told that its XA COMMIT succeeded although nothing was committed. So the
// connection is held for a while, and whoever has it finishes on it; everybody
// else waits until it is gone for sure. Which one it is stands in the
// transaction's format number.
const (
	holdTime = time.Second
	// goneTime is how long a connection that the server doesn't list any more is
	// given to be closed altogether: in fact microseconds.
	goneTime = 500 * time.Millisecond
)

// heldTransactions are prepared, and still have their connections.
type heldTransactions struct {
	mu     sync.Mutex
	byName map[string]*preparable
}

func (h *heldTransactions) keep(p *preparable) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.byName == nil {
		h.byName = map[string]*preparable{}
	}
	h.byName[p.own] = p
	time.AfterFunc(holdTime, func() {
		if h.letGo(p) {
			p.drop()
		}
	})
}

// take gives the transaction to who finishes it.
func (h *heldTransactions) take(name string) *preparable {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.byName[name]
	delete(h.byName, name)
	return p
}

// letGo takes that very transaction, if it is still there.
func (h *heldTransactions) letGo(p *preparable) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.byName[p.own] != p {
		return false
	}
	delete(h.byName, p.own)
	return true
}

// close lets all go.
func (h *heldTransactions) close() {
	h.mu.Lock()
	all := h.byName
	h.byName = nil
	h.mu.Unlock()
	for _, p := range all {
		p.drop()
	}
}

// named returns the transaction's name with its connection in it.
func (p *preparable) named(ctx context.Context) (string, error) {
	var id int64
	if err := p.QueryRowContext(unprepared(ctx), "SELECT CONNECTION_ID()").Scan(&id); err != nil {
		return "", err
	}
	return formatted(p.name, id), nil
}

func formatted(quoted string, format int64) string { return fmt.Sprintf("%s,%d", quoted, format) }

// finish ends the transaction on its own connection.
func (p *preparable) finish(ctx context.Context, statement string) error {
	if _, err := p.ExecContext(unprepared(ctx), statement); err != nil {
		p.drop()
		return p.db.explain(ctx, err)
	}
	return p.Close()
}

// findXA returns the full name of a prepared transaction, once its connection is
// no more.
func (db *DB) findXA(ctx context.Context, name, of string) (quoted string, fault preparedFault, err error) {
	list, err := recoverXA(ctx, db, of)
	if err != nil {
		return "", preparedOther, err
	}
	for _, x := range list {
		if x.name != name {
			continue
		}
		quoted = formatted(db.engine.twoPhase.quoted(name), x.format)
		if !db.holds.Load() {
			return quoted, preparedOther, nil
		}
		return quoted, preparedOther, db.awaitGone(ctx, x.format)
	}
	return "", preparedMissing, nil
}

// awaitGone waits for the end of a connection. After a restart of the server its
// number may be another's: then there is nothing to wait for, and no more is
// waited than its owner would have held it.
func (db *DB) awaitGone(ctx context.Context, id int64) error {
	for until := time.Now().Add(2 * holdTime); time.Now().Before(until); {
		var n int
		err := db.write.QueryRowContext(unprepared(ctx), fmt.Sprintf("SELECT COUNT(*) FROM information_schema.processlist WHERE id = %d", id)).Scan(&n)
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
		if !pause(ctx, detachPoll) {
			return ctx.Err()
		}
	}
	timer := time.NewTimer(goneTime)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
