package main

import (
	"context"
	"errors"
	"fmt"
	"os/user"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/internal/node"
)

// withCentre calls f with the configuration centre of the running system, or
// of the one that the environment names.
func (o *options) withCentre(ctx context.Context, f func(context.Context, *config.Centre) error) error {
	env, err := o.environmentOf()
	if err != nil {
		return err
	}
	if env.Config == "" {
		return fmt.Errorf("no configuration centre: no system runs in %s, and WARREN_CONFIG names none", o.dataDir())
	}
	driver, err := node.OpenConfig(ctx, env.Config)
	if err != nil {
		return err
	}
	defer driver.Close()
	centre, err := config.NewCentre(driver, env.Environment)
	if err != nil {
		return err
	}
	const patience = 10 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return f(ctx, centre)
}

func newConfig(o *options) *cobra.Command {
	c := &cobra.Command{Use: "config", Short: "Read and change live settings"}
	c.AddCommand(newConfigGet(o), newConfigSet(o), newConfigDiff(o), newConfigHistory(o), newConfigRollback(o), newConfigList(o))
	return c
}

func newConfigGet(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "get [name]",
		Short: "Print the values that the centre holds",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.withCentre(cmd.Context(), func(ctx context.Context, c *config.Centre) error {
				revision, entries, err := c.Get(ctx)
				if err != nil {
					return err
				}
				entries = named(entries, args)
				if o.json {
					return printJSON(cmd.OutOrStdout(), map[string]any{"revision": revision, "entries": entries})
				}
				t := newTable(cmd.OutOrStdout(), "NAME", "SCOPE", "VALUE")
				for _, e := range entries {
					t.row(e.Name, e.Scope.String(), e.Value)
				}
				return errors.Join(t.flush(), note(cmd, "revision %d", revision))
			})
		},
	}
}

// named keeps the entries of one name, or of one family ("rpc.retry"), if given.
func named(entries []config.Entry, args []string) []config.Entry {
	if len(args) == 0 {
		return entries
	}
	var out []config.Entry
	for _, e := range entries {
		if e.Name == args[0] || strings.HasPrefix(e.Name, args[0]+".") {
			out = append(out, e)
		}
	}
	return out
}

func newConfigList(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "Print the settings that exist, with default, range and meaning",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.withCentre(cmd.Context(), func(ctx context.Context, c *config.Centre) error {
				list, err := c.Definitions(ctx)
				if err != nil {
					return err
				}
				if o.json {
					return printJSON(cmd.OutOrStdout(), list)
				}
				t := newTable(cmd.OutOrStdout(), "NAME", "TYPE", "DEFAULT", "RANGE", "MEANING")
				for _, d := range list {
					limits := strings.Join(d.OneOf, "|")
					if d.Min != "" || d.Max != "" {
						limits = d.Min + "…" + d.Max
					}
					t.row(d.Name, d.Type, d.Default, limits, d.Doc)
				}
				return t.flush()
			})
		},
	}
}

func newConfigSet(o *options) *cobra.Command {
	var on, reason string
	c := &cobra.Command{
		Use:   "set name=value... | name-...",
		Short: "Change settings, all at once or none; name- removes a value",
		Example: "  warren config set rpc.timeout=300ms --on shop.catalog.v1.CatalogService/ListProducts --reason 'list is slow'\n" +
			"  warren config set rpc.timeout- --on shop.catalog.v1.CatalogService/ListProducts --reason 'fixed'",
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			edits, err := parseEdits(args, on)
			if err != nil {
				return err
			}
			return o.withCentre(cmd.Context(), func(ctx context.Context, c *config.Centre) error {
				change, err := c.Set(ctx, edits, author(), reason)
				if err != nil {
					return err
				}
				return o.printChange(cmd, change)
			})
		},
	}
	c.Flags().StringVar(&on, "on", "", "where: a service, a contract, or contract/method (default everywhere)")
	c.Flags().StringVar(&reason, "reason", "", "why, for the history")
	_ = c.MarkFlagRequired("reason")
	return c
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

func newConfigDiff(o *options) *cobra.Command {
	var other string
	c := &cobra.Command{
		Use:   "diff from [to]",
		Short: "Print what changed between two revisions, or differs in another environment",
		Args:  cobra.MaximumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			revisions, err := parseRevisions(args)
			if err != nil {
				return err
			}
			if other == "" && len(args) == 0 {
				return errors.New("diff: name a revision (warren config history lists them), or an environment with --with")
			}
			return o.withCentre(cmd.Context(), func(ctx context.Context, c *config.Centre) error {
				diff := func() ([]config.Edit, error) { return c.Diff(ctx, revisions[0], revisions[1]) }
				if other != "" {
					diff = func() ([]config.Edit, error) { return c.DiffEnvironment(ctx, other) }
				}
				edits, err := diff()
				if err != nil {
					return err
				}
				if o.json {
					return printJSON(cmd.OutOrStdout(), edits)
				}
				return printEdits(cmd, edits)
			})
		},
	}
	c.Flags().StringVar(&other, "with", "", "another environment")
	return c
}

// parseRevisions reads up to two revisions; 0 stands for one not given.
func parseRevisions(args []string) ([2]int64, error) {
	var out [2]int64
	for i, arg := range args {
		n, err := strconv.ParseInt(arg, 10, 64)
		if err != nil {
			return out, fmt.Errorf("%q is no revision: want a number; warren config history lists them", arg)
		}
		out[i] = n
	}
	return out, nil
}

func newConfigHistory(o *options) *cobra.Command {
	var limit int
	c := &cobra.Command{
		Use:   "history",
		Short: "Print who changed what, when and why",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.withCentre(cmd.Context(), func(ctx context.Context, c *config.Centre) error {
				changes, err := c.History(ctx, limit)
				if err != nil {
					return err
				}
				if o.json {
					return printJSON(cmd.OutOrStdout(), changes)
				}
				t := newTable(cmd.OutOrStdout(), "REVISION", "TIME", "AUTHOR", "CHANGE", "REASON")
				for _, ch := range changes {
					for i, e := range ch.Edits {
						what := fmt.Sprintf("%s on %s: %s → %s", e.Name, e.Scope, orUnset(e.Old), orUnset(e.New))
						if i > 0 {
							t.row("", "", "", what, "")
							continue
						}
						t.row(strconv.FormatInt(ch.Revision, 10), ch.Time.Local().Format(time.DateTime), ch.Author, what, ch.Reason)
					}
				}
				return t.flush()
			})
		},
	}
	c.Flags().IntVarP(&limit, "limit", "n", 20, "how many changes; 0 is all")
	return c
}

func newConfigRollback(o *options) *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use:   "rollback revision",
		Short: "Put the values of an earlier revision in force again",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			revisions, err := parseRevisions(args)
			if err != nil {
				return err
			}
			return o.withCentre(cmd.Context(), func(ctx context.Context, c *config.Centre) error {
				change, err := c.Rollback(ctx, revisions[0], author(), reason)
				if err != nil {
					return err
				}
				return o.printChange(cmd, change)
			})
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "why, for the history")
	_ = c.MarkFlagRequired("reason")
	return c
}
