package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gowarren/warren/internal/lint"
)

func newLint(o *options) *cobra.Command {
	var against string
	var registered bool
	c := &cobra.Command{
		Use:   "lint [folder...]",
		Short: "Check contracts: against themselves, a git revision, or what is registered",
		Example: "  warren lint\n  warren lint --against main shop/api\n" +
			"  warren lint --registered",
		RunE: func(cmd *cobra.Command, args []string) error {
			roots, err := o.contractRoots(args)
			if err != nil {
				return err
			}
			report, err := o.lint(cmd, against, registered, roots)
			if err != nil {
				return err
			}
			return o.printReport(cmd, report)
		},
	}
	c.Flags().StringVar(&against, "against", "", "git revision whose users must not break")
	c.Flags().BoolVar(&registered, "registered", false, "the users of what is registered now must not break")
	return c
}

func (o *options) lint(cmd *cobra.Command, against string, registered bool, roots []string) (*lint.Report, error) {
	switch {
	case against != "" && registered:
		return nil, errors.New("lint: --against and --registered are two comparisons; choose one")
	case against != "":
		return lint.AgainstGit(cmd.Context(), against, roots...)
	case registered:
		guest, err := o.visit(cmd.Context())
		if err != nil {
			return nil, err
		}
		defer guest.close()
		files, err := guest.registered(cmd.Context())
		if err != nil {
			return nil, err
		}
		return lint.Against(cmd.Context(), files, roots...)
	default:
		return lint.Lint(cmd.Context(), roots...)
	}
}

func (o *options) printReport(cmd *cobra.Command, report *lint.Report) error {
	if o.json {
		if err := printJSON(cmd.OutOrStdout(), report); err != nil {
			return err
		}
	} else {
		for _, p := range report.Problems {
			fmt.Fprintln(cmd.OutOrStdout(), p)
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s, %s, %s\n",
			counted(report.Files, "file"), counted(report.Methods, "method"), counted(len(report.Problems), "problem"))
	}
	if len(report.Problems) > 0 {
		return errSilent
	}
	return nil
}
