package txn_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gowarren/warren/rpc"
	"github.com/gowarren/warren/store"
	"github.com/gowarren/warren/txn"
	fairv1 "github.com/gowarren/warren/txn/internal/testpb/fair/v1"
)

// A saga takes one step after the other. What undoes a step stands in its
// contract.
func ExampleSaga() {
	e := newExample()
	defer e.end()
	ctx, app := context.Background(), newMarket(e) // in a service: *warren.App

	buy := func(id string, quantity int64) error {
		saga := txn.NewSaga("purchase", txn.ID(id), txn.Lock("purse/ada", time.Second))
		price := saga.Step("price", fairv1.StallService_Price_FullMethodName, &fairv1.PriceRequest{Goods: "apples", Quantity: quantity})
		saga.Step("reserve", fairv1.StallService_Reserve_FullMethodName, &fairv1.ReserveRequest{Id: id, Goods: "apples", Quantity: quantity})
		hold := saga.Step("hold", fairv1.PurseService_Hold_FullMethodName, &fairv1.HoldRequest{Id: id, Purse: "ada"},
			txn.Bind("amount", price, "amount"))
		saga.Step("confirm", fairv1.StallService_Confirm_FullMethodName, &fairv1.ConfirmRequest{Id: id}, txn.Pivot())
		saga.Step("capture", fairv1.PurseService_Capture_FullMethodName, &fairv1.CaptureRequest{Id: id}, txn.Bind("voucher", hold, "voucher"))
		_, err := saga.Run(ctx, app)
		return err
	}

	fmt.Println(buy("1", 4))
	err := buy("2", 7)
	fmt.Println(errors.Is(err, rpc.Reason(fairv1.Reason_SOLD_OUT)), err)
	fmt.Println(app.state())
	// Output:
	// <nil>
	// true transaction purchase/2 was undone: step reserve: SOLD_OUT: there are not 7 apples left
	// apples: 6 free, 0 reserved, 4 gone; ada: 88 free, 0 reserved, 12 gone; eve: 0 free, 0 reserved, 0 gone;
}

// A TCC tries everything with generated clients, and confirms or cancels all of
// it. What does so stands in the contracts.
func ExampleTCC() {
	e := newExample()
	defer e.end()
	ctx, app := context.Background(), newMarket(e) // in a service: *warren.App

	buy := func(id string, quantity, amount int64) error {
		return txn.TCC(ctx, app, "purchase", func(ctx context.Context, try *txn.Attempt) error {
			if _, err := fairv1.NewStallServiceClient(try).Reserve(ctx, &fairv1.ReserveRequest{Id: id, Goods: "apples", Quantity: quantity}); err != nil {
				return err
			}
			_, err := fairv1.NewPurseServiceClient(try).Hold(ctx, &fairv1.HoldRequest{Id: id, Purse: "ada", Amount: amount})
			return err
		}, txn.ID(id))
	}

	fmt.Println(buy("1", 4, 12))
	fmt.Println(buy("2", 5, 1000))
	fmt.Println(app.state())
	// Output:
	// <nil>
	// transaction purchase/2 was undone: step Hold: TOO_POOR: there is less than 1000 in the purse of ada
	// apples: 6 free, 0 reserved, 4 gone; ada: 88 free, 0 reserved, 12 gone; eve: 0 free, 0 reserved, 0 gone;
}

// A two-phase message is a saga that begins if, and only if, a transaction of
// the service's own database is committed.
func ExampleMessage() {
	e := newExample()
	defer e.end()
	ctx, market := context.Background(), newMarket(e)
	app, db := market.orders, market.ledger.DB // in a service: *warren.App and its database

	order := func(id string, refuse error) error {
		saga := txn.NewSaga("gift", txn.ID(id))
		saga.Step("give", fairv1.PurseService_Give_FullMethodName, &fairv1.GiveRequest{Purse: "eve", Amount: 5}, txn.NothingToUndo())
		return txn.Message(ctx, app, db, saga, func(ctx context.Context, tx *store.Tx) error {
			if _, err := tx.Exec(ctx, `UPDATE things SET free = free - 1 WHERE name = 'orders'`); err != nil {
				return err
			}
			return refuse
		})
	}

	fmt.Println(order("1", nil))
	_, err := txn.Wait(ctx, app, "gift/1")
	fmt.Println(err)
	fmt.Println(order("2", errors.New("eve needs no more")))
	fmt.Println(market.state())
	// Output:
	// <nil>
	// <nil>
	// eve needs no more
	// apples: 10 free, 0 reserved, 0 gone; ada: 100 free, 0 reserved, 0 gone; eve: 5 free, 0 reserved, 0 gone;
}
