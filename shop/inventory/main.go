// Command inventory keeps the stock of what the shop sells, and never promises
// what is not there.
package main

import (
	"context"
	"errors"
	"time"

	"github.com/gowarren/warren"
	"github.com/gowarren/warren/page"
	catalogv1 "github.com/gowarren/warren/shop/api/shop/catalog/v1"
	inventoryv1 "github.com/gowarren/warren/shop/api/shop/inventory/v1"
)

func main() { warren.Main(setup) }

func setup(ctx context.Context, app *warren.App) error {
	db, err := app.Database(ctx, migrations)
	if err != nil {
		return err
	}
	app.Events() // stock that changes is told of
	counted, err := newMeter(app.Metrics())
	if err != nil {
		return err
	}
	s := &service{
		stocks: newStocks(db), pages: page.New(db, inventoryv1.Reason_BAD_PAGE_TOKEN),
		settings: watchSettings(app.Settings()), log: app.Logger(), meter: counted, now: time.Now,
	}
	inventoryv1.RegisterInventoryServiceServer(app, s)

	// Any instance may do this at any time; that one does it at a time only
	// spares the others the work.
	locks := app.Locks()
	app.Go("expire reservations", func(ctx context.Context) error {
		return locks.Lead(ctx, "inventory/expiry", func(ctx context.Context, _ int64) error {
			return every(ctx, s.settings.expiryPeriod, s.expire)
		})
	})
	app.Go("tell of stock", func(ctx context.Context) error {
		return locks.Lead(ctx, "inventory/stock_changed", func(ctx context.Context, _ int64) error {
			return every(ctx, s.settings.tellPeriod, s.tell)
		})
	})
	app.Go("watch for oversold stock", func(ctx context.Context) error {
		return every(ctx, s.settings.oversoldPeriod, s.watchOversold)
	})

	first := &seeding{stocks: s.stocks, wanted: s.settings.seed, catalog: catalogv1.NewCatalogServiceClient(app), log: app.Logger()}
	app.Check("first stock", func(context.Context) error {
		if !first.done.Load() {
			return errors.New("the first stock is not there yet")
		}
		return nil
	})
	app.Go("first stock", first.run)
	return nil
}
