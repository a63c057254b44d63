package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	fleetv1 "github.com/gowarren/warren/api/warren/fleet/v1"
	"github.com/gowarren/warren/internal/supervisor"
)

// dataDir is where the running system lives.
func (o *options) dataDir() string {
	if o.data != "" {
		return o.data
	}
	return filepath.Join(filepath.Dir(o.file), ".warren")
}

// withFleet calls f with a client of the running supervisor.
func (o *options) withFleet(f func(fleetv1.FleetServiceClient) error) error {
	conn, err := supervisor.Dial(o.dataDir())
	if err != nil {
		return err
	}
	defer conn.Close()
	return f(fleetv1.NewFleetServiceClient(conn))
}

func newPs(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "ps [service...]",
		Short: "List what runs where",
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.withFleet(func(c fleetv1.FleetServiceClient) error {
				resp, err := c.List(cmd.Context(), &fleetv1.ListRequest{Services: args})
				if err != nil {
					return err
				}
				if o.json {
					return printJSON(cmd.OutOrStdout(), resp)
				}
				return printInstances(cmd.OutOrStdout(), resp)
			})
		},
	}
}

func printInstances(w io.Writer, resp *fleetv1.ListResponse) error {
	t := newTable(w, "INSTANCE", "STATE", "ADDRESS", "ADMIN", "PID", "AGE", "RESTARTS", "VERSION")
	for _, i := range resp.GetInstances() {
		state := strings.ToLower(strings.TrimPrefix(i.GetState().String(), "STATE_"))
		restarts := strconv.Itoa(int(i.GetRestarts()))
		if e := i.GetLastExit(); e != nil {
			restarts += " (" + e.GetHow() + ")"
		}
		t.row(i.GetId(), state, orDash(i.GetAddress()), orDash(i.GetAdmin()), strconv.FormatInt(i.GetPid(), 10),
			age(i.GetStarted().AsTime()), restarts, orDash(i.GetVersion()))
	}
	for _, e := range resp.GetEngines() {
		where := "external"
		if e.GetEmbedded() {
			where = "embedded"
		}
		t.row(e.GetRole(), where, orDash(e.GetAddress()), "", "", "", "", e.GetKind())
	}
	return t.flush()
}

func newLogs(o *options) *cobra.Command {
	var follow bool
	var tail int32
	c := &cobra.Command{
		Use:   "logs [service|instance...]",
		Short: "Print what services wrote",
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.withFleet(func(c fleetv1.FleetServiceClient) error {
				stream, err := c.Logs(cmd.Context(), &fleetv1.LogsRequest{Services: args, Tail: tail, Follow: follow})
				if err != nil {
					return err
				}
				return o.printLogs(cmd, stream.Recv)
			})
		},
	}
	c.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what is written")
	c.Flags().Int32VarP(&tail, "tail", "n", 100, "how many of the last lines of each instance")
	return c
}

func (o *options) printLogs(cmd *cobra.Command, next func() (*fleetv1.LogsResponse, error)) error {
	for {
		line, err := next()
		if errors.Is(err, io.EOF) || cmd.Context().Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if o.json {
			if err := printJSON(cmd.OutOrStdout(), line); err != nil {
				return err
			}
			continue
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s | %s\n", line.GetInstance(), line.GetLine())
	}
}

func newWait(o *options) *cobra.Command {
	var timeout time.Duration
	c := &cobra.Command{
		Use:   "wait [service...]",
		Short: "Return when everything is ready",
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

func newRestart(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "restart [service...]",
		Short: "Replace the processes of services one by one, without losing a request",
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.withFleet(func(c fleetv1.FleetServiceClient) error {
				resp, err := c.Restart(cmd.Context(), &fleetv1.RestartRequest{Services: args})
				if err != nil {
					return err
				}
				return o.printChanged(cmd, resp, resp.GetInstances())
			})
		},
	}
}

func newScale(o *options) *cobra.Command {
	return &cobra.Command{
		Use:     "scale service=replicas",
		Short:   "Set how many instances a service has",
		Example: "  warren scale catalog=3",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			service, count, _ := strings.Cut(args[0], "=")
			n, err := strconv.ParseInt(count, 10, 32)
			if err != nil {
				return fmt.Errorf("scale %q: want service=replicas, for instance catalog=3", args[0])
			}
			return o.withFleet(func(c fleetv1.FleetServiceClient) error {
				resp, err := c.Scale(cmd.Context(), &fleetv1.ScaleRequest{Service: service, Replicas: int32(n)})
				if err != nil {
					return err
				}
				return o.printChanged(cmd, resp, resp.GetInstances())
			})
		},
	}
}

func (o *options) printChanged(cmd *cobra.Command, resp any, instances []*fleetv1.Instance) error {
	if o.json {
		return printJSON(cmd.OutOrStdout(), resp)
	}
	return printInstances(cmd.OutOrStdout(), &fleetv1.ListResponse{Instances: instances})
}

func newKill(o *options) *cobra.Command {
	var signal string
	c := &cobra.Command{
		Use:     "kill instance",
		Short:   "Send a signal to an instance, as an experiment",
		Example: "  warren kill catalog/1\n  warren kill catalog/1 --signal STOP",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.withFleet(func(c fleetv1.FleetServiceClient) error {
				resp, err := c.Kill(cmd.Context(), &fleetv1.KillRequest{Instance: args[0], Signal: signal})
				if err != nil || !o.json {
					return err
				}
				return printJSON(cmd.OutOrStdout(), resp)
			})
		},
	}
	c.Flags().StringVar(&signal, "signal", "KILL", "the signal's name")
	return c
}

func newDown(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "down",
		Short: "Drain and stop the system",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.withFleet(func(c fleetv1.FleetServiceClient) error {
				resp, err := c.Stop(cmd.Context(), &fleetv1.StopRequest{})
				if err != nil || !o.json {
					return err
				}
				return printJSON(cmd.OutOrStdout(), resp)
			})
		},
	}
}
