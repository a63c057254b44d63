package coordinator

import (
	"context"
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
	transactionTable = newTable("warren_txn", []string{"gid"},
		[]string{"name", "pattern", "token", "digest", "definition", "created_at", "trace", "epoch"},
		[]string{"state", "parked", "active", "owner", "reason", "reason_branch", "reason_code", "reason_status", "updated_at", "ended_at", "deadline_at",
			"park_reason", "park_branch"})
	createTable = newTable("warren_txn", []string{"gid"},
		[]string{"name", "pattern", "token", "digest", "definition", "created_at", "trace", "epoch",
			"state", "parked", "active", "owner", "reason", "reason_branch", "reason_code", "reason_status", "updated_at", "ended_at", "deadline_at",
			"park_reason", "park_branch"}, nil)
	branchTable = newTable("warren_txn_branch", []string{"gid", "name"}, []string{"position"},
		[]string{"state", "attempts", "stuck", "due_at", "response", "error", "definition", "did_at", "did_took", "undid_at", "undid_took"})
	attemptTable = newTable("warren_txn_attempt", []string{"gid", "epoch", "seq"},
		[]string{"branch", "op", "number", "node", "started_at", "took", "kind", "after_micros", "code", "reason"}, nil)
	actionTable = newTable("warren_txn_action", []string{"gid", "id"},
		[]string{"acted_at", "what", "branch", "author", "reason"}, nil)
)

// values are in the order of both tables' columns. What never changes is left
// out where the row is there already.
func (r *row) values(create bool) []any {
	definition := []byte{}
	if create {
		definition = blob(r.definition)
	}
	return []any{r.gid, r.name, int64(r.pattern), r.token, r.digest, definition, r.created, r.trace, r.epoch,
		int64(r.state), flag(r.parked), flag(r.active()), r.owner, r.reason, r.reasonBranch, int64(r.reasonCode), blob(r.reasonStatus),
		r.updated, r.ended, r.deadline, r.parkReason, r.parkBranch}
}

func (b *branchRow) values() []any {
	return []any{b.gid, b.name, b.position, int64(b.state), b.attempts, flag(b.stuck), b.due, blob(b.response), b.error, blob(b.definition),
		b.did.at, b.did.took, b.undid.at, b.undid.took}
}

func (a *attemptRow) values() []any {
	return []any{a.gid, a.epoch, a.seq, a.branch, int64(a.op), a.number, a.node, a.started, a.took,
		int64(a.outcome.kind), a.outcome.after.Microseconds(), int64(a.outcome.code), a.outcome.reason}
}

func (a *actionRow) values() []any {
	return []any{a.gid, a.id, a.at, a.what, a.branch, a.author, a.reason}
}

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
