// Command order takes orders, and has everything that belongs to them arranged:
// stock, money, shipment. It keeps them in several databases, by customer.
package main

import (
	"context"
	"time"

	"github.com/gowarren/warren"
	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
	"github.com/gowarren/warren/page"
	catalogv1 "github.com/gowarren/warren/shop/api/shop/catalog/v1"
	orderv1 "github.com/gowarren/warren/shop/api/shop/order/v1"
	"github.com/gowarren/warren/store/shards"
)

func main() { warren.Main(setup) }

func setup(ctx context.Context, app *warren.App) error {
	all, err := app.Shards(ctx, shards.Options{Migrations: migrations, Tables: tables()})
	if err != nil {
		return err
	}
	counted, err := newMeter(app.Metrics())
	if err != nil {
		return err
	}
	seen, from := newWatchers(), watchSettings(app.Settings())
	kept := &orders{all: all, told: func(o *order) { seen.told(o); counted.told(o) }}
	// Databases keep microseconds: what is answered now is what is read later.
	now := func() time.Time { return time.Now().Truncate(time.Microsecond) }
	with := &sagas{app: app, orders: kept}
	before := &placing{orders: kept, sagas: with, catalog: catalogv1.NewCatalogServiceClient(app), now: now}
	app.Participate(before.participation())
	p := &process{orders: kept, settings: from, now: now}
	orderv1.RegisterOrderProcessServiceServer(app, p)
	orderv1.RegisterOrderServiceServer(app, &service{
		orders: kept, sagas: with,
		pages:    page.New(all.Databases()[0], orderv1.Reason_BAD_PAGE_TOKEN),
		watchers: seen, settings: from, now: now,
	})
	left := &sweep{process: p, coordinator: txnv1.NewCoordinatorServiceClient(app), settings: from, log: app.Logger()}
	locks := app.Locks()
	app.Go("orders that are left over", func(ctx context.Context) error {
		return locks.Lead(ctx, "order/sweep", func(ctx context.Context, _ int64) error { return left.run(ctx) })
	})
	return p.follow(app)
}
