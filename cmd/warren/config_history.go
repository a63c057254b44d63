package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/gowarren/warren/config"
)

func newConfigDiff(o *options) *cobra.Command {
	var other string
	c := &cobra.Command{
		Use:   "diff from [to]",
		Short: "Print what changed between two revisions, or differs in another environment",
		Args:  takes(0, 2, "one revision or two"),
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
		Args:  takesNothing,
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
