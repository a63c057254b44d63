package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	settingsv1 "github.com/gowarren/warren/api/warren/settings/v1"
)

func newPolicies(o *options) *cobra.Command {
	var changed bool
	c := &cobra.Command{
		Use: "policies <service>", Short: "Show what holds for the methods of a service (timeouts, retries, limits …), and which layer says so",
		Args: takes(1, 1, "one service; warren ps lists them"), ValidArgsFunction: o.completeServices,
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.withObserve(func(conn grpc.ClientConnInterface) error {
				resp, err := settingsv1.NewPolicyServiceClient(conn).List(cmd.Context(), &settingsv1.ListPoliciesRequest{Service: args[0]})
				if err != nil {
					return err
				}
				if o.json {
					return printJSON(cmd.OutOrStdout(), resp)
				}
				for _, name := range resp.GetMissing() {
					fmt.Fprintf(cmd.ErrOrStderr(), "%s can't be read: nobody who serves it is ready\n", name)
				}
				t := newTable(cmd.OutOrStdout(), "METHOD", "POLICY", "IN FORCE", "FROM", "SAID FOR", "SETTING", "OTHERWISE FOR")
				for _, p := range resp.GetPolicies() {
					if changed && p.GetLayer() == "default" && len(p.GetExceptions()) == 0 {
						continue
					}
					t.row(policyCells(p)...)
				}
				return t.flush()
			})
		},
	}
	c.Flags().BoolVar(&changed, "changed", false, "only what is not the default")
	return c
}

func policyCells(p *settingsv1.Policy) []string {
	from, scope := p.GetLayer(), p.GetScope()
	if p.GetPosition() != "" {
		from += " (" + p.GetPosition() + ")"
	}
	if scope == p.GetMethod() || from == "default" {
		scope = ""
	}
	var others []string
	for _, e := range p.GetExceptions() {
		others = append(others, fmt.Sprintf("%s: %s (%s)", e.GetService(), e.GetValue(), e.GetLayer()))
	}
	return []string{
		orDash(strings.TrimPrefix(p.GetMethod(), "/")), p.GetKind() + " " + p.GetName(), p.GetValue(), from, orDash(scope), orDash(p.GetSetting()),
		orDash(strings.Join(others, ", ")),
	}
}
