// Package edge is the gateway as a process: what every process of a system is,
// around the gateway.
package edge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"github.com/gowarren/warren/internal/gateway"
	"github.com/gowarren/warren/internal/node"
	"github.com/gowarren/warren/registry"
)

// Run reads the process's environment from flags and variables, and serves
// until ctx ends or a signal asks for the end; then it drains. The access log
// goes to access.
func Run(ctx context.Context, args []string, access io.Writer) (err error) {
	env, err := node.ReadEnvironment(append([]string{"--service", "gateway"}, args...), os.Getenv, os.Stderr)
	if err != nil {
		return err
	}
	ctx, stop, err := node.WithSignals(ctx, env)
	if err != nil {
		return err
	}
	defer stop()
	var edge atomic.Pointer[gateway.Gateway] // nil until there is one, which the admin listener does not wait for
	n, err := node.Open(ctx, env, node.Options{
		Definitions: gateway.Definitions(), OwnClient: true,
		Sections: map[string]func() any{
			"routes":    shown(&edge, func(g *gateway.Gateway) any { return g.Routes() }),
			"contracts": shown(&edge, func(g *gateway.Gateway) any { return g.Contracts() }),
			"calls":     shown(&edge, func(g *gateway.Gateway) any { return g.Client().State() }),
		},
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.Finish()) }()
	g, err := gateway.New(gateway.Options{
		Client: n.ClientOptions(), Verifier: n.Verifier, Snapshot: env.Snapshot("contracts"),
		Expected: expected(env), Title: env.System, Version: env.Version, AccessLog: access,
	})
	if err != nil {
		return err
	}
	edge.Store(g)
	n.OnClose(func(context.Context) error { return g.Close() })
	n.Client = g.Client()
	n.Health.Add("contracts", g.Ready)
	part, err := listen(env, g)
	if err != nil {
		return err
	}
	return n.Run(ctx, part)
}

// expected are the services that the system file starts: until they have been
// seen, what is not found may only not be there yet.
func expected(env node.Environment) []string {
	if env.File == nil {
		return nil
	}
	var names []string
	for _, s := range env.File.Services {
		if s.Path != "" && s.Replicas > 0 { // other programs may serve no contract
			names = append(names, s.Name)
		}
	}
	return names
}

func listen(env node.Environment, g *gateway.Gateway) (node.Part, error) {
	l, err := env.Listen()
	if err != nil {
		return node.Part{}, err
	}
	address, err := env.AdvertiseAddress(l)
	if err != nil {
		return node.Part{}, fmt.Errorf("run gateway: %w", err)
	}
	return node.Part{
		Instances: []registry.Instance{{Address: address}},
		Serve:     func() error { return g.Serve(l) },
		SetReady:  func(bool) {},
		Drain:     g.Drain,
		Stop:      func() {},
	}, nil
}

// shown is what a gateway shows once there is one.
func shown(edge *atomic.Pointer[gateway.Gateway], what func(*gateway.Gateway) any) func() any {
	return func() any {
		if g := edge.Load(); g != nil {
			return what(g)
		}
		return nil
	}
}
