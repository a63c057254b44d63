package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	fleetv1 "github.com/gowarren/warren/api/warren/fleet/v1"
)

func newLogs(o *options) *cobra.Command {
	var follow bool
	var tail int32
	s := &logSearch{}
	c := &cobra.Command{
		Use:   "logs [service|instance...]",
		Short: "Print what services wrote, and warren, the supervisor; search it",
		Example: `  warren logs -f order
  warren logs --search '"no stock" -retry' --level warn --since 1h
  warren logs --trace 4bf92f3577b34da6a3ce929d0e0e4736`,
		ValidArgsFunction: o.completeLogs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if s.used() {
				return o.searchLogs(cmd, s, args, follow, tail)
			}
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
	c.Flags().Int32VarP(&tail, "tail", "n", 100, "how many of the last lines of each instance, or found")
	s.flags(c.Flags())
	return c
}

func (o *options) printLogs(cmd *cobra.Command, next func() (*fleetv1.LogsResponse, error)) error {
	width := 0
	for {
		line, err := next()
		if ended := errors.Is(err, io.EOF) || cmd.Context().Err() != nil; ended {
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
		width = max(width, len(line.GetInstance()))
		fmt.Fprintf(cmd.OutOrStdout(), "%-*s | %s\n", width, line.GetInstance(), readable(line.GetLine()))
	}
}
