package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/gowarren/warren"
	"github.com/gowarren/warren/internal/coordinator"
	"github.com/gowarren/warren/internal/node"
)

// newCoordinator is the transaction coordinator as a process of its own: the
// supervisor starts it, and in production a container does.
func newCoordinator() *cobra.Command {
	return &cobra.Command{
		Use:                "coordinator",
		Short:              "Run the transaction coordinator alone, as one process of a system",
		Hidden:             true,
		DisableFlagParsing: true, // they are those of every process of a system
		RunE: func(cmd *cobra.Command, args []string) error {
			// The command's own context ends with the first signal; a coordinator drains then.
			err := warren.Run(context.WithoutCancel(cmd.Context()), args, coordinator.Setup)
			if errors.Is(err, node.ErrHelp) {
				return nil
			}
			return err
		},
	}
}
