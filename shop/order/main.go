// Command order takes orders, and has everything that belongs to them arranged:
// stock, money, shipment. It keeps them in several databases, by customer.
package main

import (
	"context"
	"time"

	"github.com/gowarren/warren"
	"github.com/gowarren/warren/events"
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
	kept := &orders{all: all}
	app.Participate(kept.participation())
	seen := newWatchers()
	// As databases keep it, so that an order reads the same ever after.
	now := func() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }
	s := &service{
		orders: kept, catalog: catalogv1.NewCatalogServiceClient(app), sagas: &sagas{app: app, orders: kept},
		pages:    page.New(all.Databases()[0], orderv1.Reason_BAD_PAGE_TOKEN),
		watchers: seen, log: app.Logger(), now: now,
	}
	p := &process{orders: kept, watchers: seen, now: now}
	orderv1.RegisterOrderServiceServer(app, s)
	orderv1.RegisterOrderProcessServiceServer(app, p)
	if err := events.Subscribe(app, p.onShipped, events.WithDatabase(p.ofShipped)); err != nil {
		return err
	}
	return events.Subscribe(app, p.onDelivered, events.WithDatabase(p.ofDelivered))
}
