package main

import (
	"fmt"
	"sort"

	"github.com/spf13/cobra"

	"github.com/gowarren/warren/internal/scaffold"
	"github.com/gowarren/warren/internal/system"
)

func newNew(o *options) *cobra.Command {
	return newGroup(&cobra.Command{Use: "new", Short: "Begin something new"}, &cobra.Command{
		Use:     "service name",
		Short:   "Write a service that builds, runs, is tested and answers through the gateway",
		Example: "  warren new service reviews",
		Args:    takes(1, 1, "the name of the service"),
		RunE: func(cmd *cobra.Command, args []string) error {
			files, err := scaffold.Write(cmd.Context(), scaffold.Service{Name: args[0], File: o.file})
			if err != nil {
				return err
			}
			sort.Strings(files)
			if o.json {
				return printJSON(cmd.OutOrStdout(), map[string]any{"service": args[0], "files": files})
			}
			for _, f := range files {
				fmt.Fprintln(cmd.OutOrStdout(), "  wrote "+f)
			}
			sys, err := system.Load(o.file, o.environment)
			if err != nil {
				return err
			}
			return note(cmd, "next: warren up, then curl http://%s/v1/%s/greetings/Ada", sys.Gateway.Address, args[0])
		},
	})
}
