package coordinator

import (
	"context"
	"slices"
	"sort"

	"github.com/gowarren/warren/store"
)

// claim is a set of locks that a transaction wants at once.
type claim struct {
	keys     []string
	failFast bool
	create   bool // with the transaction itself: if they are not free, there is none
}

// locks takes and frees the locks of a batch. Who wants several gets all or
// none, in the order in which they asked, so waiting for them at the beginning
// is never for ever.
func locks(ctx context.Context, tx *store.Tx, batch []*write, now int64) error {
	var ended []string
	for _, item := range batch {
		if item.unlock && item.verdict.err == nil {
			ended = append(ended, item.gid)
		}
	}
	if err := unlock(ctx, tx, ended); err != nil {
		return err
	}
	for _, item := range batch {
		if item.claim == nil || item.verdict.err != nil {
			continue
		}
		if err := take(ctx, tx, item, now); err != nil {
			return err
		}
	}
	return nil
}

func unlock(ctx context.Context, tx *store.Tx, gids []string) error {
	return in(gids, func(list string, args []any) error {
		if _, err := tx.Exec(ctx, `DELETE FROM warren_txn_lock WHERE holder IN `+list, args...); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `DELETE FROM warren_txn_lock_wait WHERE gid IN `+list, args...)
		return err
	})
}

// take takes the locks if all are free and nobody asked before.
func take(ctx context.Context, tx *store.Tx, item *write, now int64) error {
	keys := slices.Compact(slices.Sorted(slices.Values(item.claim.keys)))
	if err := ask(ctx, tx, item.gid, keys, now); err != nil {
		return err
	}
	free, err := free(ctx, tx, item, keys)
	if err != nil {
		return err
	}
	if free {
		item.verdict.granted = true
		for _, key := range keys {
			if _, err := tx.Exec(ctx, `UPDATE warren_txn_lock SET holder = ? WHERE lock_key = ?`, item.gid, key); err != nil {
				return err
			}
		}
		_, err := tx.Exec(ctx, `DELETE FROM warren_txn_lock_wait WHERE gid = ?`, item.gid)
		return err
	}
	if item.claim.failFast {
		return giveUp(ctx, tx, item)
	}
	item.verdict.doomed, err = doomed(ctx, tx, item.gid)
	return err
}

// ask puts the transaction into the queue of each key. The row of a key is there
// from then on, so that two who take it meet on it: the order there is the order of
// the queue, as the clocks of two coordinators may differ by a little.
func ask(ctx context.Context, tx *store.Tx, gid string, keys []string, now int64) error {
	for _, key := range keys {
		if _, err := tx.Exec(ctx, `INSERT INTO warren_txn_lock (lock_key, holder) VALUES (?, ?)
			ON CONFLICT (lock_key) DO UPDATE SET lock_key = excluded.lock_key`, key, ""); err != nil {
			return err
		}
		var last int64
		if err := tx.QueryRow(ctx, `SELECT COALESCE(MAX(asked_at), 0) FROM warren_txn_lock_wait WHERE lock_key = ?`, key).Scan(&last); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `INSERT INTO warren_txn_lock_wait (lock_key, gid, asked_at) VALUES (?, ?, ?)
			ON CONFLICT (lock_key, gid) DO NOTHING`, key, gid, max(now, last+1)); err != nil {
			return err
		}
	}
	return nil
}

// free reports whether the transaction may have all of the keys. One that holds
// others goes before those that hold none, so that only holders wait for holders.
func free(ctx context.Context, tx *store.Tx, item *write, keys []string) (bool, error) {
	var held int64
	if err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM warren_txn_lock WHERE holder = ?`, item.gid).Scan(&held); err != nil {
		return false, err
	}
	for _, key := range keys {
		var holder, first string
		if err := tx.QueryRow(ctx, `SELECT holder FROM warren_txn_lock WHERE lock_key = ? FOR UPDATE`, key).Scan(&holder); err != nil {
			return false, err
		}
		if holder != "" && holder != item.gid {
			item.verdict.holder = holder
			return false, nil
		}
		if held > 0 {
			continue
		}
		if err := tx.QueryRow(ctx, `SELECT gid FROM warren_txn_lock_wait WHERE lock_key = ? ORDER BY asked_at, gid LIMIT 1`, key).Scan(&first); err != nil {
			return false, err
		}
		if first != item.gid {
			item.verdict.holder = first
			return false, nil
		}
	}
	return true, nil
}

// giveUp takes the question back, and the transaction if it is new.
func giveUp(ctx context.Context, tx *store.Tx, item *write) error {
	if _, err := tx.Exec(ctx, `DELETE FROM warren_txn_lock_wait WHERE gid = ?`, item.gid); err != nil {
		return err
	}
	if item.claim.create {
		item.verdict.err = errLocked
		_, err := tx.Exec(ctx, `DELETE FROM warren_txn WHERE gid = ?`, item.gid)
		return err
	}
	return nil
}

// doomed reports whether the transaction waits, by way of others, for itself, and
// is the youngest of those that do: that one gives way.
func doomed(ctx context.Context, tx *store.Tx, gid string) (bool, error) {
	edges, err := waits(ctx, tx)
	if err != nil || len(edges[gid]) == 0 {
		return false, err
	}
	circle := circleOf(gid, edges)
	if len(circle) == 0 {
		return false, nil
	}
	youngest, newest := "", int64(-1)
	for _, member := range circle {
		var created int64
		if err := tx.QueryRow(ctx, `SELECT created_at FROM warren_txn WHERE gid = ?`, member).Scan(&created); err != nil {
			return false, err
		}
		if created > newest || created == newest && member > youngest {
			youngest, newest = member, created
		}
	}
	return youngest == gid, nil
}

// waits returns who waits for whom, of those that hold something meanwhile: only
// they can be part of a circle.
func waits(ctx context.Context, tx *store.Tx) (map[string][]string, error) {
	rows, err := tx.Query(ctx, `SELECT DISTINCT w.gid, l.holder FROM warren_txn_lock_wait w
		JOIN warren_txn_lock l ON l.lock_key = w.lock_key
		WHERE l.holder <> w.gid AND w.gid IN (SELECT holder FROM warren_txn_lock)`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	edges := map[string][]string{}
	for rows.Next() {
		var from, to string
		if err := rows.Scan(&from, &to); err != nil {
			return nil, err
		}
		edges[from] = append(edges[from], to)
	}
	return edges, rows.Err()
}

// circleOf returns a way from the transaction back to itself.
func circleOf(gid string, edges map[string][]string) []string {
	came := map[string]string{}
	for next := []string{gid}; len(next) > 0; next = next[1:] {
		sort.Strings(edges[next[0]])
		for _, to := range edges[next[0]] {
			if to == gid {
				circle := []string{gid}
				for at := next[0]; at != gid; at = came[at] {
					circle = append(circle, at)
				}
				return circle
			}
			if _, seen := came[to]; !seen {
				came[to] = next[0]
				next = append(next, to)
			}
		}
	}
	return nil
}
