package coordinator

import (
	"context"
	"slices"
	"strings"
	"unicode/utf8"

	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
	"github.com/gowarren/warren/store"
)

// row is a transaction as it is stored. Times are microseconds.
type row struct {
	gid, name  string
	pattern    txnv1.Pattern
	token      string // of the call that created it
	digest     string // of the definition
	definition []byte // a PrepareRequest
	created    int64
	trace      string

	state        txnv1.State
	parked       bool
	owner        string
	epoch        int64
	reason       string
	reasonBranch string
	reasonCode   int32
	reasonStatus []byte
	updated      int64
	ended        int64
	deadline     int64  // 0: none
	parkReason   string // why it is parked; reason is why it is turned back
	parkBranch   string
}

func (r *row) terminal() bool {
	return r.state == txnv1.State_STATE_SUCCEEDED || r.state == txnv1.State_STATE_FAILED
}

func (r *row) active() bool { return !r.terminal() && !r.parked }

// branchRow is a branch as it is stored.
type branchRow struct {
	gid, name  string
	position   int
	state      txnv1.BranchState
	attempts   int
	stuck      bool
	due        int64
	response   []byte
	error      string
	definition []byte // a RegisterRequest, or a Step that was edited
	did, undid span   // of calls that succeeded at first
}

// span is when a call began, and how long it took.
type span struct{ at, took int64 }

// attemptRow is a call that is worth remembering.
type attemptRow struct {
	gid           string
	epoch, seq    int64
	branch        string
	op            txnv1.Op
	number        int
	node          string
	started, took int64
	outcome       outcome
}

// actionRow is what an operator did.
type actionRow struct {
	gid, id                      string
	at                           int64
	what, branch, author, reason string
}

var (
	gidColumn = text("gid", func(r *row) string { return r.gid })
	// given is what a transaction has from its beginning, and keeps.
	given = []column[row]{
		text("name", func(r *row) string { return r.name }),
		number("pattern", func(r *row) int64 { return int64(r.pattern) }),
		text("token", func(r *row) string { return r.token }),
		text("digest", func(r *row) string { return r.digest }),
		binary("definition", func(r *row) []byte { return r.definition }),
		number("created_at", func(r *row) int64 { return r.created }),
		text("trace", func(r *row) string { return r.trace }),
		number("epoch", func(r *row) int64 { return r.epoch }),
	}
	// progress is what changes of it.
	progress = []column[row]{
		number("state", func(r *row) int64 { return int64(r.state) }),
		number("parked", func(r *row) int64 { return flag(r.parked) }),
		number("active", func(r *row) int64 { return flag(r.active()) }),
		text("owner", func(r *row) string { return r.owner }),
		text("reason", func(r *row) string { return r.reason }),
		text("reason_branch", func(r *row) string { return r.reasonBranch }),
		number("reason_code", func(r *row) int64 { return int64(r.reasonCode) }),
		binary("reason_status", func(r *row) []byte { return r.reasonStatus }),
		number("updated_at", func(r *row) int64 { return r.updated }),
		number("ended_at", func(r *row) int64 { return r.ended }),
		number("deadline_at", func(r *row) int64 { return r.deadline }),
		text("park_reason", func(r *row) string { return r.parkReason }),
		text("park_branch", func(r *row) string { return r.parkBranch }),
	}

	createTable = newTable("warren_txn", []column[row]{gidColumn}, slices.Concat(given, progress), nil)
	// transactionTable is for rows that are there already, and keep what they were given.
	transactionTable = newTable("warren_txn", []column[row]{gidColumn}, given, progress)
	branchTable      = newTable("warren_txn_branch",
		[]column[branchRow]{
			text("gid", func(b *branchRow) string { return b.gid }),
			text("name", func(b *branchRow) string { return b.name }),
		},
		[]column[branchRow]{number("position", func(b *branchRow) int64 { return int64(b.position) })},
		[]column[branchRow]{
			number("state", func(b *branchRow) int64 { return int64(b.state) }),
			number("attempts", func(b *branchRow) int64 { return int64(b.attempts) }),
			number("stuck", func(b *branchRow) int64 { return flag(b.stuck) }),
			number("due_at", func(b *branchRow) int64 { return b.due }),
			binary("response", func(b *branchRow) []byte { return b.response }),
			text("error", func(b *branchRow) string { return b.error }),
			binary("definition", func(b *branchRow) []byte { return b.definition }),
			number("did_at", func(b *branchRow) int64 { return b.did.at }),
			number("did_took", func(b *branchRow) int64 { return b.did.took }),
			number("undid_at", func(b *branchRow) int64 { return b.undid.at }),
			number("undid_took", func(b *branchRow) int64 { return b.undid.took }),
		})
	attemptTable = newTable("warren_txn_attempt",
		[]column[attemptRow]{
			text("gid", func(a *attemptRow) string { return a.gid }),
			number("epoch", func(a *attemptRow) int64 { return a.epoch }),
			number("seq", func(a *attemptRow) int64 { return a.seq }),
		},
		[]column[attemptRow]{
			text("branch", func(a *attemptRow) string { return a.branch }),
			number("op", func(a *attemptRow) int64 { return int64(a.op) }),
			number("number", func(a *attemptRow) int64 { return int64(a.number) }),
			text("node", func(a *attemptRow) string { return a.node }),
			number("started_at", func(a *attemptRow) int64 { return a.started }),
			number("took", func(a *attemptRow) int64 { return a.took }),
			number("kind", func(a *attemptRow) int64 { return int64(a.outcome.kind) }),
			number("after_micros", func(a *attemptRow) int64 { return a.outcome.after.Microseconds() }),
			number("code", func(a *attemptRow) int64 { return int64(a.outcome.code) }),
			text("reason", func(a *attemptRow) string { return a.outcome.reason }),
		}, nil)
	actionTable = newTable("warren_txn_action",
		[]column[actionRow]{
			text("gid", func(a *actionRow) string { return a.gid }),
			text("id", func(a *actionRow) string { return a.id }),
		},
		[]column[actionRow]{
			number("acted_at", func(a *actionRow) int64 { return a.at }),
			text("what", func(a *actionRow) string { return a.what }),
			text("branch", func(a *actionRow) string { return a.branch }),
			text("author", func(a *actionRow) string { return a.author }),
			text("reason", func(a *actionRow) string { return a.reason }),
		}, nil)
)

const rowColumns = `gid, name, pattern, token, digest, definition, created_at, trace, epoch,
	state, parked, owner, reason, reason_branch, reason_code, reason_status, updated_at, ended_at, deadline_at, COALESCE(park_reason, ''), park_branch`

func scanRow(rows *store.Rows) (row, error) {
	var r row
	var pattern, state, parked, code int64
	err := rows.Scan(&r.gid, &r.name, &pattern, &r.token, &r.digest, &r.definition, &r.created, &r.trace, &r.epoch,
		&state, &parked, &r.owner, &r.reason, &r.reasonBranch, &code, &r.reasonStatus, &r.updated, &r.ended, &r.deadline, &r.parkReason, &r.parkBranch)
	r.pattern, r.state, r.parked, r.reasonCode = txnv1.Pattern(pattern), txnv1.State(state), parked != 0, int32(code)
	return r, err
}

// readBranches reads the branches of transactions, in their order.
func readBranches(ctx context.Context, q store.Querier, gids []string) (map[string][]branchRow, error) {
	all := map[string][]branchRow{}
	err := in(gids, func(list string, args []any) error {
		rows, err := q.Query(ctx, `SELECT gid, name, position, state, attempts, stuck, due_at, response, error, definition,
			did_at, did_took, undid_at, undid_took
			FROM warren_txn_branch WHERE gid IN `+list+` ORDER BY gid, position, name`, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var b branchRow
			var state, stuck int64
			if err := rows.Scan(&b.gid, &b.name, &b.position, &state, &b.attempts, &stuck, &b.due, &b.response, &b.error, &b.definition,
				&b.did.at, &b.did.took, &b.undid.at, &b.undid.took); err != nil {
				return err
			}
			b.state, b.stuck = txnv1.BranchState(state), stuck != 0
			all[b.gid] = append(all[b.gid], b)
		}
		return rows.Err()
	})
	return all, err
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

func blob(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// maxText bounds what is kept of a text from elsewhere.
const maxText = 2000

// clean makes a text from elsewhere fit for every database: not longer than
// allowed, whole characters, no NUL.
func clean(s string) string {
	if len(s) > maxText {
		cut := maxText
		for cut > 0 && !utf8.RuneStart(s[cut]) {
			cut--
		}
		s = s[:cut] + "…"
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, "�"), "\x00", "�")
}
