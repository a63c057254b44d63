// Command payment keeps the customers' wallets and moves the money of orders
// through a double-entry ledger.
//
// # The ledger
//
// Money never appears and never goes away, it moves between accounts: a
// customer's wallet, what is held of it, the shop's sales, and the cards that it
// came from, whose account is the only one that goes below zero. Every movement
// is a transaction whose entries sum up to nothing, made in one place
// (ledger.post), and VerifyLedger checks all of them again from the tables.
//
// # Cards
//
// A card is exchanged for the provider's token before anything else is done with
// it. Its number and its code are in no table, log, span or event. A top-up is
// charged after it is kept, by a worker, which asks the provider about charges
// whose outcome is unknown until it is known.
//
// The provider is a simulator, internal/cardsim: its package comment lists the
// test cards and what they do.
package main

import (
	"context"
	"time"

	"github.com/gowarren/warren"
	"github.com/gowarren/warren/page"
	paymentv1 "github.com/gowarren/warren/shop/api/shop/payment/v1"
	"github.com/gowarren/warren/shop/payment/internal/cardsim"
)

func main() { warren.Main(setup) }

func setup(ctx context.Context, app *warren.App) error {
	db, err := app.Database(ctx, migrations)
	if err != nil {
		return err
	}
	if err := cardsim.Migrate(ctx, db); err != nil {
		return err
	}
	app.Events() // what is published belongs to the transactions of db
	self := paymentv1.NewPaymentServiceClient(app)
	provider := cardsim.New(cardsim.Options{
		DB: db, Settings: app.Settings(), Logger: app.Logger(),
		// To whichever instance: a provider knows one address.
		Report: func(ctx context.Context, charge string) error {
			_, err := self.ReportCharge(ctx, &paymentv1.ReportChargeRequest{TopUpId: charge})
			return err
		},
	})
	counted, err := newMeter(app.Metrics())
	if err != nil {
		return err
	}
	settings, ledger := watchSettings(app.Settings()), newLedger(db)
	charges := newCharger(ledger, provider, settings, app.Logger(), time.Now)
	paymentv1.RegisterPaymentServiceServer(app, &service{
		ledger: ledger, pages: page.New(db, paymentv1.Reason_BAD_PAGE_TOKEN), cards: provider, charges: charges,
		settings: settings, meter: counted, now: time.Now,
	})
	app.Go("charges", charges.work)
	app.Go("card provider", provider.Run)
	return nil
}
