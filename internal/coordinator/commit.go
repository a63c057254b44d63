package coordinator

import (
	"cmp"
	"context"
	"slices"

	"github.com/gowarren/warren/store"
)

// commit makes a batch of writes durable in one transaction of the database, and
// gives each its verdict.
func (e *Engine) commit(ctx context.Context, batch []*write) error {
	slices.SortStableFunc(batch, func(a, b *write) int { return cmp.Compare(a.gid, b.gid) })
	var err error
	if e.db.Dialect() == store.PostgreSQL && plain(batch) {
		err = e.commitPlain(ctx, batch)
	} else {
		err = e.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
			for _, item := range batch {
				item.verdict = verdict{}
			}
			return writeBatch(ctx, tx, batch, e.now())
		})
	}
	if err == nil {
		err = e.fail("commit")
	}
	return err
}

func writeBatch(ctx context.Context, tx *store.Tx, batch []*write, now int64) error {
	var creates []*row
	for _, item := range batch {
		if item.create {
			creates = append(creates, item.row)
		}
	}
	if err := createTable.put(ctx, tx, creates); err != nil {
		return err
	}
	if err := judge(ctx, tx, batch); err != nil {
		return err
	}
	if err := writeRows(ctx, tx, batch); err != nil {
		return err
	}
	return locks(ctx, tx, batch, now)
}

// stored is what is compared of a transaction that is there.
type stored struct {
	epoch         int64
	token, digest string
}

// judge finds out which writes are for a transaction that is still theirs.
func judge(ctx context.Context, tx *store.Tx, batch []*write) error {
	var gids []string
	for _, item := range batch {
		if len(gids) == 0 || gids[len(gids)-1] != item.gid {
			gids = append(gids, item.gid)
		}
	}
	there := make(map[string]stored, len(gids))
	err := in(gids, func(list string, args []any) error {
		rows, err := tx.Query(ctx, `SELECT gid, epoch, token, digest FROM warren_txn WHERE gid IN `+list+` ORDER BY gid FOR UPDATE`, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var gid string
			var s stored
			if err := rows.Scan(&gid, &s.epoch, &s.token, &s.digest); err != nil {
				return err
			}
			there[gid] = s
		}
		return rows.Err()
	})
	for _, item := range batch {
		s, ok := there[item.gid]
		switch {
		case item.create && s.token != item.row.token:
			item.verdict = verdict{err: errExists, digest: s.digest}
		case !ok || s.epoch != item.epoch:
			item.verdict = verdict{err: errFenced}
		}
	}
	return err
}

// writeRows writes what changed. Of two writes of a row the later one counts.
func writeRows(ctx context.Context, tx *store.Tx, batch []*write) error {
	changed := map[string]*row{}
	branches := map[[2]string]*branchRow{}
	var attempts []*attemptRow
	var actions []*actionRow
	for _, item := range batch {
		if item.verdict.err != nil {
			continue
		}
		if item.row != nil && !item.create {
			changed[item.gid] = item.row
		}
		for i := range item.branches {
			b := &item.branches[i]
			branches[[2]string{b.gid, b.name}] = b
		}
		for i := range item.attempts {
			attempts = append(attempts, &item.attempts[i])
		}
		for i := range item.actions {
			actions = append(actions, &item.actions[i])
		}
	}
	if err := transactionTable.put(ctx, tx, sorted(changed, cmp.Compare[string])); err != nil {
		return err
	}
	byName := func(a, b [2]string) int {
		return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1]))
	}
	if err := branchTable.put(ctx, tx, sorted(branches, byName)); err != nil {
		return err
	}
	if err := attemptTable.put(ctx, tx, attempts); err != nil {
		return err
	}
	return actionTable.put(ctx, tx, actions)
}

// sorted lists rows in one order for all, so that two coordinators do not wait
// for one another.
func sorted[K comparable, R any](rows map[K]*R, compare func(a, b K) int) []*R {
	keys := make([]K, 0, len(rows))
	for k := range rows {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, compare)
	list := make([]*R, len(keys))
	for i, k := range keys {
		list[i] = rows[k]
	}
	return list
}
