// Command cart keeps what people mean to buy, on all their devices, before and
// after they sign in.
package main

import (
	"context"
	"time"

	"github.com/gowarren/warren"
	cartv1 "github.com/gowarren/warren/shop/api/shop/cart/v1"
	catalogv1 "github.com/gowarren/warren/shop/api/shop/catalog/v1"
)

func main() { warren.Main(setup) }

func setup(ctx context.Context, app *warren.App) error {
	db, err := app.Database(ctx, migrations)
	if err != nil {
		return err
	}
	settings := watchSettings(app.Settings())
	prices, err := newPrices(catalogv1.NewCatalogServiceClient(app), settings.patience, app.Metrics())
	if err != nil {
		return err
	}
	app.OnStop(func(context.Context) error { prices.known.Close(); return nil })
	s := &service{carts: newCarts(db), prices: prices, settings: settings, log: app.Logger(), now: time.Now}
	cartv1.RegisterCartServiceServer(app, s)

	locks := app.Locks()
	app.Go("clean up", func(ctx context.Context) error {
		return locks.Lead(ctx, "cart/clean", func(ctx context.Context, _ int64) error { return s.clean(ctx) })
	})
	return nil
}
