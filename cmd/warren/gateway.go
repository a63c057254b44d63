package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/gowarren/warren/internal/edge"
	"github.com/gowarren/warren/internal/node"
)

// newGateway is the gateway as a process of its own: the supervisor starts it,
// and in production a container does.
func newGateway() *cobra.Command {
	return &cobra.Command{
		Use:                "gateway",
		Short:              "Run the gateway alone, as one process of a system",
		DisableFlagParsing: true, // they are those of every process of a system
		RunE: func(cmd *cobra.Command, args []string) error {
			// The command's own context ends with the first signal; a gateway drains then.
			err := edge.Run(context.WithoutCancel(cmd.Context()), args, cmd.OutOrStdout())
			if errors.Is(err, node.ErrHelp) {
				return nil
			}
			return err
		},
	}
}
