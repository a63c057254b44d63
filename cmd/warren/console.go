package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/gowarren/warren/internal/console"
	"github.com/gowarren/warren/internal/supervisor"
)

func newConsole(o *options) *cobra.Command {
	before := newAudit(o)
	before.Short, before.Hidden = "The same as warren audit", true
	return newGroup(&cobra.Command{Use: "console", Short: "Say who may sign in to the web console"},
		newConsoleToken(o), newConsoleTokens(o), newConsoleRevoke(o), before)
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
			o.record(cmd, "give token", args[0]+" as "+role, "", err)
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
		RunE: func(cmd *cobra.Command, args []string) error {
			err := o.tokens().Remove(args[0])
			o.record(cmd, "revoke token", args[0], "", err)
			return err
		},
	}
}
