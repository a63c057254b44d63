package shards

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/gowarren/warren/store"
)

// wipe makes the other database ready for a copy from the start.
func (m *mover) wipe(ctx context.Context) error {
	if err := m.erase(ctx, m.to.db, m.shard, m.receiving); err != nil {
		return err
	}
	return m.to.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := m.receiving(ctx, tx); err != nil {
			return err
		}
		for _, l := range m.layouts {
			_, err := tx.Exec(ctx, `INSERT INTO warren_shard_progress (shard, table_name, last_key, copied, complete) VALUES (?, ?, '', 0, FALSE)`,
				m.shard, l.Name)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// copy brings all rows over, and what changed meanwhile, until little is left.
func (m *mover) copy(ctx context.Context) error {
	for _, l := range m.layouts {
		m.progress.Table = l.Name
		if err := m.copyTable(ctx, l); err != nil {
			return fmt.Errorf("copy table %s: %w", l.Name, err)
		}
	}
	m.say("catch up")
	if err := m.catchUp(ctx, fewChanges); err != nil {
		return err
	}
	if m.progress.Copied <= m.opts.FullCheck {
		return nil
	}
	m.say("compare")
	return m.reconcile(ctx)
}

// copyTable goes on after the last key that was copied, by whomever.
func (m *mover) copyTable(ctx context.Context, l layout) error {
	var text string
	var copied int
	var complete bool
	err := m.to.db.QueryRow(ctx, `SELECT last_key, copied, complete FROM warren_shard_progress WHERE shard = ? AND table_name = ?`, m.shard, l.Name).
		Scan(&text, &copied, &complete)
	if err != nil {
		return err
	}
	m.progress.Copied += copied
	var last []any
	if text != "" {
		if last, err = l.parseKey(text); err != nil {
			return err
		}
	}
	for !complete {
		m.say("copy")
		m.opts.failpoint("copy")
		rows, err := l.after(ctx, m.from.db, m.shard, last)
		if err != nil {
			return err
		}
		complete = len(rows) < chunkSize
		if len(rows) > 0 {
			last = l.keyOf(rows[len(rows)-1])
		}
		if err := m.copyChunk(ctx, l, rows, last, complete); err != nil {
			return err
		}
		m.progress.Copied += len(rows)
	}
	return nil
}

// copyChunk adds the rows. What is in their way, or isn't there yet that they point
// to, are changes since then: those go first.
func (m *mover) copyChunk(ctx context.Context, l layout, rows []row, last []any, complete bool) error {
	text := ""
	if last != nil {
		var err error
		if text, err = keyText(last); err != nil {
			return err
		}
	}
	put := func(write func(context.Context, *store.Tx, []row) error, rows []row) error {
		return m.to.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
			if err := m.receiving(ctx, tx); err != nil {
				return err
			}
			if err := write(ctx, tx, rows); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, `UPDATE warren_shard_progress SET last_key = ?, copied = copied + ?, complete = ? WHERE shard = ? AND table_name = ?`,
				text, len(rows), complete, m.shard, l.Name)
			return err
		})
	}
	err := put(l.insert, rows)
	var keys [][]any
	for _, r := range rows {
		keys = append(keys, l.keyOf(r))
	}
	for try := 0; refused(err) && try < maxRefusals; try++ {
		if err := m.catchUpToNow(ctx); err != nil {
			return err
		}
		// As they are by now: those that are gone were noted.
		if rows, err = l.withKeys(ctx, m.from.db, m.shard, keys); err != nil {
			return err
		}
		err = put(l.upsert, rows)
	}
	return err
}

// refused tells that rows were in the way of others, or that others are missing.
func refused(err error) bool {
	return errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrReference)
}

// catchUpToNow copies all changes that could be seen when it was called.
func (m *mover) catchUpToNow(ctx context.Context) error {
	var last, left int64
	err := m.from.db.QueryRow(ctx, `SELECT COALESCE(MAX(seq), 0) FROM warren_shard_changes WHERE shard = ?`, m.shard).Scan(&last)
	for left = 1; err == nil && left > 0; {
		if _, err = m.catchSome(ctx); err == nil {
			err = m.from.db.QueryRow(ctx, `SELECT COUNT(*) FROM warren_shard_changes WHERE shard = ? AND seq <= ?`, m.shard, last).Scan(&left)
		}
	}
	return err
}

// change is a row that was written since it may have been copied.
type change struct {
	seq   int64
	table string
	key   string
}

func (m *mover) changes(ctx context.Context, limit int) ([]change, error) {
	rows, err := m.from.db.Query(ctx, `SELECT seq, table_name, row_key FROM warren_shard_changes WHERE shard = ? ORDER BY seq LIMIT ?`, m.shard, limit)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []change
	for rows.Next() {
		var c change
		if err := rows.Scan(&c.seq, &c.table, &c.key); err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, rows.Err()
}

// catchUp copies the changes until no more than few were left. Where they come faster
// than they are copied it ends too: the rest is for when the shard is fenced.
func (m *mover) catchUp(ctx context.Context, few int) error {
	for before, stalled := 0, 0; stalled < maxStalls; {
		n, err := m.catchSome(ctx)
		if err != nil {
			return fmt.Errorf("catch up: %w", err)
		}
		m.say(m.progress.Phase)
		if n <= few {
			return nil
		}
		if few == 0 {
			continue // nothing is added
		}
		var left int
		if err := m.from.db.QueryRow(ctx, `SELECT COUNT(*) FROM warren_shard_changes WHERE shard = ?`, m.shard).Scan(&left); err != nil {
			return err
		}
		if left > before*9/10 {
			stalled++
		}
		before = left
	}
	return nil
}

// catchSome copies one batch of changes. They are forgotten by their numbers, not up
// to one: a lower number may be committed later.
func (m *mover) catchSome(ctx context.Context) (int, error) {
	if m.behind < maxStalls {
		return m.catchBatch(ctx)
	}
	// They come faster than they are copied. Their writers wait for a while, and then
	// go on for long enough that none takes this for the fence of a mover that died.
	if err := m.intend(ctx); err != nil {
		return 0, err
	}
	n, err := m.catchBatch(ctx)
	err = errors.Join(err, m.lift(context.WithoutCancel(ctx), m.from.db))
	sleep(ctx, 2*maxWait)
	return n, err
}

func (m *mover) catchBatch(ctx context.Context) (int, error) {
	for limit := changesSize; ; limit *= 4 {
		list, err := m.changes(ctx, limit)
		if err != nil || len(list) == 0 {
			return 0, err
		}
		err = m.apply(ctx, keysOf(list), false)
		if refused(err) {
			if len(list) == limit {
				continue // what they need comes with later changes
			}
			err = m.apply(ctx, keysOf(list), true) // rows that swapped what is unique
		}
		if err == nil {
			err = m.forget(ctx, list)
		}
		m.progress.Changed += len(list)
		if m.behind++; len(list) < limit {
			m.behind = 0
		}
		return len(list), err
	}
}

// forget deletes them in one transaction: each waits for its turn among those who
// write more.
func (m *mover) forget(ctx context.Context, list []change) error {
	query := `DELETE FROM warren_shard_changes WHERE seq IN (` + strings.TrimSuffix(strings.Repeat("?,", chunkSize), ",") + `)`
	return m.from.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		for part := range slices.Chunk(list, chunkSize) {
			args := make([]any, chunkSize) // always as many, so that the statement stays prepared
			for i := range args {
				args[i] = part[min(i, len(part)-1)].seq
			}
			if _, err := tx.Exec(ctx, query, args...); err != nil {
				return err
			}
		}
		return nil
	})
}

// keysOf lists each changed row once, by table.
func keysOf(list []change) map[string][]string {
	out := map[string][]string{}
	seen := map[change]bool{}
	for _, c := range list {
		c.seq = 0
		if !seen[c] {
			seen[c] = true
			out[c.table] = append(out[c.table], c.key)
		}
	}
	return out
}

// difference is what a table needs to become what it is at the owner.
type difference struct {
	layout
	put     []row
	touched [][]any // their keys
	remove  [][]any
}

// apply makes rows what they are at the owner now. First, all of them may be taken
// away, where they stand in one another's way.
func (m *mover) apply(ctx context.Context, keys map[string][]string, takeAway bool) error {
	todo, err := m.current(ctx, keys)
	if err != nil {
		return err
	}
	return m.to.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := m.receiving(ctx, tx); err != nil {
			return err
		}
		for _, d := range slices.Backward(todo) {
			remove := d.remove
			if takeAway {
				remove = slices.Concat(remove, d.touched)
			}
			if err := d.layout.remove(ctx, tx, m.shard, remove); err != nil {
				return err
			}
		}
		for _, d := range todo {
			if err := d.upsert(ctx, tx, d.put); err != nil {
				return err
			}
		}
		return nil
	})
}

// current reads rows at one moment, so that they fit together.
func (m *mover) current(ctx context.Context, keys map[string][]string) (out []difference, err error) {
	err = m.from.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		out = nil
		for _, l := range m.layouts {
			if len(keys[l.Name]) == 0 {
				continue
			}
			d := difference{layout: l}
			wanted := map[string][]any{}
			var list [][]any
			for _, text := range keys[l.Name] {
				key, err := l.parseKey(text)
				if err != nil {
					return err
				}
				canonical, err := keyText(key) // PostgreSQL and others space it differently
				if err != nil {
					return err
				}
				wanted[canonical] = key
				list = append(list, key)
			}
			if d.put, err = l.withKeys(ctx, tx, m.shard, list); err != nil {
				return err
			}
			for _, r := range d.put {
				text, err := keyText(l.keyOf(r))
				if err != nil {
					return err
				}
				d.touched = append(d.touched, l.keyOf(r))
				delete(wanted, text)
			}
			for _, key := range wanted {
				d.remove = append(d.remove, key)
			}
			out = append(out, d)
		}
		return nil
	}, store.ReadOnly)
	return out, err
}

// reconcile looks for rows that differ, in both directions, while changes go on, and
// copies them again. A change that is on its way is noted too, so nothing is lost by
// copying it early.
func (m *mover) reconcile(ctx context.Context) error {
	for _, l := range m.layouts {
		// What is missing there may be needed by the next table: forwards. What is too
		// much is found the other way round.
		if err := m.reconcileTable(ctx, l, m.from.db, m.to.db); err != nil {
			return fmt.Errorf("compare table %s: %w", l.Name, err)
		}
	}
	for _, l := range slices.Backward(m.layouts) {
		if err := m.reconcileTable(ctx, l, m.to.db, m.from.db); err != nil {
			return fmt.Errorf("compare table %s: %w", l.Name, err)
		}
	}
	return nil
}

func (m *mover) reconcileTable(ctx context.Context, l layout, walk, look *store.DB) error {
	for last, n := []any(nil), chunkSize; n == chunkSize; {
		rows, err := l.after(ctx, walk, m.shard, last)
		if err != nil {
			return err
		}
		if n = len(rows); n == 0 {
			return nil
		}
		last = l.keyOf(rows[n-1])
		differ, err := m.differing(ctx, l, rows, look)
		if err != nil {
			return err
		}
		if len(differ) == 0 {
			continue
		}
		m.progress.Repaired += len(differ)
		if err := m.apply(ctx, map[string][]string{l.Name: differ}, false); err != nil {
			return err
		}
		m.say("compare")
	}
	return nil
}

// differing returns the keys of the rows that are otherwise, or not, in a database.
func (m *mover) differing(ctx context.Context, l layout, rows []row, in *store.DB) ([]string, error) {
	var keys [][]any
	for _, r := range rows {
		keys = append(keys, l.keyOf(r))
	}
	others, err := l.withKeys(ctx, in, m.shard, keys)
	if err != nil {
		return nil, err
	}
	same := map[[sha256.Size]byte]bool{}
	for _, r := range others {
		same[r.checksum()] = true
	}
	var out []string
	for _, r := range rows {
		if same[r.checksum()] {
			continue
		}
		text, err := keyText(l.keyOf(r))
		if err != nil {
			return nil, err
		}
		out = append(out, text)
	}
	return out, nil
}

// compare judges the copy while nothing changes: by the number of rows, and by their
// checksums if they aren't too many for that.
func (m *mover) compare(ctx context.Context) error {
	full := m.progress.Copied <= m.opts.FullCheck
	for _, l := range m.layouts {
		var here, there digest
		var errs [2]error
		var wait sync.WaitGroup
		wait.Go(func() { here, errs[0] = l.digest(ctx, m.from.db, m.shard, full) })
		wait.Go(func() { there, errs[1] = l.digest(ctx, m.to.db, m.shard, full) })
		wait.Wait()
		if err := errors.Join(errs[:]...); err != nil {
			return fmt.Errorf("compare table %s: %w", l.Name, err)
		}
		if here != there {
			return fmt.Errorf("%w: table %s has %d rows here and %d there, checksums %x and %x", ErrDiffers, l.Name,
				here.rows, there.rows, here.sum[:4], there.sum[:4])
		}
	}
	return nil
}

// digest is of all rows of a shard in a table, in whatever order.
type digest struct {
	rows int
	sum  [sha256.Size]byte
}

func (l layout) digest(ctx context.Context, db *store.DB, shard int, full bool) (d digest, err error) {
	if !full {
		d.rows, err = l.count(ctx, db, shard)
		return d, err
	}
	var last []any
	for n := chunkSize; n == chunkSize; {
		rows, err := l.after(ctx, db, shard, last)
		if err != nil {
			return d, err
		}
		for _, r := range rows {
			for i, b := range r.checksum() {
				d.sum[i] ^= b
			}
			last = l.keyOf(r)
		}
		n = len(rows)
		d.rows += n
	}
	return d, nil
}
