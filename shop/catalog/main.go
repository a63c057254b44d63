// Command catalog keeps what the shop sells: everybody reads it, staff changes
// it, and in the beginning it fills itself with a real catalogue.
package main

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/gowarren/warren"
	"github.com/gowarren/warren/page"
	catalogv1 "github.com/gowarren/warren/shop/api/shop/catalog/v1"
)

func main() { warren.Main(setup) }

func setup(ctx context.Context, app *warren.App) error {
	db, err := app.Database(ctx, migrations)
	if err != nil {
		return err
	}
	products := newProducts(db)
	hot, err := newHot(products, app.Metrics(), app.Peers())
	if err != nil {
		return err
	}
	app.OnStop(func(context.Context) error { hot.close(); return nil })
	catalogv1.RegisterCatalogServiceServer(app, &service{
		products: products, hot: hot, pages: page.New(db, catalogv1.Reason_BAD_PAGE_TOKEN), log: app.Logger(), now: time.Now,
		rows: maxRows(app.Settings()),
	})

	var seeded atomic.Bool
	app.Check("first catalogue", func(context.Context) error {
		if !seeded.Load() {
			return errors.New("the catalogue is being filled")
		}
		return nil
	})
	app.Go("seed", func(ctx context.Context) error {
		if err := seed(ctx, products, time.Now(), app.Logger()); err != nil {
			return err
		}
		seeded.Store(true)
		return nil
	})
	return nil
}
