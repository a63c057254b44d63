package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/gowarren/warren/internal/console"
	"github.com/gowarren/warren/internal/supervisor"
)

func newConsole(o *options) *cobra.Command {
	return newGroup(&cobra.Command{Use: "console", Short: "Say who may sign in to the web console, and see what people did there"},
		newConsoleToken(o), newConsoleTokens(o), newConsoleRevoke(o), newConsoleAudit(o))
}

// tokens is the file of those who may sign in to the system's console.
func (o *options) tokens() console.Tokens {
	return console.Tokens{Path: supervisor.ConsoleTokens(o.dataDir())}
}

func newConsoleToken(o *options) *cobra.Command {
	var role string
	var valid time.Duration
	c := &cobra.Command{
		Use:     "token name",
		Short:   "Make a token for somebody, in place of the one they had, and print it; it is not kept",
		Example: "  warren console token ada --role operator",
		Args:    takes(1, 1, "the name of somebody"),
		RunE: func(cmd *cobra.Command, args []string) error {
			token, err := o.tokens().Add(args[0], role, valid)
			if err != nil {
				return err
			}
			return note(cmd, "%s", token)
		},
	}
	c.Flags().StringVar(&role, "role", "viewer", "viewer looks, operator acts on what runs, admin changes what holds for all")
	c.Flags().DurationVar(&valid, "valid", 90*24*time.Hour, "for how long")
	return c
}

func newConsoleTokens(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "tokens",
		Short: "List who may sign in",
		Args:  takesNothing,
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, err := o.tokens().List()
			if err != nil {
				return err
			}
			if o.json {
				return printJSON(cmd.OutOrStdout(), all)
			}
			t := newTable(cmd.OutOrStdout(), "NAME", "ROLE", "EXPIRES")
			for _, one := range all {
				t.row(one.Name, one.Role, one.Expires.Local().Format(time.DateTime))
			}
			return t.flush()
		},
	}
}

func newConsoleRevoke(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "revoke name",
		Short: "Take the token of somebody away, and with it what they are signed in to",
		Args:  takes(1, 1, "the name of somebody"),
		RunE:  func(_ *cobra.Command, args []string) error { return o.tokens().Remove(args[0]) },
	}
}

func newConsoleAudit(o *options) *cobra.Command {
	var limit int
	c := &cobra.Command{
		Use:   "audit [words]",
		Short: "List what people did in the console, the last thing first",
		Args:  takes(0, 1, "at most one text to look for"),
		RunE: func(cmd *cobra.Command, args []string) error {
			audit := console.Audit{Path: supervisor.ConsoleAudit(o.dataDir())}
			all, err := audit.List(limit, func(e console.Entry) bool { return len(args) == 0 || e.Fits(args[0]) })
			if err != nil {
				return err
			}
			if o.json {
				return printJSON(cmd.OutOrStdout(), all)
			}
			t := newTable(cmd.OutOrStdout(), "TIME", "WHO", "ROLE", "WHAT", "TARGET", "WHY", "ERROR")
			for _, e := range all {
				t.row(e.Time.Local().Format(time.DateTime), e.Author, e.Role, e.Action, orDash(oneLine(e.Target)), orDash(oneLine(e.Reason)), orDash(oneLine(e.Error)))
			}
			return t.flush()
		},
	}
	c.Flags().IntVar(&limit, "limit", 100, "how many at most; 0: all")
	return c
}
