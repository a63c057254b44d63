package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	fleetv1 "github.com/gowarren/warren/api/warren/fleet/v1"
)

func newPs(o *options) *cobra.Command {
	return &cobra.Command{
		Use:               "ps [service...]",
		Short:             "List what runs where, and what those that are not ready wait for",
		ValidArgsFunction: o.completeServices,
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.withFleet(func(c fleetv1.FleetServiceClient) error {
				req := &fleetv1.ListRequest{Services: args, Checks: fleetv1.Checks_CHECKS_UNREADY}
				if len(args) > 0 {
					req.Checks = fleetv1.Checks_CHECKS_ALL
				}
				resp, err := c.List(cmd.Context(), req)
				if err != nil {
					return err
				}
				if o.json {
					return printJSON(cmd.OutOrStdout(), resp)
				}
				if err := printInstances(cmd.OutOrStdout(), resp); err != nil {
					return err
				}
				return printChecks(cmd.OutOrStdout(), resp.GetInstances(), len(args) > 0)
			})
		},
	}
}

// printChecks says of instances what they need to be ready, and how that is: all
// of it, or what fails.
func printChecks(w io.Writer, instances []*fleetv1.Instance, all bool) error {
	t := newTable(w, "INSTANCE", "NEEDS", "STATE", "WHY")
	some := false
	for _, i := range instances {
		for _, c := range i.GetChecks() {
			state := "ok"
			if !c.GetOk() {
				state = "fails"
			}
			if all || !c.GetOk() {
				some = true
				t.row(i.GetId(), c.GetName(), state, orDash(oneLine(c.GetReason())))
			}
		}
		if i.GetUnchecked() != "" {
			some = true
			t.row(i.GetId(), "-", "unknown", oneLine(i.GetUnchecked()))
		}
	}
	if !some {
		return nil // nobody was asked, or all is well
	}
	fmt.Fprintln(w)
	return t.flush()
}

// pidOf is empty-handed for an instance that has no process now, or one of
// which only the registry knows.
func pidOf(i *fleetv1.Instance) string {
	if i.GetPid() == 0 {
		return "-"
	}
	return strconv.FormatInt(i.GetPid(), 10)
}

func printInstances(w io.Writer, resp *fleetv1.ListResponse) error {
	t := newTable(w, "INSTANCE", "STATE", "ADDRESS", "ADMIN", "PID", "AGE", "RESTARTS", "VERSION")
	for _, i := range resp.GetInstances() {
		state := strings.ToLower(strings.TrimPrefix(i.GetState().String(), "STATE_"))
		restarts := strconv.Itoa(int(i.GetRestarts()))
		if e := i.GetLastExit(); e != nil {
			restarts += " (" + e.GetHow() + ")"
		}
		t.row(i.GetId(), state, orDash(i.GetAddress()), orDash(i.GetAdmin()), pidOf(i),
			age(i.GetStarted().AsTime()), restarts, orDash(i.GetVersion()))
	}
	for _, e := range resp.GetEngines() {
		where := "external"
		if e.GetEmbedded() {
			where = "embedded"
		}
		if e.GetProblem() != "" {
			where += ", " + e.GetProblem()
		}
		t.row(e.GetRole(), where, orDash(e.GetAddress()), "", "", "", "", e.GetKind())
	}
	return t.flush()
}
