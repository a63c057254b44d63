// Command gen writes the Go code of the contracts below the folders given,
// beside them. With -check it writes nothing, and ends with an error when
// what stands there is not what it would write.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"

	"github.com/gowarren/warren/internal/protogen"
)

func main() {
	check := flag.Bool("check", false, "write nothing; fail when the code on disk is not current")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: gen [-check] folder...")
		flag.PrintDefaults()
	}
	flag.Parse()
	if err := run(context.Background(), *check, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, check bool, roots []string) error {
	if len(roots) == 0 {
		return errors.New("no folder given")
	}
	files, err := protogen.Generate(ctx, protogen.GoPlugins(), roots...)
	if err != nil {
		return err
	}
	if !check {
		return protogen.Write(files)
	}
	lines, err := protogen.Diff(files, roots...)
	if err != nil {
		return err
	}
	if len(lines) > 0 {
		return fmt.Errorf("generated code is not current, generate it again:\n  %s", strings.Join(lines, "\n  "))
	}
	return nil
}
