// Command shipping has what was bought carried to customers, by a carrier that
// is only simulated.
package main

import (
	"context"
	"time"

	"github.com/gowarren/warren"
	"github.com/gowarren/warren/page"
	shippingv1 "github.com/gowarren/warren/shop/api/shop/shipping/v1"
)

func main() { warren.Main(setup) }

func setup(ctx context.Context, app *warren.App) error {
	db, err := app.Database(ctx, migrations)
	if err != nil {
		return err
	}
	app.Events() // others are told where shipments are
	settings := watchSettings(app.Settings())
	s := &service{
		shipments: newShipments(db, app.Tracer()), carrier: carrier{settings}, pages: page.New(db, shippingv1.Reason_BAD_PAGE_TOKEN),
		settings: settings, tracer: app.Tracer(), clock: time.Now,
	}
	shippingv1.RegisterShippingServiceServer(app, s)

	// Any instance may do this at any time; that one does it at a time only
	// spares the others the work.
	locks := app.Locks()
	app.Go("carrier", func(ctx context.Context) error {
		return locks.Lead(ctx, "shipping/carrier", func(ctx context.Context, _ int64) error { return s.drive(ctx) })
	})
	return nil
}
