package main

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	inventoryv1 "github.com/gowarren/warren/shop/api/shop/inventory/v1"
	orderv1 "github.com/gowarren/warren/shop/api/shop/order/v1"
	paymentv1 "github.com/gowarren/warren/shop/api/shop/payment/v1"
	shippingv1 "github.com/gowarren/warren/shop/api/shop/shipping/v1"
	"github.com/gowarren/warren/store"
	"github.com/gowarren/warren/store/shards"
	"github.com/gowarren/warren/txn"
)

const (
	// untilFree: a saga waits for the other of its order as long as that takes.
	untilFree = -1
	// always: as long as the order's own database is away nothing is decided. What
	// was not begun would not be undone either, and the order never be rejected.
	always = 100_000
	// reserved is how long stock is kept for an order at most. It is longer than any
	// checkout takes: if one is parked on its way, an operator has so much time.
	reserved = 6 * 24 * time.Hour
)

// caller is what *warren.App is to sagas.
type caller interface {
	grpc.ClientConnInterface
	Service() string
}

// sagas are the transactions over several services that an order goes through.
// All of an order's claim the order, so they run one after the other.
type sagas struct {
	app    caller
	orders *orders
}

// moved bounds how often a shard leaves while something is to begin in it.
const moved = 5

// prepared has the coordinator know of a saga before do begins the transaction in
// the shard whose end decides whether there is one: no call is made while that
// holds the database. Where the shard has left meanwhile all is done anew, with
// another saga: what was prepared, and came to nothing, has failed for ever.
func (s *sagas) prepared(ctx context.Context, shard shards.Shard, saga func() *txn.Saga, do func(*txn.Saga) error) error {
	for attempt := 1; ; attempt++ {
		err := s.attempt(ctx, shard, saga(), do)
		if attempt == moved || !errors.Is(err, store.ErrElsewhere) {
			return err
		}
	}
}

func (s *sagas) attempt(ctx context.Context, shard shards.Shard, saga *txn.Saga, do func(*txn.Saga) error) error {
	db, err := s.orders.all.Database(ctx, shard.Number())
	if err != nil {
		return err
	}
	end, err := saga.Prepare(ctx, s.app, db)
	if err != nil {
		return err
	}
	defer end()
	return do(saga)
}

// begin does local work on an order, and begins the saga that was prepared: both or
// none.
func (s *sagas) begin(ctx context.Context, shard shards.Shard, saga *txn.Saga, local func(ctx context.Context, tx *store.Tx) error) error {
	return shard.InTx(ctx, func(ctx context.Context, _ *store.Tx) error {
		db, err := s.orders.all.Database(ctx, shard.Number())
		if err != nil {
			return err
		}
		return txn.Message(ctx, s.app, db, saga, local)
	}, store.Joinable)
}

// claim keeps an order's other sagas waiting.
func claim(o *order) txn.Option { return txn.Lock("order/"+o.id, untilFree) }

// checkout arranges everything that can be refused (stock, money, shipment), then
// confirms the order, and from there on only goes forward: the money is taken, the
// stock is sold, the carrier may fetch it. The options are those of its first step.
func checkout(o *order, open ...txn.StepOption) *txn.Saga {
	s := txn.NewSaga(checkoutName, txn.ID(o.id), claim(o))
	opened := s.Step("open", orderv1.OrderProcessService_OpenCheckout_FullMethodName, &orderv1.OpenCheckoutRequest{OrderId: o.id}, open...)
	reserve := s.Step("reserve", inventoryv1.InventoryService_Reserve_FullMethodName, &inventoryv1.ReserveRequest{
		ReservationId: o.id, Lines: o.stockLines(), ExpireTime: timestamppb.New(o.created.Add(reserved)),
	}, txn.After(opened))
	hold := s.Step("hold", paymentv1.PaymentService_Hold_FullMethodName, o.holding(), txn.After(opened))
	book := s.Step("book", shippingv1.ShippingService_CreateShipment_FullMethodName, &shippingv1.CreateShipmentRequest{
		ShipmentId: o.id, OrderId: o.id, CustomerId: o.customer, Address: o.shippingAddress(), Lines: o.shippingLines(),
	}, txn.After(reserve, hold)) // the carrier is asked for what is surely there
	s.Step("confirm", orderv1.OrderProcessService_ConfirmOrder_FullMethodName, &orderv1.ConfirmOrderRequest{OrderId: o.id},
		txn.After(book), txn.Pivot())
	s.Step("capture", paymentv1.PaymentService_Capture_FullMethodName, &paymentv1.CaptureRequest{PaymentId: o.id})
	s.Step("sell", inventoryv1.InventoryService_Confirm_FullMethodName, &inventoryv1.ConfirmRequest{ReservationId: o.id})
	s.Step("complete", orderv1.OrderProcessService_CompleteCheckout_FullMethodName, &orderv1.CompleteCheckoutRequest{OrderId: o.id})
	s.Step("dispatch", shippingv1.ShippingService_DispatchShipment_FullMethodName, &shippingv1.DispatchShipmentRequest{ShipmentId: o.id})
	return s
}

const checkoutName = "checkout"

// checkoutID is what the coordinator knows the checkout of an order by.
func checkoutID(order string) string { return txn.NewSaga(checkoutName, txn.ID(order)).ID() }

// cancel stops an order that was not sent. That the shipment can be cancelled is
// the question, and from its answer on there is no way back. That there is one for
// each order is the order's doing, which is wanted to stop once; the attempt tells
// apart those that were begun and came to nothing.
func cancel(o *order, attempt string) *txn.Saga {
	s := txn.NewSaga("cancel", txn.ID(o.id+"."+attempt), claim(o))
	s.Step("begin", orderv1.OrderProcessService_BeginCancel_FullMethodName, &orderv1.BeginCancelRequest{OrderId: o.id})
	s.Step("stop", shippingv1.ShippingService_CancelShipment_FullMethodName, &shippingv1.CancelShipmentRequest{ShipmentId: o.id}, txn.Pivot())
	s.Step("refund", paymentv1.PaymentService_Refund_FullMethodName, &paymentv1.RefundRequest{RefundId: o.id + "-cancel", PaymentId: o.id})
	s.Step("restock", inventoryv1.InventoryService_Restock_FullMethodName, &inventoryv1.RestockRequest{ReturnId: o.id + "-cancel", Lines: o.stockLines()})
	s.Step("finish", orderv1.OrderProcessService_FinishCancel_FullMethodName, &orderv1.FinishCancelRequest{OrderId: o.id})
	return s
}

// giveBack takes back what was delivered. That it may be is the question.
func giveBack(o *order) *txn.Saga {
	s := txn.NewSaga("return", txn.ID(o.id), claim(o))
	s.Step("begin", orderv1.OrderProcessService_BeginReturn_FullMethodName, &orderv1.BeginReturnRequest{OrderId: o.id}, txn.Pivot())
	s.Step("refund", paymentv1.PaymentService_Refund_FullMethodName, &paymentv1.RefundRequest{RefundId: o.id + "-return", PaymentId: o.id})
	s.Step("restock", inventoryv1.InventoryService_Restock_FullMethodName, &inventoryv1.RestockRequest{ReturnId: o.id + "-return", Lines: o.stockLines()})
	s.Step("finish", orderv1.OrderProcessService_FinishReturn_FullMethodName, &orderv1.FinishReturnRequest{OrderId: o.id})
	return s
}

func (o *order) holding() *paymentv1.HoldRequest {
	return &paymentv1.HoldRequest{PaymentId: o.id, CustomerId: o.customer, Amount: o.money(o.total)}
}

func (o *order) stockLines() (lines []*inventoryv1.Line) {
	for _, l := range o.lines {
		lines = append(lines, &inventoryv1.Line{Sku: l.sku, Quantity: int32(l.quantity)})
	}
	return lines
}

func (o *order) shippingLines() (lines []*shippingv1.Line) {
	for _, l := range o.lines {
		lines = append(lines, &shippingv1.Line{Sku: l.sku, Quantity: int32(l.quantity)})
	}
	return lines
}

func (o *order) shippingAddress() *shippingv1.Address {
	return &shippingv1.Address{
		Name: o.address.name, Street: o.address.street, City: o.address.city,
		PostalCode: o.address.postalCode, CountryCode: o.address.country,
	}
}
