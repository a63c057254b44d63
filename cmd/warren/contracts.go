package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	contractsv1 "github.com/gowarren/warren/api/warren/contracts/v1"
)

func newContracts(o *options) *cobra.Command {
	return &cobra.Command{
		Use:     "contracts [contract]",
		Short:   "List what is served and by whom, or what one contract says of its methods",
		Example: "  warren contracts\n  warren contracts shop.order.v1.OrderService",
		Args:    takes(0, 1, "at most one contract"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.withObserve(func(conn grpc.ClientConnInterface) error {
				client := contractsv1.NewContractServiceClient(conn)
				if len(args) > 0 {
					d, err := client.Describe(cmd.Context(), &contractsv1.DescribeRequest{Contract: args[0]})
					if err != nil {
						return err
					}
					if o.json {
						return printJSON(cmd.OutOrStdout(), d)
					}
					return printContract(cmd.OutOrStdout(), d)
				}
				list, err := client.List(cmd.Context(), &contractsv1.ListRequest{})
				if err != nil {
					return err
				}
				if o.json {
					return printJSON(cmd.OutOrStdout(), list)
				}
				t := newTable(cmd.OutOrStdout(), "CONTRACT", "INSTANCES", "SERVED BY")
				for _, one := range list.GetContracts() {
					t.row(one.GetName(), strconv.Itoa(len(one.GetInstances())), strings.Join(one.GetServices(), ", "))
				}
				return t.flush()
			})
		},
	}
}

// printContract prints what a contract promises of each method.
func printContract(w io.Writer, d *contractsv1.DescribeResponse) error {
	fmt.Fprintf(w, "%s, served by %s\n", d.GetContract().GetName(), orDash(strings.Join(d.GetContract().GetServices(), ", ")))
	if d.GetDoc() != "" {
		fmt.Fprintln(w, plain(d.GetDoc()))
	}
	fmt.Fprintln(w)
	t := newTable(w, "METHOD", "WHO MAY CALL", "EFFECT", "KEY", "TIMEOUT", "REST", "TAKES", "RETURNS")
	for _, m := range d.GetMethods() {
		access, effect, timeout := m.GetAccess(), "changes", "-"
		if len(m.GetRoles()) > 0 {
			access += ": " + strings.Join(m.GetRoles(), ", ")
		}
		switch {
		case m.GetSafe():
			effect = "reads"
		case m.GetIdempotent():
			effect = "changes once"
		}
		if m.GetTimeout() != nil {
			timeout = m.GetTimeout().AsDuration().String()
		}
		var routes []string
		for _, r := range m.GetRoutes() {
			routes = append(routes, r.GetMethod()+" "+r.GetPath())
		}
		t.row(m.GetName(), access, effect, m.GetIdempotencyKey(), timeout, orDash(strings.Join(routes, ", ")),
			streamed(m.GetClientStreams(), m.GetInput()), streamed(m.GetServerStreams(), m.GetOutput()))
	}
	return t.flush()
}

func streamed(many bool, message string) string {
	if many {
		return "stream of " + message
	}
	return message
}
