package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/gowarren/warren/internal/coordinator"
	"github.com/gowarren/warren/internal/fleet"
	"github.com/gowarren/warren/internal/gateway"
	"github.com/gowarren/warren/internal/node"
	"github.com/gowarren/warren/internal/supervisor"
)

func newUp(o *options) *cobra.Command {
	var address, console, admin string
	var fresh, logs bool
	var timeout time.Duration
	c := &cobra.Command{
		Use:   "up",
		Short: "Build and run the system, with everything it needs",
		Args:  takesNothing,
		RunE: func(cmd *cobra.Command, _ []string) error {
			program, err := os.Executable()
			if err != nil {
				return fmt.Errorf("find the warren program: %w", err)
			}
			return up(cmd, supervisor.Options{
				File: o.file, Environment: o.environment, Data: o.data, Fresh: fresh,
				Gateway: address, Console: console, Admin: admin, Author: author(), Program: program, Version: version(),
				Events:      func(e fleet.Event) { printEvent(cmd.ErrOrStderr(), e) },
				Definitions: slices.Concat(node.Definitions(), gateway.Definitions(), coordinator.Definitions()),
			}, o, logs, timeout)
		},
	}
	c.Flags().StringVar(&address, "gateway", "", "address of the gateway (default from the system file)")
	c.Flags().StringVar(&console, "console", "", "address of the console, or off (default from the system file)")
	c.Flags().StringVar(&admin, "admin", "", "address of the supervisor's metrics and list of instances (default from the system file)")
	c.Flags().BoolVar(&fresh, "fresh", false, "begin with an empty data folder")
	c.Flags().BoolVar(&logs, "logs", false, "print the logs of all services")
	c.Flags().DurationVar(&timeout, "timeout", 2*time.Minute, "how long to wait until everything is ready")
	return c
}

func up(cmd *cobra.Command, opts supervisor.Options, o *options, logs bool, timeout time.Duration) error {
	s, err := supervisor.Up(cmd.Context(), opts)
	if errors.Is(err, fs.ErrNotExist) && !exists(o.file) {
		return fmt.Errorf("no system file %s; name one with --file, or begin a system with: warren new service greeting", o.file)
	}
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	if logs {
		go followLogs(cmd.Context(), out, s.Follow(cmd.Context()))
	}
	ready, cancel := context.WithTimeout(cmd.Context(), timeout)
	defer cancel()
	end := make(chan error, 1)
	go func() {
		end <- waitForEnd(cmd.Context(), s)
		cancel() // who stops a system need not wait until it is ready
	}()
	switch err := s.Wait(ready); {
	case len(end) > 0: // it is to end
	case err != nil:
		fmt.Fprintf(cmd.ErrOrStderr(), "not everything is ready: %v\n(the rest works; warren ps and warren logs tell more)\n", err)
	default:
		if err := printUp(cmd.Context(), out, s, o.json); err != nil {
			fmt.Fprintln(cmd.ErrOrStderr(), err)
		}
	}
	err = <-end
	fmt.Fprintln(cmd.ErrOrStderr(), "draining; press Ctrl-C again to stop hard")
	hardOnSecondSignal()
	if closeErr := s.Close(); err == nil {
		err = closeErr
	}
	return err
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func waitForEnd(ctx context.Context, s *supervisor.Supervisor) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-s.Done():
		return err
	}
}

// hardOnSecondSignal ends the program at once on a further signal; the
// processes end with it.
func hardOnSecondSignal() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		fmt.Fprintln(os.Stderr, "warren: stopped hard")
		os.Exit(interrupted)
	}()
}

func printUp(ctx context.Context, w io.Writer, s *supervisor.Supervisor, asJSON bool) error {
	resp, err := s.List(ctx)
	if err != nil {
		return err
	}
	if asJSON {
		return printJSON(w, resp)
	}
	fmt.Fprintln(w)
	if err := printInstances(w, resp); err != nil {
		return err
	}
	fmt.Fprintf(w, "\n%s is up in %.1f s: http://%s (OpenAPI at /openapi.json)\n",
		resp.GetSystem().GetName(), s.ReadyAfter().Seconds(), resp.GetSystem().GetGateway())
	if at := resp.GetSystem().GetConsole(); at != "" {
		fmt.Fprintf(w, "The console is at http://%s\n", at)
	}
	fmt.Fprintln(w, "Ctrl-C drains and stops it.")
	return nil
}

func printEvent(w io.Writer, e fleet.Event) {
	fmt.Fprintln(w, e.Message)
	for _, line := range e.Lines {
		fmt.Fprintln(w, "    "+line)
	}
}

func followLogs(ctx context.Context, w io.Writer, lines <-chan fleet.Line) {
	for {
		select {
		case line := <-lines:
			if line.Service != "warren" { // its events are printed already
				fmt.Fprintf(w, "%s | %s\n", line.Instance, readable(line.Text))
			}
		case <-ctx.Done():
			return
		}
	}
}
