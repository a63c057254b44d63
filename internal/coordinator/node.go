package coordinator

import (
	"context"
	"errors"
	"time"

	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
	"github.com/gowarren/warren/rpc"
	"github.com/gowarren/warren/store"
)

// join makes this coordinator one of those of the database.
func (e *Engine) join(ctx context.Context) error {
	_, err := e.db.Exec(ctx, `INSERT INTO warren_txn_node (id, beat) VALUES (?, ?) ON CONFLICT (id) DO NOTHING`, e.node, 0)
	return err
}

// leave gives what this coordinator owns to whoever takes it.
func (e *Engine) leave(ctx context.Context) error {
	return e.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if _, err := tx.Exec(ctx, `UPDATE warren_txn SET owner = ? WHERE active = 1 AND owner = ?`, "", e.node); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `DELETE FROM warren_txn_node WHERE id = ?`, e.node)
		return err
	})
}

// seen is when a beat was last seen to change, by this process's clock.
type seen struct {
	beat int64
	at   time.Time
}

// live says that this coordinator lives, and takes over from those that do not.
func (e *Engine) live(ctx context.Context) {
	others := map[string]seen{}
	scanned := time.Now()
	for {
		round, cancel := context.WithTimeout(ctx, 5*time.Second)
		err := e.beat(round, others)
		if err == nil && time.Since(scanned) > e.limits.scan.Get() {
			scanned = time.Now()
			err = e.scan(round, others)
		}
		cancel()
		if err != nil && ctx.Err() == nil {
			e.logger.Warn("coordinator's beat went wrong", "error", err)
		}
		pause := time.NewTimer(e.limits.beat.Get())
		select {
		case <-pause.C:
		case <-e.kick:
		case <-ctx.Done():
			pause.Stop()
			return
		}
		pause.Stop()
	}
}

func (e *Engine) beat(ctx context.Context, others map[string]seen) error {
	if e.draining.Load() {
		return nil
	}
	if err := e.fail("beat"); err != nil {
		return err
	}
	n, err := e.db.Exec(ctx, `UPDATE warren_txn_node SET beat = beat + 1 WHERE id = ?`, e.node)
	if err == nil && n == 0 { // taken for dead meanwhile
		err = e.join(ctx)
	}
	if err != nil {
		return err
	}
	beats, err := e.readBeats(ctx)
	if err != nil {
		return err
	}
	now := time.Now()
	for id, beat := range beats {
		if last, ok := others[id]; !ok || last.beat != beat {
			others[id] = seen{beat, now}
		}
	}
	dead := []string{""} // what nobody owns
	for id, last := range others {
		if id != e.node && now.Sub(last.at) > e.limits.deadAfter() {
			dead = append(dead, id)
		}
	}
	for _, id := range dead {
		if err := e.takeOver(ctx, id); err != nil {
			return err
		}
		delete(others, id)
	}
	return nil
}

func (e *Engine) readBeats(ctx context.Context) (map[string]int64, error) {
	rows, err := e.db.Query(ctx, `SELECT id, beat FROM warren_txn_node`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	beats := map[string]int64{}
	for rows.Next() {
		var id string
		var beat int64
		if err := rows.Scan(&id, &beat); err != nil {
			return nil, err
		}
		beats[id] = beat
	}
	return beats, rows.Err()
}

// takeOver takes all transactions of an owner, some at a time: other coordinators
// take some too.
func (e *Engine) takeOver(ctx context.Context, owner string) error {
	const some = 256
	for !e.draining.Load() && !e.full() {
		list, err := e.take(ctx, owner, some)
		if err != nil {
			return err
		}
		for _, t := range list {
			e.resume(t)
		}
		if n := len(list); n > 0 {
			e.metrics.takeovers.Add(float64(n))
			e.logger.Info("transactions taken over", "from", owner, "count", n)
		}
		if len(list) < some {
			return e.bury(ctx, owner)
		}
	}
	return nil
}

func (e *Engine) resume(t *transaction) {
	if e.add(t) != t {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.advance()
}

func (e *Engine) take(ctx context.Context, owner string, some int) ([]*transaction, error) {
	var list []*transaction
	err := e.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		gids, err := readGids(ctx, tx, `SELECT gid FROM warren_txn WHERE active = 1 AND owner = ? ORDER BY gid LIMIT ? FOR UPDATE SKIP LOCKED`, owner, some)
		if err != nil || len(gids) == 0 {
			return err
		}
		if err := in(gids, func(marks string, args []any) error {
			_, err := tx.Exec(ctx, `UPDATE warren_txn SET owner = ?, epoch = epoch + 1 WHERE gid IN `+marks, append([]any{e.node}, args...)...)
			return err
		}); err != nil {
			return err
		}
		list, err = e.load(ctx, tx, gids)
		return err
	})
	return list, err
}

// bury removes a dead coordinator that owns nothing any more.
func (e *Engine) bury(ctx context.Context, id string) error {
	if id == "" {
		return nil
	}
	_, err := e.db.Exec(ctx, `DELETE FROM warren_txn_node WHERE id = ? AND NOT EXISTS (SELECT 1 FROM warren_txn WHERE active = 1 AND owner = ?)`, id, id)
	return err
}

// scan is the net below the others: it finds what belongs to a coordinator that
// is not among the living, and what is ours and was forgotten, for instance
// because the database said that a commit had failed that had not.
func (e *Engine) scan(ctx context.Context, others map[string]seen) error {
	owners, err := readGids(ctx, e.db, `SELECT DISTINCT owner FROM warren_txn WHERE active = 1`)
	if err != nil {
		return err
	}
	for _, owner := range owners {
		if _, ok := others[owner]; !ok && owner != "" && owner != e.node {
			others[owner] = seen{at: time.Now()} // dead unless a beat is seen
		}
	}
	mine, err := readGids(ctx, e.db, `SELECT gid FROM warren_txn WHERE active = 1 AND owner = ?`, e.node)
	if err != nil {
		return err
	}
	var unread []error
	for _, gid := range mine {
		if !e.forgotten(gid) {
			continue
		}
		t, err := e.adopt(ctx, gid)
		if errors.Is(err, rpc.Reason(txnv1.Reason_BAD_TRANSACTION)) { // which is no reason to forget the others
			unread = append(unread, err)
			continue
		}
		if err != nil {
			return err
		}
		t.mu.Lock()
		t.advance()
		t.mu.Unlock()
	}
	var parked int64
	err = e.db.QueryRow(ctx, `SELECT COUNT(*) FROM warren_txn WHERE active = 0 AND ended_at = 0`).Scan(&parked)
	e.metrics.parked.Set(float64(parked))
	return errors.Join(append(unread, err)...)
}

func readGids(ctx context.Context, q store.Querier, query string, args ...any) ([]string, error) {
	rows, err := q.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, rows.Err()
}

// retain deletes what ended long ago.
func (e *Engine) retain(ctx context.Context) {
	for {
		pause := time.NewTimer(min(e.limits.keep.Get()/10, 10*time.Minute))
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return
		}
		if err := e.forget(ctx); err != nil && !errors.Is(err, context.Canceled) {
			e.logger.Warn("old transactions could not be deleted", "error", err)
		}
	}
}

// forget deletes transactions that ended before the time they are kept for, and the
// rows of locks that nobody holds or waits for: of who waited for several in vain, those
// that were free stay.
func (e *Engine) forget(ctx context.Context) error {
	const some = 500
	_, err := e.db.Exec(ctx, `DELETE FROM warren_txn_lock WHERE holder = ''
		AND NOT EXISTS (SELECT 1 FROM warren_txn_lock_wait w WHERE w.lock_key = warren_txn_lock.lock_key)`)
	if err != nil {
		return err
	}
	for ctx.Err() == nil {
		before := e.now() - e.limits.keep.Get().Microseconds()
		gids, err := readGids(ctx, e.db, `SELECT gid FROM warren_txn WHERE ended_at > 0 AND ended_at < ? ORDER BY ended_at LIMIT ?`, before, some)
		if err != nil || len(gids) == 0 {
			return err
		}
		err = e.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
			return in(gids, func(marks string, args []any) error {
				for _, table := range []string{"warren_txn_attempt", "warren_txn_action", "warren_txn_branch", "warren_txn"} {
					if _, err := tx.Exec(ctx, `DELETE FROM `+table+` WHERE gid IN `+marks, args...); err != nil {
						return err
					}
				}
				return nil
			})
		})
		if err != nil {
			return err
		}
	}
	return nil
}
