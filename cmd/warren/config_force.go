package main

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	settingsv1 "github.com/gowarren/warren/api/warren/settings/v1"
)

func newConfigForce(o *options) *cobra.Command {
	req := &settingsv1.InForceRequest{}
	var changed bool
	c := &cobra.Command{
		Use:   "in-force [name]",
		Short: "Print what instances obey, and which layer says so",
		Long: "Print what instances obey of a setting or, with --of, what one of them obeys, and which layer says so: the centre, " +
			"the system file, or the default.\n\n" +
			"Of an instance that runs an older revision it is what was so then. Methods and contracts may have values of their own: warren policies has them.",
		Example: "  warren config in-force rpc.timeout\n  warren config in-force --of catalog/1 --changed",
		Args:    takes(0, 1, "at most one name"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 && req.GetOf() == "" {
				return errors.New("in-force: name a setting, or an instance or a service with --of")
			}
			if len(args) > 0 {
				req.Setting = args[0]
			}
			return o.withObserve(func(conn grpc.ClientConnInterface) error {
				found, err := settingsv1.NewSettingsServiceClient(conn).InForce(cmd.Context(), req)
				if err != nil {
					return err
				}
				if changed {
					found.Values = departing(found.GetValues())
				}
				if o.json {
					return printJSON(cmd.OutOrStdout(), found)
				}
				return errors.Join(printInForce(cmd, found), note(cmd, "revision %d", found.GetRevision()))
			})
		},
	}
	c.Flags().StringVar(&req.Of, "of", "", "an instance, such as catalog/1, or a service (default all)")
	c.Flags().BoolVar(&changed, "changed", false, "only what is not the default")
	return c
}

// departing are the values that are not the default.
func departing(all []*settingsv1.InForce) []*settingsv1.InForce {
	var out []*settingsv1.InForce
	for _, one := range all {
		if one.GetValue().GetLayer() != "default" {
			out = append(out, one)
		}
	}
	return out
}

func printInForce(cmd *cobra.Command, found *settingsv1.InForceResponse) error {
	t := newTable(cmd.OutOrStdout(), "SETTING", "INSTANCE", "VALUE", "FROM", "SAID FOR", "REVISION")
	for _, one := range found.GetValues() {
		v, from, revision := one.GetValue(), one.GetValue().GetLayer(), strconv.FormatInt(one.GetRevision(), 10)
		if v.GetPosition() != "" {
			from += " (" + v.GetPosition() + ")"
		}
		switch {
		case one.GetState() != "ready" && one.GetRevision() == 0:
			revision = "-" // it does not run yet
		case one.GetRevision() < found.GetRevision():
			revision += fmt.Sprintf(" (%d is the latest)", found.GetRevision())
		}
		t.row(one.GetSetting(), one.GetInstance(), orDash(v.GetValue()), from, orDash(v.GetScope()), revision)
	}
	return t.flush()
}
