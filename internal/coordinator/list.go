package coordinator

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
	"github.com/gowarren/warren/page"
)

// position is where a page of the list ends.
type position struct {
	Created int64  `json:"c"`
	Gid     string `json:"g"`
}

// List returns transactions, newest first.
func (s *operators) List(ctx context.Context, req *txnv1.ListRequest) (*txnv1.ListResponse, error) {
	if _, err := operator(ctx); err != nil {
		return nil, err
	}
	size := int(req.GetPageSize())
	if size == 0 {
		size = 50
	}
	filter, args := filterOf(req)
	name := "transactions " + fmt.Sprint(req.GetStates(), req.GetParked(), "\x00", req.GetName(), "\x00", req.GetGidPrefix())
	if token := req.GetPageToken(); token != "" {
		var at position
		if err := s.pages.Read(ctx, token, name, &at); err != nil {
			return nil, err
		}
		filter = append(filter, `(created_at < ? OR created_at = ? AND gid < ?)`)
		args = append(args, at.Created, at.Created, at.Gid)
	}
	query := `SELECT ` + rowColumns + ` FROM warren_txn WHERE ` + strings.Join(filter, " AND ") + ` ORDER BY created_at DESC, gid DESC LIMIT ?`
	list, err := s.engine.list(ctx, query, append(args, size+1)...)
	if err != nil {
		return nil, away(err)
	}
	list, next, err := page.Cut(ctx, s.pages, name, list, size, func(last row) position { return position{last.created, last.gid} })
	if err != nil {
		return nil, err
	}
	resp := &txnv1.ListResponse{NextPageToken: next}
	for i := range list {
		resp.Transactions = append(resp.Transactions, list[i].view())
	}
	return resp, nil
}

func filterOf(req *txnv1.ListRequest) (filter []string, args []any) {
	filter = []string{"1 = 1"}
	if states := req.GetStates(); len(states) > 0 {
		filter = append(filter, `state IN (?`+strings.Repeat(", ?", len(states)-1)+`)`)
		for _, state := range states {
			args = append(args, int64(state))
		}
	}
	if req.GetParked() {
		filter = append(filter, "parked = 1")
	}
	if req.GetName() != "" {
		filter, args = append(filter, "name = ?"), append(args, req.GetName())
	}
	if p := req.GetGidPrefix(); p != "" {
		escaped := strings.NewReplacer("!", "!!", "%", "!%", "_", "!_").Replace(p)
		filter, args = append(filter, "gid LIKE ? ESCAPE '!'"), append(args, escaped+"%")
	}
	return filter, args
}

func (e *Engine) list(ctx context.Context, query string, args ...any) ([]row, error) {
	rows, err := e.db.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []row
	for rows.Next() {
		r, err := scanRow(rows)
		if err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	return list, rows.Err()
}

// Show returns all that is known of a transaction.
func (s *operators) Show(ctx context.Context, req *txnv1.ShowRequest) (*txnv1.ShowResponse, error) {
	if _, err := operator(ctx); err != nil {
		return nil, err
	}
	t, err := s.engine.find(ctx, req.GetGid())
	if err != nil {
		return nil, err
	}
	attempts, err := s.engine.attempts(ctx, req.GetGid())
	if err != nil {
		return nil, away(err)
	}
	actions, err := s.engine.actions(ctx, req.GetGid())
	if err != nil {
		return nil, away(err)
	}
	attempts = append(attempts, t.successes()...)
	slices.SortStableFunc(attempts, func(a, b *txnv1.Attempt) int {
		return a.GetStartTime().AsTime().Compare(b.GetStartTime().AsTime())
	})
	return &txnv1.ShowResponse{Transaction: t.view(withRequests), Attempts: attempts, Actions: actions}, nil
}

// successes are the calls that succeeded at first, of which only the time is known.
func (t *transaction) successes() (list []*txnv1.Attempt) {
	for _, b := range t.branches {
		for op, s := range map[txnv1.Op]span{t.forwardOp(): b.row.did, t.backwardOp(): b.row.undid} {
			if s.at > 0 {
				list = append(list, &txnv1.Attempt{
					Branch: b.row.name, Op: op, Number: 1, StartTime: stamp(s.at), Took: durationpb.New(time.Duration(s.took) * time.Microsecond),
					Outcome: &txnv1.Outcome{Kind: txnv1.Outcome_KIND_OK},
				})
			}
		}
	}
	return list
}

func (e *Engine) attempts(ctx context.Context, gid string) ([]*txnv1.Attempt, error) {
	rows, err := e.db.Query(ctx, `SELECT branch, op, number, epoch, node, started_at, took, kind, after_micros, code, reason
		FROM warren_txn_attempt WHERE gid = ? ORDER BY epoch, seq`, gid)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []*txnv1.Attempt
	for rows.Next() {
		a := &txnv1.Attempt{Outcome: &txnv1.Outcome{}}
		var op, number, started, took, kind, after, code int64
		if err := rows.Scan(&a.Branch, &op, &number, &a.Epoch, &a.Node, &started, &took, &kind, &after, &code, &a.Outcome.Reason); err != nil {
			return nil, err
		}
		a.Op, a.Number, a.StartTime = txnv1.Op(op), int32(number), stamp(started)
		a.Took = durationpb.New(time.Duration(took) * time.Microsecond)
		a.Outcome.Kind, a.Code = txnv1.Outcome_Kind(kind), int32(codes.Code(code))
		if after > 0 {
			a.Outcome.After = durationpb.New(time.Duration(after) * time.Microsecond)
		}
		list = append(list, a)
	}
	return list, rows.Err()
}

func (e *Engine) actions(ctx context.Context, gid string) ([]*txnv1.Action, error) {
	rows, err := e.db.Query(ctx, `SELECT acted_at, what, branch, author, reason FROM warren_txn_action WHERE gid = ? ORDER BY acted_at, id`, gid)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []*txnv1.Action
	for rows.Next() {
		a := &txnv1.Action{}
		var at int64
		if err := rows.Scan(&at, &a.What, &a.Branch, &a.Author, &a.Reason); err != nil {
			return nil, err
		}
		a.Time = stamp(at)
		list = append(list, a)
	}
	return list, rows.Err()
}
