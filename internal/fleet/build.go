package fleet

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// build compiles the services that name a package, and returns the program of
// each service.
func build(ctx context.Context, plan Plan, events func(Event)) ([]string, error) {
	bin := filepath.Join(plan.Data, "bin")
	if err := os.MkdirAll(bin, 0o700); err != nil {
		return nil, fmt.Errorf("create folder for binaries: %w", err)
	}
	programs := make([]string, len(plan.Services))
	var there, rest []ServicePlan
	for i, s := range plan.Services {
		if s.Package == "" {
			programs[i] = s.Program
			continue
		}
		programs[i] = filepath.Join(bin, s.Name)
		if _, err := os.Stat(programs[i]); err == nil && namesItself(s) {
			there = append(there, s)
		} else {
			rest = append(rest, s)
		}
	}
	if !refresh(ctx, plan.Root, bin, there, events) {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("build services: %w", context.Cause(ctx))
		}
		rest = append(rest, there...)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(2)
	for _, s := range rest {
		group.Go(func() error { return buildOne(ctx, plan.Root, s, filepath.Join(bin, s.Name), events) })
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return programs, nil
}

// namesItself tells whether the Go tool, given a folder to write to, calls the
// program as we do: after the package's folder, unless that is a version.
func namesItself(s ServicePlan) bool {
	return filepath.Base(s.Package) == s.Name && strings.Trim(strings.TrimPrefix(s.Name, "v"), "0123456789") != ""
}

// refresh builds all services that were built before by one command: to find
// that nothing has changed takes it a second, for one service as for ten. If
// it fails they are built one by one, which tells the service at fault.
func refresh(ctx context.Context, root, bin string, services []ServicePlan, events func(Event)) bool {
	if len(services) == 0 {
		return true
	}
	args := []string{"build", "-o", bin + string(filepath.Separator)}
	for _, s := range services {
		args = append(args, s.Package)
		events(Event{Kind: EventBuilding, Instance: s.Name, Message: "building " + s.Name})
	}
	began := time.Now()
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir, cmd.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	if cmd.Run() != nil {
		return false
	}
	for _, s := range services {
		events(Event{Kind: EventBuilt, Instance: s.Name, Message: fmt.Sprintf("built %s in %.1f s", s.Name, time.Since(began).Seconds())})
	}
	return true
}

func buildOne(ctx context.Context, root string, s ServicePlan, program string, events func(Event)) error {
	events(Event{Kind: EventBuilding, Instance: s.Name, Message: "building " + s.Name})
	began := time.Now()
	var output bytes.Buffer
	cmd := exec.CommandContext(ctx, "go", "build", "-o", program, s.Package)
	cmd.Dir, cmd.Stdout, cmd.Stderr = root, &output, &output
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("build service %s: %w", s.Name, context.Cause(ctx))
		}
		return fmt.Errorf("build service %s (%s): %w\n%s", s.Name, s.Package, err, strings.TrimSpace(output.String()))
	}
	events(Event{Kind: EventBuilt, Instance: s.Name, Message: fmt.Sprintf("built %s in %.1f s", s.Name, time.Since(began).Seconds())})
	return nil
}

// rebuild builds a service whose binary runs. It builds beside that binary,
// which a process that dies meanwhile is started from, and swaps them in one
// step. The link lets the Go tool see that nothing has changed.
func rebuild(ctx context.Context, root string, s ServicePlan, program string, events func(Event)) error {
	next := program + ".next"
	_ = os.Remove(next) // left by a supervisor that was killed
	_ = os.Link(program, next)
	defer os.Remove(next)
	if err := buildOne(ctx, root, s, next, events); err != nil {
		return err
	}
	if err := os.Rename(next, program); err != nil {
		return fmt.Errorf("replace the binary of service %s: %w", s.Name, err)
	}
	return nil
}
