package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gowarren/warren/internal/doctor"
	"github.com/gowarren/warren/internal/supervisor"
)

func newDoctor(o *options) *cobra.Command {
	var against string
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Examine machine, engines and contracts, and what another environment changes",
		Example: "  warren doctor\n" +
			"  warren doctor --against production",
		Args: takesNothing,
		RunE: func(cmd *cobra.Command, _ []string) error {
			conn, err := supervisor.Dial(o.dataDir())
			if err == nil {
				defer conn.Close()
			}
			findings, err := doctor.Examine(cmd.Context(), doctor.Options{
				File: o.file, Environment: o.environment, Against: against, Data: o.dataDir(), Running: err == nil,
			})
			if err != nil {
				return err
			}
			if o.json {
				if err := printJSON(cmd.OutOrStdout(), findings); err != nil {
					return err
				}
			} else {
				for _, f := range findings {
					fmt.Fprintln(cmd.OutOrStdout(), f)
				}
			}
			if findings.Worst() == doctor.Broken {
				return errSilent
			}
			return nil
		},
	}
	c.Flags().StringVar(&against, "against", "", "another environment of the system file, whose guarantees are compared")
	return c
}
