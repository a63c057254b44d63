package main

import (
	"context"
	"log/slog"
	"os"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/gowarren/warren/rpc"
)

// operators connects to what services serve for those who look after them: by
// the API of the running system, which writes down who did what, or straight to
// the services where a command was sent to a system without a supervisor.
func (o *options) operators(g *guest) (conn grpc.ClientConnInterface, end func() error, err error) {
	if os.Getenv("WARREN_REGISTRY") == "" {
		if conn, err := o.dial(); err == nil {
			return conn, conn.Close, nil
		}
	}
	client, err := rpc.NewClient(rpc.ClientOptions{
		Registry: g.registry, Logger: slog.New(slog.DiscardHandler), Service: operator, ServiceKey: g.key, Host: g.env.Host,
	})
	if err != nil {
		return nil, nil, err
	}
	return client, client.Close, nil
}

// toService sends calls to a service, whoever passes them on.
func toService(ctx context.Context, service string) context.Context {
	return metadata.AppendToOutgoingContext(rpc.ToService(ctx, service), "warren-to", service)
}

// withContract calls f with a connection to the running system, and the services
// that serve a contract, each for itself: calls say by toService whom they mean.
func (o *options) withContract(
	ctx context.Context, contract string, f func(ctx context.Context, services []string, c grpc.ClientConnInterface) error,
) error {
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
	conn, end, err := o.operators(g)
	if err != nil {
		return err
	}
	defer func() { _ = end() }()
	err = f(ctx, slices.Compact(services), conn)
	if _, ok := status.FromError(err); ok && err != nil {
		return describe(err)
	}
	return err
}
