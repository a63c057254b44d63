package main

import (
	"fmt"
	"sort"

	"github.com/spf13/cobra"

	"github.com/gowarren/warren/internal/scaffold"
)

func newNew(o *options) *cobra.Command {
	c := &cobra.Command{Use: "new", Short: "Begin something new"}
	c.AddCommand(&cobra.Command{
		Use:     "service name",
		Short:   "Write a service that builds, runs, is tested and answers through the gateway",
		Example: "  warren new service reviews",
		Args:    cobra.ExactArgs(1),
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
			return note(cmd, "next: warren up, then curl http://127.0.0.1:8080/v1/%s/greetings/Ada", args[0])
		},
	})
	return c
}
