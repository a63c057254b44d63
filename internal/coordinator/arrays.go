package coordinator

import (
	"context"
	"fmt"
	"maps"
	"slices"

	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
	"github.com/gowarren/warren/store"
)

// PostgreSQL takes arrays. There all that a batch changes is one statement of one
// text, and the commit with it: the database is asked once and answers once, and
// does not plan anew because a batch is of another size. It does some times as the
// table grows: what is right for an empty one, to read all of it, would otherwise
// stay until statistics are taken, and cost more with each transaction.

// statement writes what begins, changes and happened, of transactions that have the
// epoch, and returns which those are.
type statement struct {
	text     string
	begins   shape[row]
	changes  shape[row]
	branches shape[branchRow]
	attempts shape[attemptRow] // without columns: it writes none
}

func newStatement(begins, changes shape[row], branches shape[branchRow], attempts shape[attemptRow]) *statement {
	s := &statement{begins: begins, changes: changes, branches: branches, attempts: attempts}
	s.text = `WITH created AS (
		INSERT INTO warren_txn ` + begins.insert() + ` ON CONFLICT (gid) DO NOTHING RETURNING gid
	), changed AS (
		` + changes.update() + ` RETURNING t.gid
	), kept AS (
		SELECT t.gid FROM warren_txn t JOIN ` + keptRows.unnest() + ` ON t.gid = u.gid AND t.epoch = u.epoch FOR NO KEY UPDATE OF t
	), ours AS (
		SELECT gid FROM created UNION ALL SELECT gid FROM changed UNION ALL SELECT gid FROM kept
	), branches AS (
		INSERT INTO warren_txn_branch ` + branches.insert() + ` WHERE ` + isOurs + ` ON CONFLICT (gid, name) DO UPDATE SET ` + branchTable.sets() + `
	)`
	if len(attempts.columns) > 0 {
		s.text += `, attempts AS (
		INSERT INTO warren_txn_attempt ` + attempts.insert() + ` WHERE ` + isOurs + ` ON CONFLICT (gid, epoch, seq) DO NOTHING
	)`
	}
	s.text += ` SELECT gid FROM ours`
	return s
}

// isOurs makes one table of hashes of those that are ours, however few are expected.
const isOurs = "(u.gid IN (SELECT gid FROM ours)) IS TRUE"

// In most batches each transaction begins, goes on or succeeds, and each branch
// succeeds at first. These the usual statement writes, which has half of the columns.
var (
	usual = newStatement(
		shapeOf(createTable.all, also(calm, map[string]int64{"epoch": 1, "active": 1, "ended_at": 0})),
		shapeOf(changing, also(calm, map[string]int64{"state": int64(txnv1.State_STATE_SUCCEEDED), "active": 0, "owner": 0})),
		shapeOf(branchTable.all, map[string]int64{"state": int64(txnv1.BranchState_BRANCH_STATE_DONE),
			"attempts": 0, "stuck": 0, "due_at": 0, "error": 0, "definition": 0, "undid_at": 0, "undid_took": 0}),
		shape[attemptRow]{})
	everything = newStatement(shapeOf(createTable.all, nil), shapeOf(changing, nil), shapeOf(branchTable.all, nil), shapeOf(attemptTable.all, nil))

	// changing begins with what says which transaction a row is of.
	changing = slices.Concat([]column[row]{gidColumn, number("epoch", func(r *row) int64 { return r.epoch })}, progress)
	calm     = map[string]int64{"parked": 0, "reason": 0, "reason_branch": 0, "reason_code": 0, "reason_status": 0, "park_reason": 0, "park_branch": 0}
	// keptRows are of transactions of which only something else is written.
	keptRows = shapeOf([]column[write]{
		text("gid", func(w *write) string { return w.gid }),
		number("epoch", func(w *write) int64 { return w.epoch }),
	}, nil)
)

func also(a, b map[string]int64) map[string]int64 {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

// fits reports whether the statement can write the batch.
func (s *statement) fits(batch []*write) bool {
	return !slices.ContainsFunc(batch, func(item *write) bool {
		switch {
		case len(item.attempts) > 0 && len(s.attempts.columns) == 0,
			item.create && !s.begins.fits(item.row),
			!item.create && item.row != nil && !s.changes.fits(item.row):
			return true
		}
		return slices.ContainsFunc(item.branches, func(b branchRow) bool { return !s.branches.fits(&b) })
	})
}

// arguments are the batch, in the order of the text.
func (s *statement) arguments(batch []*write) []any {
	var begins, changes []*row
	var kept []*write
	var branches []*branchRow
	var attempts []*attemptRow
	for _, item := range batch {
		switch {
		case item.create:
			begins = append(begins, item.row)
		case item.row != nil:
			changes = append(changes, item.row)
		default:
			kept = append(kept, item)
		}
		for i := range item.branches {
			branches = append(branches, &item.branches[i])
		}
		for i := range item.attempts {
			attempts = append(attempts, &item.attempts[i])
		}
	}
	return slices.Concat(s.begins.arrays(begins), s.changes.arrays(changes), keptRows.arrays(kept), s.branches.arrays(branches), s.attempts.arrays(attempts))
}

// plans sees to it that statements are planned anew as the table grows.
type plans struct {
	created, generation int
	texts               map[*statement]string
}

// text is another one, and so another plan, each time that sixteen times as many
// transactions were created.
func (p *plans) text(s *statement, creates int) string {
	for p.created += creates; p.created > 1000<<(4*p.generation); p.texts = nil {
		p.generation++
	}
	if p.texts == nil {
		p.texts = map[*statement]string{}
	}
	if p.texts[s] == "" {
		p.texts[s] = fmt.Sprintf("%s -- %d", s.text, p.generation)
	}
	return p.texts[s]
}

// plain reports whether a batch does nothing but write rows, each transaction once:
// the locks of the others are a conversation.
func plain(batch []*write) bool {
	seen := make(map[string]bool, len(batch))
	for _, item := range batch {
		if item.claim != nil || item.unlock || len(item.actions) > 0 || seen[item.gid] {
			return false
		}
		seen[item.gid] = true
	}
	return true
}

// commitPlain writes a plain batch to PostgreSQL.
func (e *Engine) commitPlain(ctx context.Context, batch []*write) error {
	s, creates := usual, 0
	if !s.fits(batch) {
		s = everything
	}
	for _, item := range batch {
		item.verdict = verdict{}
		creates += int(flag(item.create))
	}
	ours, err := readGids(ctx, e.db, e.plans.text(s, creates), s.arguments(batch)...)
	if err != nil {
		return err
	}
	return e.judgePlain(ctx, batch, ours)
}

// judgePlain tells those whose transaction was not theirs, or was there already.
func (e *Engine) judgePlain(ctx context.Context, batch []*write, ours []string) error {
	mine := make(map[string]bool, len(ours))
	for _, gid := range ours {
		mine[gid] = true
	}
	var late []*write
	for _, item := range batch {
		switch {
		case mine[item.gid]:
		case item.create:
			late = append(late, item)
		default:
			item.verdict.err = errFenced
		}
	}
	if len(late) == 0 {
		return nil
	}
	return e.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error { return judge(ctx, tx, late) })
}
