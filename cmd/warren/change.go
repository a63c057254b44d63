package main

import (
	"context"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	fleetv1 "github.com/gowarren/warren/api/warren/fleet/v1"
	"github.com/gowarren/warren/internal/supervisor"
)

func newWait(o *options) *cobra.Command {
	var timeout time.Duration
	c := &cobra.Command{
		Use:               "wait [service...]",
		Short:             "Return when everything is ready",
		ValidArgsFunction: o.completeServices,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			return o.withFleet(func(c fleetv1.FleetServiceClient) error {
				resp, err := c.Wait(ctx, &fleetv1.WaitRequest{Services: args})
				if err != nil || !o.json {
					return err
				}
				return printJSON(cmd.OutOrStdout(), resp)
			})
		},
	}
	c.Flags().DurationVar(&timeout, "timeout", time.Minute, "how long to wait")
	return c
}

// why adds the flag that says why somebody changes what runs. It is not asked for
// as that of a setting is: who restarts what they are writing has no more to say.
func why(c *cobra.Command, reason *string) *cobra.Command {
	c.Flags().StringVar(reason, "reason", "", "why, for the audit")
	return c
}

func newRestart(o *options) *cobra.Command {
	var reason string
	return why(&cobra.Command{
		Use:               "restart [service...]",
		Short:             "Build services anew and replace their processes one by one, without losing a request",
		ValidArgsFunction: o.completeServices,
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.withFleet(func(c fleetv1.FleetServiceClient) error {
				resp, err := c.Restart(cmd.Context(), &fleetv1.RestartRequest{Services: args, Author: author(), Reason: reason})
				if err != nil {
					return err
				}
				return o.printChanged(cmd, resp, resp.GetInstances())
			})
		},
	}, &reason)
}

// perCPU is how many instances of one service a machine has use for; more are
// probably a slip of the finger.
const perCPU = 4

func newScale(o *options) *cobra.Command {
	var yes bool
	var reason string
	c := &cobra.Command{
		Use:               "scale service=replicas",
		Short:             "Set how many instances a service has",
		Example:           "  warren scale catalog=3",
		Args:              takes(1, 1, "one service=replicas, such as catalog=3"),
		ValidArgsFunction: o.completeScale,
		RunE: func(cmd *cobra.Command, args []string) error {
			service, count, _ := strings.Cut(args[0], "=")
			n, err := strconv.ParseInt(count, 10, 32)
			if err != nil {
				return fmt.Errorf("scale %q: want service=replicas, for instance catalog=3", args[0])
			}
			if n > int64(perCPU*runtime.NumCPU()) && !yes {
				return fmt.Errorf("scale %s to %d: more than %d for each of this machine's %d CPUs; add --yes if that is meant",
					service, n, perCPU, runtime.NumCPU())
			}
			return o.withFleet(func(c fleetv1.FleetServiceClient) error {
				resp, err := c.Scale(cmd.Context(), &fleetv1.ScaleRequest{Service: service, Replicas: int32(n), Author: author(), Reason: reason})
				if err != nil {
					return err
				}
				return o.printChanged(cmd, resp, resp.GetInstances())
			})
		},
	}
	c.Flags().BoolVar(&yes, "yes", false, "also more than the machine has use for")
	return why(c, &reason)
}

func (o *options) printChanged(cmd *cobra.Command, resp any, instances []*fleetv1.Instance) error {
	if o.json {
		return printJSON(cmd.OutOrStdout(), resp)
	}
	return printInstances(cmd.OutOrStdout(), &fleetv1.ListResponse{Instances: instances})
}

func newKill(o *options) *cobra.Command {
	var signal, reason string
	c := &cobra.Command{
		Use:               "kill instance",
		Short:             "Send a signal to an instance, as an experiment",
		Example:           "  warren kill catalog/1\n  warren kill catalog/1 --signal STOP",
		Args:              takes(1, 1, "one instance, such as catalog/1; warren ps lists them"),
		ValidArgsFunction: o.completeInstances,
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.withFleet(func(c fleetv1.FleetServiceClient) error {
				resp, err := c.Kill(cmd.Context(), &fleetv1.KillRequest{Instance: args[0], Signal: signal, Author: author(), Reason: reason})
				if err != nil || !o.json {
					return err
				}
				return printJSON(cmd.OutOrStdout(), resp)
			})
		},
	}
	c.Flags().StringVar(&signal, "signal", "KILL", "the signal's name")
	return why(c, &reason)
}

func newDown(o *options) *cobra.Command {
	var timeout time.Duration
	var reason string
	c := &cobra.Command{
		Use:   "down",
		Short: "Drain and stop the system",
		Args:  takesNothing,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			return o.withFleet(func(c fleetv1.FleetServiceClient) error {
				resp, err := c.Stop(ctx, &fleetv1.StopRequest{Author: author(), Reason: reason})
				if err != nil {
					return err
				}
				if err := supervisor.WaitGone(ctx, o.dataDir()); err != nil || !o.json {
					return err
				}
				return printJSON(cmd.OutOrStdout(), resp)
			})
		},
	}
	c.Flags().DurationVar(&timeout, "timeout", time.Minute, "how long to wait for the end")
	return why(c, &reason)
}
