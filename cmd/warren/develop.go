package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/gowarren/warren/internal/lint"
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
			roots, err := contractRoots(args)
			if err != nil {
				return err
			}
			files, err := protogen.Generate(cmd.Context(), protogen.GoPlugins(), roots...)
			if err != nil {
				return err
			}
			if !check {
				return protogen.Write(files)
			}
			stale, err := protogen.Diff(files, roots...)
			if err != nil {
				return err
			}
			for _, line := range stale {
				fmt.Fprintln(cmd.OutOrStdout(), line)
			}
			if len(stale) > 0 {
				return fmt.Errorf("%d generated files are not current; run: warren generate", len(stale))
			}
			return nil
		},
	}
	c.Flags().BoolVar(&check, "check", false, "write nothing, and say what is not current")
	return c
}

// contractRoots are the folders given, or those named api with contracts below.
func contractRoots(args []string) ([]string, error) {
	if len(args) > 0 {
		return args, nil
	}
	var roots []string
	for _, pattern := range []string{"api", "*/api"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			return nil, err
		}
		for _, dir := range found {
			if info, err := os.Stat(dir); err == nil && info.IsDir() {
				roots = append(roots, dir)
			}
		}
	}
	if len(roots) == 0 {
		return nil, fmt.Errorf("no folder named api here or one below: name the folders of the contracts")
	}
	return roots, nil
}

func newLint(o *options) *cobra.Command {
	var against string
	var registered bool
	c := &cobra.Command{
		Use:   "lint [folder...]",
		Short: "Check contracts: against themselves, a git revision, or what is registered",
		Example: "  warren lint\n  warren lint --against main shop/api\n" +
			"  warren lint --registered",
		RunE: func(cmd *cobra.Command, args []string) error {
			roots, err := contractRoots(args)
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
	c.MarkFlagsMutuallyExclusive("against", "registered")
	return c
}

func (o *options) lint(cmd *cobra.Command, against string, registered bool, roots []string) (*lint.Report, error) {
	switch {
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
		fmt.Fprintf(cmd.OutOrStdout(), "%d files, %d methods, %d problems\n", report.Files, report.Methods, len(report.Problems))
	}
	if len(report.Problems) > 0 {
		return errSilent
	}
	return nil
}

func newVersion(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.json {
				return printJSON(cmd.OutOrStdout(), map[string]string{"version": version(), "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH})
			}
			return note(cmd, "warren %s (%s, %s/%s)", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
		},
	}
}

// version is what the Go toolchain recorded of the build.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return s.Value[:12]
		}
	}
	if v := info.Main.Version; v != "" {
		return v
	}
	return "unknown"
}
