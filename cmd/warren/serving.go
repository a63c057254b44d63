package main

import (
	"context"
	"log/slog"
	"slices"

	"google.golang.org/grpc/status"

	"github.com/gowarren/warren/rpc"
)

// withContract calls f with a client of the running system, and the services that
// serve a contract, each for itself: calls say by [rpc.ToService] whom they mean.
func (o *options) withContract(ctx context.Context, contract string, f func(ctx context.Context, services []string, c *rpc.Client) error) error {
	g, err := o.visit(ctx)
	if err != nil {
		return err
	}
	defer g.close()
	var services []string
	for _, i := range g.registry.Contract(contract) {
		services = append(services, i.Service)
	}
	slices.Sort(services)
	client, err := rpc.NewClient(rpc.ClientOptions{
		Registry: g.registry, Logger: slog.New(slog.DiscardHandler), Service: operator, ServiceKey: g.key, Host: g.env.Host,
	})
	if err != nil {
		return err
	}
	defer client.Close()
	err = f(ctx, slices.Compact(services), client)
	if _, ok := status.FromError(err); ok && err != nil {
		return describe(err)
	}
	return err
}
