// Package lint checks contracts before they run: against themselves, against
// a git revision, and against what is registered.
package lint

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/bufbuild/protocompile/reporter"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/gowarren/warren/internal/contract"
	"github.com/gowarren/warren/internal/protogen"
)

// Report is what lint found. Its problems name files as the caller did.
type Report struct {
	Files    int               `json:"files"`
	Methods  int               `json:"methods"`
	Problems contract.Problems `json:"problems"`
}

// Lint checks the contracts below the roots: that they and their validation
// rules compile, and that none contradicts itself or another.
func Lint(ctx context.Context, roots ...string) (*Report, error) {
	report, _, err := lint(ctx, roots)
	return report, err
}

// Against is Lint, and finds what breaks the users of the contracts that are
// in use now, for instance those that services have registered. Packages
// that the roots do not have are left out: they belong to somebody else.
func Against(ctx context.Context, old *protoregistry.Files, roots ...string) (*Report, error) {
	report, files, err := lint(ctx, roots)
	if err != nil || files == nil {
		return report, err
	}
	own := map[protoreflect.FullName]bool{}
	for _, fd := range files {
		own[fd.Package()] = true
	}
	var theirs []protoreflect.FileDescriptor
	old.RangeFiles(func(fd protoreflect.FileDescriptor) bool {
		if own[fd.Package()] {
			theirs = append(theirs, fd)
		}
		return true
	})
	return report, report.breaking(theirs, files, roots)
}

// AgainstGit is Lint, and finds what breaks the users of the contracts that
// stood below the roots in a revision of their git repository.
func AgainstGit(ctx context.Context, revision string, roots ...string) (*Report, error) {
	report, files, err := lint(ctx, roots)
	if err != nil || files == nil {
		return report, err
	}
	sources := map[string]string{}
	for _, root := range roots {
		if err := revisionSources(ctx, root, revision, sources); err != nil {
			return nil, err
		}
	}
	old, err := protogen.CompileSources(ctx, sources)
	if err != nil {
		return nil, fmt.Errorf("read contracts of revision %s: %w", revision, err)
	}
	return report, report.breaking(old, files, roots)
}

// lint returns nil files when the contracts do not compile, which the report
// says.
func lint(ctx context.Context, roots []string) (*Report, []protoreflect.FileDescriptor, error) {
	report := &Report{Problems: contract.Problems{}}
	files, err := protogen.Compile(ctx, roots...)
	if err != nil {
		if report.Problems = compileProblems(err, roots); len(report.Problems) == 0 {
			return nil, nil, err
		}
		report.Problems.Sort()
		return report, nil, nil
	}
	report.Files = len(files)
	for _, fd := range files {
		for i := range fd.Services().Len() {
			report.Methods += fd.Services().Get(i).Methods().Len()
		}
	}
	report.add(contract.Check(files...), roots)
	report.add(rules(files), roots)
	return report, files, nil
}

func (r *Report) breaking(old, next []protoreflect.FileDescriptor, roots []string) error {
	oldFiles, err := collect(old)
	if err != nil {
		return err
	}
	newFiles, err := collect(next)
	if err != nil {
		return err
	}
	r.add(contract.Breaking(oldFiles, newFiles), roots)
	return nil
}

func (r *Report) add(problems contract.Problems, roots []string) {
	for _, p := range problems {
		p.File = onDisk(p.File, roots)
		r.Problems = append(r.Problems, p)
	}
	r.Problems.Sort()
}

func collect(files []protoreflect.FileDescriptor) (*protoregistry.Files, error) {
	out := &protoregistry.Files{}
	for _, fd := range files {
		if err := out.RegisterFile(fd); err != nil {
			return nil, fmt.Errorf("collect contracts: %w", err)
		}
	}
	return out, nil
}

// onDisk returns where an import path lies; a file that is gone lay below
// the only root, or somewhere.
func onDisk(name string, roots []string) string {
	for _, root := range roots {
		path := filepath.Join(root, filepath.FromSlash(name))
		if _, err := os.Stat(path); err == nil || len(roots) == 1 {
			return path
		}
	}
	return name
}

// compileProblems returns the places that the compiler's error names, none
// if it is not the contracts that are wrong.
func compileProblems(err error, roots []string) contract.Problems {
	if at, ok := err.(reporter.ErrorWithPos); ok { //nolint:errorlint // the tree of errors is walked below
		pos := at.GetPosition()
		return contract.Problems{{File: onDisk(pos.Filename, roots), Line: pos.Line, Message: at.Unwrap().Error()}}
	}
	var out contract.Problems
	switch inner := err.(type) { //nolint:errorlint // this is the walk: each error of a join counts
	case interface{ Unwrap() error }:
		return compileProblems(inner.Unwrap(), roots)
	case interface{ Unwrap() []error }:
		for _, one := range inner.Unwrap() {
			out = append(out, compileProblems(one, roots)...)
		}
	}
	return out
}
