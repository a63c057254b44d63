package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	shardsv1 "github.com/gowarren/warren/api/warren/shards/v1"
)

// withShards calls f with a client of the running system's shards, and the services
// that have some.
func (o *options) withShards(ctx context.Context, f func(ctx context.Context, services []string, c shardsv1.ShardServiceClient) error) error {
	return o.withContract(ctx, shardsv1.ShardService_ServiceDesc.ServiceName, func(ctx context.Context, services []string, c grpc.ClientConnInterface) error {
		return f(ctx, services, shardsv1.NewShardServiceClient(c))
	})
}

// ofSharded calls f for the shard of one service that the arguments begin with.
func (o *options) ofSharded(ctx context.Context, args []string, f func(ctx context.Context, shard int32, c shardsv1.ShardServiceClient) error) error {
	shard := int64(-1)
	if len(args) > 1 {
		var err error
		if shard, err = strconv.ParseInt(args[1], 10, 32); err != nil || shard < 0 {
			return fmt.Errorf("%q is no number of a shard; warren shards list %s lists them", args[1], args[0])
		}
	}
	return o.withShards(ctx, func(ctx context.Context, services []string, c shardsv1.ShardServiceClient) error {
		if !slices.Contains(services, args[0]) {
			return fmt.Errorf("no service %q with shards runs; there are: %s", args[0], orDash(strings.Join(services, ", ")))
		}
		return f(toService(ctx, args[0]), int32(shard), c)
	})
}

func newShards(o *options) *cobra.Command {
	return newGroup(&cobra.Command{Use: "shards", Short: "See which databases have a service's shards, and move them"},
		newShardsStatus(o), newShardsList(o), newShardsShow(o), newShardsMove(o), newShardsAbort(o))
}

func newShardsStatus(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "List the databases of all services that have shards",
		Args:  takesNothing,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.withShards(cmd.Context(), func(ctx context.Context, services []string, c shardsv1.ShardServiceClient) error {
				all := map[string]*shardsv1.ListResponse{}
				for _, service := range services {
					found, err := c.List(toService(ctx, service), &shardsv1.ListRequest{})
					if err != nil {
						return fmt.Errorf("%s: %w", service, describe(err))
					}
					all[service] = found
				}
				if o.json {
					byService, err := jsonOf(all)
					if err != nil {
						return err
					}
					return printJSON(cmd.OutOrStdout(), byService)
				}
				return printDatabases(cmd.OutOrStdout(), services, all)
			})
		},
	}
}

// printDatabases counts the shards of each database.
func printDatabases(w io.Writer, services []string, all map[string]*shardsv1.ListResponse) error {
	t := newTable(w, "SERVICE", "DATABASE", "SHARDS", "COMING", "LEFT BEHIND")
	for _, service := range services {
		has, coming, behind := map[string]int{}, map[string]int{}, map[string]int{}
		for _, s := range all[service].GetShards() {
			has[s.GetDatabase()]++
			coming[s.GetMovingTo()]++
			behind[s.GetLeftBehind()]++
		}
		names := map[string]bool{}
		for _, counted := range []map[string]int{has, coming, behind} {
			for name := range counted {
				names[name] = name != ""
			}
		}
		for _, name := range slices.Sorted(maps.Keys(names)) {
			if names[name] {
				t.row(service, name, strconv.Itoa(has[name]), strconv.Itoa(coming[name]), strconv.Itoa(behind[name]))
			}
		}
	}
	return t.flush()
}

func newShardsList(o *options) *cobra.Command {
	var moving bool
	c := &cobra.Command{
		Use:   "list service",
		Short: "List the shards of a service: where each is, and where it goes",
		Args:  takes(1, 1, "a service"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.ofSharded(cmd.Context(), args, func(ctx context.Context, _ int32, c shardsv1.ShardServiceClient) error {
				found, err := c.List(ctx, &shardsv1.ListRequest{})
				if err != nil {
					return err
				}
				if moving {
					found.Shards = slices.DeleteFunc(found.GetShards(), func(s *shardsv1.Shard) bool { return s.GetMovingTo()+s.GetLeftBehind() == "" })
				}
				if o.json {
					return printJSON(cmd.OutOrStdout(), found)
				}
				return printShards(cmd.OutOrStdout(), found.GetShards())
			})
		},
	}
	c.Flags().BoolVar(&moving, "moving", false, "only those whose move is under way, or broke off")
	return c
}

func printShards(w io.Writer, list []*shardsv1.Shard) error {
	t := newTable(w, "SHARD", "DATABASE", "EPOCH", "MOVING TO", "COPIED", "WAITING", "LEFT BEHIND")
	for _, s := range list {
		copied, waiting := "-", "-"
		if s.GetMovingTo() != "" {
			copied, waiting = strconv.FormatInt(s.GetCopied(), 10), strconv.FormatInt(s.GetWaiting(), 10)
		}
		t.row(strconv.Itoa(int(s.GetShard())), s.GetDatabase(), strconv.FormatInt(s.GetEpoch(), 10), orDash(s.GetMovingTo()),
			copied, waiting, orDash(s.GetLeftBehind()))
	}
	return t.flush()
}

func newShardsShow(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "show service shard",
		Short: "Print where a shard is, and what was done with it, by whom and why",
		Args:  takes(2, 2, "a service and one of its shards"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.ofSharded(cmd.Context(), args, func(ctx context.Context, shard int32, c shardsv1.ShardServiceClient) error {
				found, err := c.Show(ctx, &shardsv1.ShowRequest{Shard: shard})
				if err != nil {
					return err
				}
				if o.json {
					return printJSON(cmd.OutOrStdout(), found)
				}
				err = printShards(cmd.OutOrStdout(), []*shardsv1.Shard{found.GetShard()})
				for _, a := range found.GetActions() {
					what := strings.TrimSpace(a.GetName() + " " + a.GetTarget())
					err = errors.Join(err, note(cmd, "%s: %s by %s: %s", a.GetTime().AsTime().Format(time.RFC3339), what, a.GetAuthor(), a.GetReason()))
				}
				return err
			})
		},
	}
}

func newShardsMove(o *options) *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use:   "move service shard url",
		Short: "Move a shard to another database, while it is used",
		Long: "Move a shard to another database, while it is used, and print how far that is.\n\n" +
			"If it is interrupted, the shard is still used where it was. The same command goes on with the move, and warren shards abort gives it up.",
		Example: "  warren shards move order 7 'postgres://order@db3/order' --reason 'db1 is full'",
		Args:    takes(3, 3, "a service, one of its shards, and the URL of a database"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if strings.TrimSpace(reason) == "" {
				return errNoReason
			}
			return o.ofSharded(cmd.Context(), args, func(ctx context.Context, shard int32, c shardsv1.ShardServiceClient) error {
				stream, err := c.Move(ctx, &shardsv1.MoveRequest{
					Shard: shard, Database: args[2], By: &shardsv1.By{Author: author(), Reason: reason},
				})
				if err != nil {
					return err
				}
				return o.printMove(cmd, shard, stream.Recv)
			})
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "why, for the history (required)")
	return c
}

// printMove prints how far a move is, a line for each thing that it begins.
func (o *options) printMove(cmd *cobra.Command, shard int32, next func() (*shardsv1.MoveResponse, error)) error {
	last := ""
	for {
		p, err := next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		step := p.GetPhase()
		if step == "copy" {
			step += " " + p.GetTable()
		}
		switch {
		case o.json:
			err = printJSON(cmd.OutOrStdout(), p)
		case step == last:
		case step == "done":
			err = note(cmd, "shard %d was moved: %d rows, %d of them again, fenced for %v", shard,
				p.GetCopied(), p.GetChanged()+p.GetRepaired(), p.GetFenced().AsDuration().Round(time.Millisecond))
		default:
			err = note(cmd, "%s (%d rows so far)", step, p.GetCopied())
		}
		if err != nil {
			return err
		}
		last = step
	}
}

func newShardsAbort(o *options) *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use:   "abort service shard",
		Short: "Give up the move of a shard, which stays where it is",
		Args:  takes(2, 2, "a service and one of its shards"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if strings.TrimSpace(reason) == "" {
				return errNoReason
			}
			return o.ofSharded(cmd.Context(), args, func(ctx context.Context, shard int32, c shardsv1.ShardServiceClient) error {
				got, err := c.Abort(ctx, &shardsv1.AbortRequest{Shard: shard, By: &shardsv1.By{Author: author(), Reason: reason}})
				if err != nil {
					return err
				}
				if o.json {
					return printJSON(cmd.OutOrStdout(), got)
				}
				return note(cmd, "shard %d is at %s", shard, got.GetShard().GetDatabase())
			})
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "why, for the history (required)")
	return c
}
