package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gowarren/warren/config"
)

// errNoReason asks for what a history is worthless without.
var errNoReason = errors.New("say why with --reason, for the history")

func newConfigSet(o *options) *cobra.Command {
	var on, reason string
	var force bool
	c := &cobra.Command{
		Use:   "set name=value... | name-...",
		Short: "Change settings, all at once or none; name- removes a value",
		Example: "  warren config set rpc.timeout=300ms --on shop.catalog.v1.CatalogService/ListProducts --reason 'list is slow'\n" +
			"  warren config set rpc.timeout- --on shop.catalog.v1.CatalogService/ListProducts --reason 'fixed'",
		Args: takes(1, many, "settings as name=value, or name- to remove a value"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if reason == "" {
				return errNoReason
			}
			edits, err := parseEdits(args, on)
			if err != nil {
				return err
			}
			if !force && slices.ContainsFunc(edits, func(e config.Edit) bool { return e.New != nil }) {
				if err := o.checkPlace(cmd.Context(), edits[0].Scope); err != nil {
					return fmt.Errorf("set on %s: %w; --force sets it all the same", on, err)
				}
			}
			return o.changeSettings(cmd, "set", placesOf(edits), reason, func(ctx context.Context, c *config.Centre) (config.Change, error) {
				return c.Set(ctx, edits, author(), reason)
			})
		},
	}
	c.Flags().StringVar(&on, "on", "", "where: a service, a contract, or contract/method (default everywhere)")
	c.Flags().StringVar(&reason, "reason", "", "why, for the history (required)")
	c.Flags().BoolVar(&force, "force", false, "also where nobody is who would obey")
	return c
}

// changeSettings changes the centre, which may be another environment's than that
// of the system that runs, and tells what was changed.
func (o *options) changeSettings(
	cmd *cobra.Command, action, target, reason string, do func(context.Context, *config.Centre) (config.Change, error),
) error {
	return o.withCentre(cmd.Context(), func(ctx context.Context, c *config.Centre) error {
		change, err := do(ctx, c)
		if o.environment != "" {
			target += " in " + o.environment
		}
		if os.Getenv("WARREN_CONFIG") == "" { // otherwise it is another system's
			o.record(cmd, action, target, reason, err)
		}
		if err != nil {
			return err
		}
		return o.printChange(cmd, change)
	})
}

// placesOf are the settings that edits change, without their values.
func placesOf(edits []config.Edit) string {
	var out []string
	for _, e := range edits {
		out = append(out, e.Name+" on "+e.Scope.String())
	}
	return strings.Join(out, ", ")
}

func parseEdits(args []string, on string) ([]config.Edit, error) {
	scope, err := config.ParseScope(on)
	if err != nil {
		return nil, err
	}
	var edits []config.Edit
	for _, arg := range args {
		name, value, set := strings.Cut(arg, "=")
		e := config.Edit{Name: name, Scope: scope, New: &value}
		if !set {
			var removed bool
			if e.Name, removed = strings.CutSuffix(arg, "-"); !removed {
				return nil, fmt.Errorf("set %q: want name=value, or name- to remove the value", arg)
			}
			e.New = nil
		}
		edits = append(edits, e)
	}
	return edits, nil
}

// author is who the operating system says that we are.
func author() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "unknown"
}

func (o *options) printChange(cmd *cobra.Command, change config.Change) error {
	if o.json {
		return printJSON(cmd.OutOrStdout(), change)
	}
	if len(change.Edits) == 0 {
		return note(cmd, "nothing to change")
	}
	return errors.Join(printEdits(cmd, change.Edits), note(cmd, "revision %d", change.Revision))
}

func printEdits(cmd *cobra.Command, edits []config.Edit) error {
	t := newTable(cmd.OutOrStdout(), "NAME", "SCOPE", "OLD", "NEW")
	for _, e := range edits {
		t.row(e.Name, e.Scope.String(), orUnset(e.Old), orUnset(e.New))
	}
	return t.flush()
}

func orUnset(v *string) string {
	if v == nil {
		return "(unset)"
	}
	return *v
}

func note(cmd *cobra.Command, format string, args ...any) error {
	_, err := fmt.Fprintf(cmd.OutOrStdout(), format+"\n", args...)
	return err
}

func newConfigRollback(o *options) *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use:   "rollback revision",
		Short: "Put the values of an earlier revision in force again",
		Args:  takes(1, 1, "one revision; warren config history lists them"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if reason == "" {
				return errNoReason
			}
			revisions, err := parseRevisions(args)
			if err != nil {
				return err
			}
			target := fmt.Sprintf("revision %d", revisions[0])
			return o.changeSettings(cmd, "rollback", target, reason, func(ctx context.Context, c *config.Centre) (config.Change, error) {
				return c.Rollback(ctx, revisions[0], author(), reason)
			})
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "why, for the history (required)")
	return c
}
