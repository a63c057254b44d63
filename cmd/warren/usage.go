package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	fleetv1 "github.com/gowarren/warren/api/warren/fleet/v1"
)

// many is no upper bound on arguments.
const many = -1

// takes checks the number of arguments; what says in words what is wanted.
func takes(least, most int, what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) >= least && (most == many || len(args) <= most) {
			return nil
		}
		got := "nothing"
		if len(args) > 0 {
			got = strings.Join(args, " ")
		}
		return fmt.Errorf("%s takes %s; got %s", c.CommandPath(), what, got)
	}
}

func takesNothing(c *cobra.Command, args []string) error {
	return takes(0, 0, "no arguments")(c, args)
}

// newGroup is a command that only has others below it.
func newGroup(c *cobra.Command, below ...*cobra.Command) *cobra.Command {
	c.AddCommand(below...)
	c.Args = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		remedy := c.CommandPath() + " --help lists the commands"
		c.SuggestionsMinimumDistance = 2
		if near := c.SuggestionsFor(args[0]); len(near) > 0 {
			remedy = "did you mean " + near[0] + "?"
		}
		return fmt.Errorf("unknown command %q; %s", args[0], remedy)
	}
	c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
	return c
}

// wrongFlag is the error of a flag that is not there, or whose value is wrong.
func wrongFlag(c *cobra.Command, err error) error {
	return fmt.Errorf("%w; %s --help lists the flags", err, c.CommandPath())
}

// running lists the instances of the running system, for completion: none if
// it does not answer at once.
func (o *options) running(ctx context.Context) []*fleetv1.Instance {
	const patience = time.Second
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var out []*fleetv1.Instance
	_ = o.withFleet(func(c fleetv1.FleetServiceClient) error {
		resp, err := c.List(ctx, &fleetv1.ListRequest{})
		out = resp.GetInstances()
		return err
	})
	return out
}

// completing offers words for the next argument that are not there yet.
func completing(words []string, args []string) []string {
	slices.Sort(words)
	return slices.DeleteFunc(slices.Compact(words), func(w string) bool { return slices.Contains(args, w) })
}

func (o *options) completeServices(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	var words []string
	for _, i := range o.running(c.Context()) {
		words = append(words, i.GetService())
	}
	return completing(words, args), cobra.ShellCompDirectiveNoFileComp
}

func (o *options) completeInstances(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	var words []string
	for _, i := range o.running(c.Context()) {
		words = append(words, i.GetId())
	}
	if len(args) > 0 {
		words = nil
	}
	return completing(words, args), cobra.ShellCompDirectiveNoFileComp
}

func (o *options) completeLogs(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	words := []string{"warren"}
	for _, i := range o.running(c.Context()) {
		words = append(words, i.GetService(), i.GetId())
	}
	return completing(words, args), cobra.ShellCompDirectiveNoFileComp
}

func (o *options) completeScale(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	var words []string
	for _, i := range o.running(c.Context()) {
		words = append(words, i.GetService()+"=")
	}
	if len(args) > 0 {
		words = nil
	}
	return completing(words, args), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}
