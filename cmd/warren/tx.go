package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/status"

	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
)

// operator calls the coordinator in the name of whoever sits at the machine: it
// believes the author from this caller only.
const operator = "cli"

// withCoordinator calls f with a client of the running system's coordinator.
func (o *options) withCoordinator(ctx context.Context, f func(context.Context, txnv1.OperatorServiceClient) error) error {
	return o.visitCoordinator(ctx, func(ctx context.Context, _ *guest, c txnv1.OperatorServiceClient) error { return f(ctx, c) })
}

func (o *options) visitCoordinator(ctx context.Context, f func(context.Context, *guest, txnv1.OperatorServiceClient) error) error {
	g, err := o.visit(ctx)
	if err != nil {
		return err
	}
	defer g.close()
	contract := txnv1.OperatorService_ServiceDesc.ServiceName
	if len(g.registry.Contract(contract)) == 0 {
		return errors.New("no coordinator runs in this system; engines.transactions in the system file has one started, and warren ps tells whether it is up")
	}
	conn, end, err := o.operators(g)
	if err != nil {
		return err
	}
	defer func() { _ = end() }()
	err = f(ctx, g, txnv1.NewOperatorServiceClient(conn))
	if _, received := status.FromError(err); err != nil && received {
		return describe(err)
	}
	return err
}

func newTx(o *options) *cobra.Command {
	return newGroup(&cobra.Command{Use: "tx", Short: "Look after distributed transactions"},
		newTxList(o), newTxShow(o), newTxEdit(o),
		newTxChange(o, txChange{
			use: "retry transaction", short: "Call what failed again now, with a new budget of attempts",
			do: func(ctx context.Context, c txnv1.OperatorServiceClient, args []string, by *txnv1.By) (*txnv1.Transaction, error) {
				return c.Retry(ctx, &txnv1.RetryRequest{Gid: args[0], By: by})
			},
		}),
		newTxChange(o, txChange{
			use: "compensate transaction", short: "Undo a saga, also one that has passed its pivot",
			do: func(ctx context.Context, c txnv1.OperatorServiceClient, args []string, by *txnv1.By) (*txnv1.Transaction, error) {
				return c.Compensate(ctx, &txnv1.CompensateRequest{Gid: args[0], By: by})
			},
		}),
		newTxChange(o, txChange{
			use: "skip transaction step", short: "Take a step for done, or for undone if it is being undone, and go on",
			steps: 1,
			do: func(ctx context.Context, c txnv1.OperatorServiceClient, args []string, by *txnv1.By) (*txnv1.Transaction, error) {
				return c.Skip(ctx, &txnv1.SkipRequest{Gid: args[0], Branch: args[1], By: by})
			},
		}),
		newTxChange(o, txChange{
			use: "park transaction", short: "Stop a transaction until it is unparked",
			do: func(ctx context.Context, c txnv1.OperatorServiceClient, args []string, by *txnv1.By) (*txnv1.Transaction, error) {
				return c.Park(ctx, &txnv1.ParkRequest{Gid: args[0], By: by})
			},
		}),
		newTxChange(o, txChange{
			use: "unpark transaction", short: "Let a parked transaction go on, with a new budget of attempts",
			do: func(ctx context.Context, c txnv1.OperatorServiceClient, args []string, by *txnv1.By) (*txnv1.Transaction, error) {
				return c.Unpark(ctx, &txnv1.UnparkRequest{Gid: args[0], By: by})
			},
		}))
}

// txChange is a command that changes one transaction.
type txChange struct {
	use, short string
	steps      int // how many steps are named after the transaction
	do         func(ctx context.Context, c txnv1.OperatorServiceClient, args []string, by *txnv1.By) (*txnv1.Transaction, error)
}

func newTxChange(o *options, change txChange) *cobra.Command {
	what := "one transaction; warren tx list lists them"
	if change.steps > 0 {
		what = "a transaction and one of its steps; warren tx show lists them"
	}
	var reason string
	c := &cobra.Command{
		Use:   change.use,
		Short: change.short,
		Args:  takes(1+change.steps, 1+change.steps, what),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.changeTx(cmd, reason, func(ctx context.Context, _ *guest, c txnv1.OperatorServiceClient, by *txnv1.By) (*txnv1.Transaction, error) {
				return change.do(ctx, c, args, by)
			})
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "why, for the history (required)")
	return c
}

// changeTx changes a transaction in the user's name, and prints what it is then.
func (o *options) changeTx(cmd *cobra.Command, reason string,
	do func(context.Context, *guest, txnv1.OperatorServiceClient, *txnv1.By) (*txnv1.Transaction, error),
) error {
	if strings.TrimSpace(reason) == "" {
		return errNoReason
	}
	return o.visitCoordinator(cmd.Context(), func(ctx context.Context, g *guest, c txnv1.OperatorServiceClient) error {
		t, err := do(ctx, g, c, &txnv1.By{Author: author(), Reason: reason})
		if err != nil {
			return err
		}
		if o.json {
			return printJSON(cmd.OutOrStdout(), t)
		}
		return printTransactions(cmd.OutOrStdout(), []*txnv1.Transaction{t})
	})
}

func newTxList(o *options) *cobra.Command {
	var states []string
	var parked, all bool
	request := &txnv1.ListRequest{}
	c := &cobra.Command{
		Use:     "list",
		Short:   "List transactions, newest first; those that have not ended, unless flags say otherwise",
		Example: "  warren tx list --parked\n  warren tx list --name checkout --state failed",
		Args:    takesNothing,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := filterBy(request, states, parked, all); err != nil {
				return err
			}
			return o.withCoordinator(cmd.Context(), func(ctx context.Context, c txnv1.OperatorServiceClient) error {
				found, err := c.List(ctx, request)
				if err != nil {
					return err
				}
				if o.json {
					return printJSON(cmd.OutOrStdout(), found)
				}
				if err := printTransactions(cmd.OutOrStdout(), found.GetTransactions()); err != nil || found.GetNextPageToken() == "" {
					return err
				}
				return note(cmd, "there are more: --page %s", found.GetNextPageToken())
			})
		},
	}
	flags := c.Flags()
	flags.StringSliceVar(&states, "state", nil, "only these: "+strings.Join(stateNames(), ", "))
	flags.BoolVar(&parked, "parked", false, "only those that wait for an operator")
	flags.BoolVar(&all, "all", false, "also those that have ended")
	flags.StringVar(&request.Name, "name", "", "only those of this name, such as checkout")
	flags.StringVar(&request.GidPrefix, "prefix", "", "only those whose id begins so")
	flags.Int32Var(&request.PageSize, "limit", 50, "how many at most, up to 500")
	flags.StringVar(&request.PageToken, "page", "", "where an earlier list ended")
	return c
}

// unfinished are the states of what has not ended.
func unfinished() []txnv1.State {
	return []txnv1.State{txnv1.State_STATE_PREPARED, txnv1.State_STATE_WAITING, txnv1.State_STATE_RUNNING, txnv1.State_STATE_UNDOING}
}

func filterBy(request *txnv1.ListRequest, states []string, parked, all bool) error {
	request.Parked = parked
	for _, s := range states {
		n, ok := txnv1.State_value["STATE_"+strings.ToUpper(s)]
		if !ok || n == 0 {
			return fmt.Errorf("list: there is no state %q; there are %s", s, strings.Join(stateNames(), ", "))
		}
		request.States = append(request.States, txnv1.State(n))
	}
	if len(states) == 0 && !all && !parked {
		request.States = unfinished()
	}
	return nil
}

func stateNames() []string {
	var out []string
	for n := range txnv1.State_name {
		if n != 0 {
			out = append(out, stateName(txnv1.State(n)))
		}
	}
	slices.Sort(out)
	return out
}

func newTxShow(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "show transaction",
		Short: "Print a transaction: its steps, every attempt, and what operators did",
		Args:  takes(1, 1, "one transaction; warren tx list lists them"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.withCoordinator(cmd.Context(), func(ctx context.Context, c txnv1.OperatorServiceClient) error {
				shown, err := c.Show(ctx, &txnv1.ShowRequest{Gid: args[0]})
				if err != nil {
					return err
				}
				if o.json {
					return printJSON(cmd.OutOrStdout(), shown)
				}
				return printTransaction(cmd.OutOrStdout(), shown)
			})
		},
	}
}
