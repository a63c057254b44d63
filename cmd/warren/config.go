package main

import (
	"context"
	"errors"
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
		return o.nothingRuns("configuration centre", "WARREN_CONFIG")
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
	return newGroup(&cobra.Command{Use: "config", Short: "Read and change live settings"},
		newConfigGet(o), newConfigForce(o), newConfigSet(o), newConfigDiff(o), newConfigHistory(o), newConfigRollback(o), newConfigList(o))
}

func newConfigGet(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "get [name]",
		Short: "Print the values that the centre holds",
		Args:  takes(0, 1, "at most one name"),
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
		Args:  takesNothing,
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
