package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"

	"github.com/spf13/cobra"

	"github.com/gowarren/warren/internal/gateway"
	"github.com/gowarren/warren/internal/node"
	"github.com/gowarren/warren/registry"
)

// newGateway is the gateway as a process of its own: the supervisor starts it,
// and in production a container does.
func newGateway() *cobra.Command {
	return &cobra.Command{
		Use:                "gateway",
		Short:              "Run the gateway alone; --help lists its flags",
		DisableFlagParsing: true, // they are those of every process of a system
		RunE: func(cmd *cobra.Command, args []string) error {
			err := runGateway(cmd.Context(), append([]string{"--service", "gateway"}, args...))
			if errors.Is(err, node.ErrHelp) {
				return nil
			}
			return err
		},
	}
}

func runGateway(ctx context.Context, args []string) (err error) {
	env, err := node.ReadEnvironment(args, os.Getenv, os.Stderr)
	if err != nil {
		return err
	}
	// The command's own context ends with the first signal; a gateway drains then.
	ctx, stop, err := node.WithSignals(context.WithoutCancel(ctx), env, func() { os.Exit(1) })
	if err != nil {
		return err
	}
	defer stop()
	var edge atomic.Pointer[gateway.Gateway] // nil until there is one, which the admin listener does not wait for
	n, err := node.Open(ctx, env, node.Options{
		Definitions: gateway.Definitions(), OwnClient: true,
		Sections: map[string]func() any{
			"routes": func() any { return shown(&edge, func(g *gateway.Gateway) any { return g.Routes() }) },
			"calls":  func() any { return shown(&edge, func(g *gateway.Gateway) any { return g.Client().State() }) },
		},
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.Finish()) }()
	g, err := gateway.New(gateway.Options{
		Client: n.ClientOptions(), Verifier: n.Verifier, Snapshot: env.Snapshot("contracts"),
		Title: env.System, Version: env.Version, AccessLog: os.Stdout,
	})
	if err != nil {
		return err
	}
	n.OnClose(func(context.Context) error { return g.Close() })
	edge.Store(g)
	n.Client = g.Client()
	n.Health.Add("contracts", g.Ready)

	l, err := env.Listen()
	if err != nil {
		return err
	}
	address, err := env.AdvertiseAddress(l)
	if err != nil {
		return fmt.Errorf("run gateway: %w", err)
	}
	return n.Run(ctx, node.Part{
		Instances: []registry.Instance{{Address: address}},
		Serve:     func() error { return g.Serve(l) },
		SetReady:  func(bool) {},
		Drain:     g.Drain,
		Stop:      func() {},
	})
}

// shown is what a gateway shows once there is one.
func shown(edge *atomic.Pointer[gateway.Gateway], what func(*gateway.Gateway) any) any {
	if g := edge.Load(); g != nil {
		return what(g)
	}
	return nil
}
