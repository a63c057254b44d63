package main

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/gowarren/warren/internal/protogen"
)

func newGenerate(o *options) *cobra.Command {
	var check bool
	c := &cobra.Command{
		Use:   "generate [folder...]",
		Short: "Write the Go code of contracts, beside them",
		Long: "Write the Go code of the contracts below the folders given, or below every\n" +
			"folder named api. The generators are tools of the module in the working folder.",
		RunE: func(cmd *cobra.Command, args []string) error {
			roots, err := o.contractRoots(args)
			if err != nil {
				return err
			}
			files, err := protogen.Generate(cmd.Context(), protogen.GoPlugins(), roots...)
			if err != nil {
				return err
			}
			if check {
				return o.printStale(cmd, files, roots)
			}
			if err := protogen.Write(files); err != nil {
				return err
			}
			if o.json {
				return printJSON(cmd.OutOrStdout(), map[string]any{"files": slices.Sorted(maps.Keys(files))})
			}
			return note(cmd, "%d files are current", len(files))
		},
	}
	c.Flags().BoolVar(&check, "check", false, "write nothing, and say what is not current")
	return c
}

// printStale says which files are not what the contracts generate.
func (o *options) printStale(cmd *cobra.Command, files map[string][]byte, roots []string) error {
	stale, err := protogen.Diff(files, roots...)
	if err != nil {
		return err
	}
	if o.json {
		if err := printJSON(cmd.OutOrStdout(), map[string]any{"stale": slices.Concat([]string{}, stale)}); err != nil {
			return err
		}
	} else {
		for _, line := range stale {
			fmt.Fprintln(cmd.OutOrStdout(), line)
		}
	}
	if len(stale) > 0 {
		return fmt.Errorf("%d generated files are not current; run: warren generate", len(stale))
	}
	return nil
}

// contractRoots are the folders given, or those named api with contracts below.
func (o *options) contractRoots(args []string) ([]string, error) {
	if len(args) > 0 {
		return args, nil
	}
	roots := protogen.Roots(filepath.Dir(o.file))
	if len(roots) == 0 {
		return nil, fmt.Errorf("no folder named api beside %s or one below: name the folders of the contracts", o.file)
	}
	return roots, nil
}
