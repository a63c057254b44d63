// Command txnwarren is who uses Warren's coordinator, as its users write it: a
// service that takes part, and clients that begin sagas.
package main

import (
	"context"
	"log/slog"
	"os"
	"strings"

	"github.com/gowarren/warren"
	txncoordinatorv1 "github.com/gowarren/warren/api/warren/txn/v1"
	"github.com/gowarren/warren/auth"
	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/registry"
	"github.com/gowarren/warren/registry/staticregistry"
	"github.com/gowarren/warren/rpc"
	"github.com/gowarren/warren/telemetry"
	"github.com/gowarren/warren/txn"

	txnv1 "github.com/gowarren/warren/bench/api/bench/txn/v1"
	"github.com/gowarren/warren/bench/internal/branch"
	"github.com/gowarren/warren/bench/internal/role"
	"github.com/gowarren/warren/bench/internal/sagas"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "client" {
		role.Main(map[string]func(role.Flags) error{"client": client})
		return
	}
	warren.Main(setup)
}

func setup(_ context.Context, app *warren.App) error {
	s := branch.New()
	txnv1.RegisterBranchServiceServer(app, s)
	txnv1.RegisterHungServiceServer(app, s)
	go func() {
		if err := s.Obey(); err != nil {
			app.Logger().Error("orders ended", "error", err)
		}
	}()
	return nil
}

// client is what package warren assembles in a service that calls others.
func client(f role.Flags) error {
	tel, err := telemetry.Open(context.Background(), telemetry.Options{
		Service: "clients", Traces: "otlp://" + f.Traces, Sample: func() float64 { return role.Sample }, LogLevel: slog.LevelWarn,
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
	list, err := staticregistry.New(registry.Instance{
		Service: "coordinator", Address: f.Service, Contracts: []string{txncoordinatorv1.CoordinatorService_ServiceDesc.ServiceName},
	})
	if err != nil {
		return err
	}
	known := registry.New(list, registry.Options{Logger: tel.Logger(), Metrics: tel.Metrics()})
	defer known.Close()
	app, err := rpc.NewClient(rpc.ClientOptions{
		Registry: known, Settings: settings, Tracer: tel.Tracer(), Metrics: tel.Metrics(), Logger: tel.Logger(),
		Service: "clients", ServiceKey: key,
	})
	if err != nil {
		return err
	}
	defer app.Close()
	return sagas.Serve(func(ctx context.Context, id string, kind sagas.Kind) error { return begin(ctx, app, id, kind) })
}

func begin(ctx context.Context, app *rpc.Client, id string, kind sagas.Kind) error {
	saga, request := txn.NewSaga("pair", txn.ID(id)), &txnv1.BranchRequest{Id: id}
	if kind == sagas.Hung {
		saga.Step("hang", txnv1.HungService_Hang_FullMethodName, request)
		return saga.Submit(ctx, app)
	}
	saga.Step("first", txnv1.BranchService_First_FullMethodName, request)
	saga.Step("second", txnv1.BranchService_Second_FullMethodName, request)
	if kind == sagas.Submitted {
		return saga.Submit(ctx, app)
	}
	_, err := saga.Run(ctx, app)
	return err
}
