// Command signals is Warren's gateway and a service, put together from the parts
// that the real ones are made of, with all signals on or with none. Only so can be
// measured what the signals cost: the real programs have no switch for it.
package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/gowarren/warren/auth"
	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/internal/gateway"
	"github.com/gowarren/warren/registry"
	"github.com/gowarren/warren/registry/staticregistry"
	"github.com/gowarren/warren/rpc"
	"github.com/gowarren/warren/telemetry"

	catalogv1 "github.com/gowarren/warren/bench/api/bench/catalog/v1"
	"github.com/gowarren/warren/bench/internal/catalog"
	"github.com/gowarren/warren/bench/internal/role"
)

func main() {
	role.Main(map[string]func(role.Flags) error{"service": service, "gateway": edge})
}

// parts are what both processes need. Without a collector there are no signals:
// no tracer, no metrics, no access log.
type parts struct {
	client rpc.ClientOptions
	tel    *telemetry.Telemetry
	on     bool
}

func open(f role.Flags, name string, definitions ...config.Definition) (*parts, error) {
	p := &parts{on: f.Traces != ""}
	opts := telemetry.Options{Service: name, Instance: name + "/1", Sample: func() float64 { return role.Sample }, LogLevel: slog.LevelWarn}
	if p.on {
		opts.Traces = "otlp://" + f.Traces
	}
	var err error
	if p.tel, err = telemetry.Open(context.Background(), opts); err != nil {
		return nil, err
	}
	settings, err := config.New(config.Options{Definitions: append(rpc.Definitions(), definitions...), Logger: p.tel.Logger()})
	if err != nil {
		return nil, err
	}
	key, err := auth.NewServiceKey([]byte(strings.Repeat("k", 32)))
	if err != nil {
		return nil, err
	}
	p.client = rpc.ClientOptions{Settings: settings, Logger: p.tel.Logger(), Service: name, ServiceKey: key}
	if p.on {
		p.client.Tracer, p.client.Metrics = p.tel.Tracer(), p.tel.Metrics()
	}
	return p, nil
}

func service(f role.Flags) error {
	p, err := open(f, "catalog")
	if err != nil {
		return err
	}
	server := rpc.NewServer(rpc.ServerOptions{
		Settings: p.client.Settings, Tracer: p.client.Tracer, Metrics: p.client.Metrics, Logger: p.client.Logger, ServiceKey: p.client.ServiceKey,
	})
	catalogv1.RegisterCatalogServiceServer(server, catalog.New())
	l, err := role.Listen(f.Address)
	if err != nil {
		return err
	}
	return server.Serve(l)
}

func edge(f role.Flags) error {
	p, err := open(f, "gateway", gateway.Definitions()...)
	if err != nil {
		return err
	}
	list, err := staticregistry.New(registry.Instance{
		ID: "catalog/1", Service: "catalog", Address: f.Service, State: registry.Ready, Contracts: []string{catalogv1.CatalogService_ServiceDesc.ServiceName},
	})
	if err != nil {
		return err
	}
	p.client.Registry = registry.New(list, registry.Options{Logger: p.client.Logger, Metrics: p.client.Metrics})
	defer p.client.Registry.Close()
	opts := gateway.Options{Client: p.client}
	if p.on {
		opts.AccessLog = io.Writer(os.Stdout)
	}
	g, err := gateway.New(opts)
	if err != nil {
		return err
	}
	l, err := role.Listen(f.Address)
	if err != nil {
		return errors.Join(err, g.Close())
	}
	return errors.Join(g.Serve(l), g.Close())
}
