package console

import (
	"context"

	contractsv1 "github.com/gowarren/warren/api/warren/contracts/v1"
	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
	"github.com/gowarren/warren/internal/console/frame"
)

type txnCall func(ctx context.Context, r *frame.Request, gid string, by *txnv1.By) (*txnv1.Transaction, error)

// txnActions are what operators do with transactions.
func (s *screens) txnActions() []frame.Action {
	return []frame.Action{
		txnAction("retry", "Retry", "What failed is called again now, with a new budget of attempts.", false,
			func(ctx context.Context, _ *frame.Request, gid string, by *txnv1.By) (*txnv1.Transaction, error) {
				return s.txn.Retry(ctx, &txnv1.RetryRequest{Gid: gid, By: by})
			}),
		txnAction("compensate", "Compensate", "The saga is turned back: what its steps have done is undone, in reverse. That holds also after its pivot.", true,
			func(ctx context.Context, _ *frame.Request, gid string, by *txnv1.By) (*txnv1.Transaction, error) {
				return s.txn.Compensate(ctx, &txnv1.CompensateRequest{Gid: gid, By: by})
			}),
		txnAction("park", "Park", "It stops until somebody unparks it. What was called already goes on where it is.", false,
			func(ctx context.Context, _ *frame.Request, gid string, by *txnv1.By) (*txnv1.Transaction, error) {
				return s.txn.Park(ctx, &txnv1.ParkRequest{Gid: gid, By: by})
			}),
		txnAction("unpark", "Unpark", "It goes on, with a new budget of attempts.", false,
			func(ctx context.Context, _ *frame.Request, gid string, by *txnv1.By) (*txnv1.Transaction, error) {
				return s.txn.Unpark(ctx, &txnv1.UnparkRequest{Gid: gid, By: by})
			}),
		txnAction("skip", "Skip the step", "The step is taken for done, or for undone if the transaction is being undone. Nothing is called. "+
			"What the step would have changed, somebody has to change by hand.", true,
			func(ctx context.Context, r *frame.Request, gid string, by *txnv1.By) (*txnv1.Transaction, error) {
				return s.txn.Skip(ctx, &txnv1.SkipRequest{Gid: gid, Branch: r.Get("branch"), By: by})
			}),
		s.editAction(),
	}
}

func txnAction(name, verb, says string, danger bool, call txnCall) frame.Action {
	return frame.Action{
		Name: name, Path: "/transactions/{gid}/" + name, Needs: frame.Operator,
		Ask: func(r *frame.Request) (frame.Form, error) {
			gid := r.PathValue("gid")
			f := frame.Form{Title: verb + ": " + gid, Submit: verb, Says: []string{says}, Danger: danger, Back: txnHref(gid)}
			if danger {
				f.Type = gid
			}
			if r.Get("branch") != "" {
				f.Title = verb + " " + r.Get("branch")
			}
			return f, nil
		},
		Do: func(r *frame.Request) (frame.Outcome, error) {
			gid := r.PathValue("gid")
			t, err := call(r.Context(), r, gid, &txnv1.By{Author: r.Caller.Name, Reason: r.Reason()})
			return frame.Outcome{Title: gid + " is " + stateOfTxn(t).Word, Back: txnHref(gid)}, err
		},
	}
}

// What becomes of an edit where the step may have been done by its old request.
const (
	refused = "refuse the edit"
	forced  = "edit all the same"
)

// editAction replaces the request of a step, as JSON.
func (s *screens) editAction() frame.Action {
	method := func(r *frame.Request) (string, []byte, error) {
		shown, err := s.txn.Show(r.Context(), &txnv1.ShowRequest{Gid: r.PathValue("gid")})
		if err != nil {
			return "", nil, err
		}
		for _, b := range shown.GetTransaction().GetBranches() {
			if b.GetName() == r.Get("branch") {
				return b.GetMethod(), b.GetRequest(), nil
			}
		}
		return "", nil, &frame.Problem{Status: 404, Title: "It is not there", Text: "The transaction has no such step."}
	}
	a := txnAction("edit", "Edit", "", false, func(ctx context.Context, r *frame.Request, gid string, by *txnv1.By) (*txnv1.Transaction, error) {
		name, _, err := method(r)
		if err != nil {
			return nil, err
		}
		encoded, err := s.contracts.Encode(ctx, &contractsv1.EncodeRequest{Method: name, Json: r.PostForm.Get("request")})
		if err != nil {
			return nil, err
		}
		return s.txn.Edit(ctx, &txnv1.EditRequest{
			Gid: gid, Branch: r.Get("branch"), Request: &txnv1.EditRequest_Data{Data: encoded.GetData()}, By: by,
			Force: r.PostForm.Get("force") == forced,
		})
	})
	a.Ask = func(r *frame.Request) (frame.Form, error) {
		name, request, err := method(r)
		if err != nil {
			return frame.Form{}, err
		}
		return frame.Form{
			Title: "Edit the request of " + r.Get("branch"), Submit: "Replace and go on", Back: txnHref(r.PathValue("gid")),
			Says: []string{"The step is called with the new request. Whoever has answered the old one already is not asked again."},
			Fields: []frame.Field{
				{Name: "request", Label: "Request, in JSON", Kind: "area", Value: frame.Indented(s.decoded(r.Context(), name, request, false))},
				{
					Name: "force", Label: "Where the old request may have been done", Kind: "choice", Value: refused, Choices: []string{refused, forced},
					Help: "Forced, the step may have happened by its old request while the transaction knows the new one only: look first.",
				},
			},
		}, nil
	}
	return a
}
