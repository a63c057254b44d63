// Command warren is Warren's service, as its users write it, and one hop of
// its calls with everything on. The gateway before the service is the one of
// the warren command.
package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"strings"

	"github.com/gowarren/warren"
	"github.com/gowarren/warren/auth"
	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/registry"
	"github.com/gowarren/warren/registry/staticregistry"
	"github.com/gowarren/warren/rpc"
	"github.com/gowarren/warren/telemetry"

	catalogv1 "github.com/gowarren/warren/bench/api/bench/catalog/v1"
	"github.com/gowarren/warren/bench/internal/catalog"
	"github.com/gowarren/warren/bench/internal/hop"
	"github.com/gowarren/warren/bench/internal/role"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "hop" {
		role.Main(map[string]func(role.Flags) error{"hop": oneHop})
		return
	}
	warren.Main(setup)
}

func setup(_ context.Context, app *warren.App) error {
	catalogv1.RegisterCatalogServiceServer(app, catalog.New())
	return nil
}

// oneHop is what package warren assembles in a service, client and server in
// one process.
func oneHop(f role.Flags) error {
	tel, err := telemetry.Open(context.Background(), telemetry.Options{
		Service: "catalog", Traces: "otlp://" + f.Traces, Sample: func() float64 { return role.Sample }, LogLevel: slog.LevelWarn,
	})
	if err != nil {
		return err
	}
	settings, err := config.New(config.Options{Definitions: rpc.Definitions(), Logger: tel.Logger(), Metrics: tel.Metrics()})
	if err != nil {
		return err
	}
	defer settings.Close()
	key, err := auth.NewServiceKey([]byte(strings.Repeat("k", 32)))
	if err != nil {
		return err
	}
	server := rpc.NewServer(rpc.ServerOptions{Settings: settings, Tracer: tel.Tracer(), Metrics: tel.Metrics(), Logger: tel.Logger(), ServiceKey: key})
	catalogv1.RegisterCatalogServiceServer(server, catalog.New())
	l, err := role.Listen(f.Address)
	if err != nil {
		return err
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	list, err := staticregistry.New(instance(l.Addr()))
	if err != nil {
		return err
	}
	known := registry.New(list, registry.Options{Logger: tel.Logger(), Metrics: tel.Metrics()})
	defer known.Close()
	client, err := rpc.NewClient(rpc.ClientOptions{
		Registry: known, Settings: settings, Tracer: tel.Tracer(), Metrics: tel.Metrics(), Logger: tel.Logger(),
		Service: "catalog", ServiceKey: key, Host: "here",
	})
	if err != nil {
		return err
	}
	err = hop.Serve(catalogv1.NewCatalogServiceClient(client))
	err = errors.Join(err, client.Close())
	server.Stop()
	return errors.Join(err, <-failed, tel.Close(context.Background()))
}

// instance is the entry of the registry for the server at the address: one
// that listens on a unix socket is reached by it, as on the same machine.
func instance(at net.Addr) registry.Instance {
	i := registry.Instance{Service: "catalog", Host: "here", Address: at.String(), Contracts: []string{catalogv1.CatalogService_ServiceDesc.ServiceName}}
	if at.Network() == "unix" {
		i.Address, i.Socket = "127.0.0.1:1", at.String()
	}
	return i
}
