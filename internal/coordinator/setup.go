package coordinator

import (
	"context"
	"embed"
	"fmt"
	"time"

	"google.golang.org/grpc"

	"github.com/gowarren/warren"
	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
	"github.com/gowarren/warren/page"
)

// Migrations are the coordinator's tables.
//
//go:embed migrations/*.sql
var Migrations embed.FS

// Setup makes a service the coordinator of its system.
func Setup(ctx context.Context, app *warren.App) error {
	db, err := app.Database(ctx, Migrations)
	if err != nil {
		return err
	}
	engine, err := New(Options{
		DB: db, Conn: app, Settings: app.Settings(), Logger: app.Logger(), Metrics: app.Metrics(), Tracer: app.Tracer(),
	})
	if err != nil {
		return err
	}
	if err := engine.Start(ctx); err != nil {
		return err
	}
	engine.Register(app)
	drainWith(ctx, app, engine)
	return nil
}

// drainWith gives the transactions away as soon as the process is told to end,
// and not only when its last caller has gone: others go on with them meanwhile.
func drainWith(ctx context.Context, app *warren.App, engine *Engine) {
	const most = 10 * time.Second
	drained := make(chan error, 1)
	never := context.AfterFunc(ctx, func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), most)
		defer cancel()
		drained <- engine.Drain(ctx)
	})
	app.OnStop(func(ctx context.Context) error {
		if never() {
			return engine.Drain(ctx)
		}
		select {
		case err := <-drained:
			return err
		case <-ctx.Done():
			return fmt.Errorf("drain coordinator: %w", ctx.Err())
		}
	})
}

// Register serves the engine's contracts.
func (e *Engine) Register(r grpc.ServiceRegistrar) {
	txnv1.RegisterCoordinatorServiceServer(r, &service{engine: e})
	txnv1.RegisterOperatorServiceServer(r, &operators{engine: e, pages: page.New(e.db, txnv1.Reason_BAD_PAGE_TOKEN)})
}
