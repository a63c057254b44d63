package warren

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/gowarren/warren/internal/node"
)

// Main is the main function of a service: it reads the process's environment
// (flags, WARREN_… variables, the system file), calls setup, serves what setup
// registered until the process is told to end, drains, and exits. The exit
// status is 0 if nothing went wrong and nothing was cut off.
//
// Setup runs once, before the service listens. Its context ends when the
// process is told to end. An error from it is a mistake that a person must
// correct, and ends the process; what is only not there yet is waited for.
func Main(setup func(ctx context.Context, app *App) error) {
	err := Run(context.Background(), os.Args[1:], setup)
	if errors.Is(err, node.ErrHelp) {
		os.Exit(0)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// Run is Main for programs that do more, and for tests: it returns when the
// service has drained, which the end of ctx or a signal causes.
func Run(ctx context.Context, args []string, setup func(ctx context.Context, app *App) error) error {
	env, err := node.ReadEnvironment(args, os.Getenv, os.Stderr)
	if err != nil {
		return err
	}
	ctx, stop, err := node.WithSignals(ctx, env)
	if err != nil {
		return err
	}
	defer stop()
	return run(ctx, env, setup)
}

func run(ctx context.Context, env node.Environment, setup func(ctx context.Context, app *App) error) (err error) {
	n, err := node.Open(ctx, env, node.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.Finish()) }()
	app := newApp(ctx, n)
	part, err := app.prepare(setup)
	if err != nil {
		app.server.Stop()
		if ctx.Err() != nil {
			return nil // told to end while it waited for something
		}
		return err
	}
	return n.Run(ctx, part)
}

// prepare does all that comes before the service serves.
func (a *App) prepare(setup func(ctx context.Context, app *App) error) (node.Part, error) {
	if err := setup(a.ctx, a); err != nil {
		return node.Part{}, fmt.Errorf("set up service %s: %w", a.Service(), err)
	}
	if err := a.startEngines(); err != nil {
		return node.Part{}, fmt.Errorf("set up service %s: %w", a.Service(), err)
	}
	return a.listen()
}
