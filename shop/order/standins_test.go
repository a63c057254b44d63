package main

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	rpcv1 "github.com/gowarren/warren/api/warren/rpc/v1"
	"github.com/gowarren/warren/events"
	"github.com/gowarren/warren/rpc"
	catalogv1 "github.com/gowarren/warren/shop/api/shop/catalog/v1"
	inventoryv1 "github.com/gowarren/warren/shop/api/shop/inventory/v1"
	moneyv1 "github.com/gowarren/warren/shop/api/shop/money/v1"
	paymentv1 "github.com/gowarren/warren/shop/api/shop/payment/v1"
	shippingv1 "github.com/gowarren/warren/shop/api/shop/shipping/v1"
	"github.com/gowarren/warren/store"
)

// The services around the orders, as simple as they can be. They have databases,
// so that what Warren does for those who take part in sagas is done for them.

var bookSchema = fstest.MapFS{"migrations/0001_books.sql": {Data: []byte(`
CREATE TABLE counts (name VARCHAR(64) NOT NULL PRIMARY KEY, n BIGINT NOT NULL);
CREATE TABLE things (id VARCHAR(64) NOT NULL PRIMARY KEY, state VARCHAR(20) NOT NULL, body BLOB NOT NULL);`)}}

// books are what a stand-in keeps: how much there is of what, and things with a
// state.
type books struct{ db *store.DB }

// host is what a stand-in lives in: *warren.App, or a service of txntest.
type host interface {
	grpc.ServiceRegistrar
	Database(ctx context.Context, migrations fs.FS) (*store.DB, error)
}

func (b *books) open(ctx context.Context, h host) (err error) {
	b.db, err = h.Database(ctx, bookSchema)
	return err
}

func (b *books) inTx(ctx context.Context, fn func(ctx context.Context, tx *store.Tx) error) error {
	return b.db.InTx(ctx, fn, store.Joinable)
}

func (b *books) fill(ctx context.Context, name string, n int64) error {
	_, err := b.db.Exec(ctx, `INSERT INTO counts (name, n) VALUES (?, ?)`, name, n)
	return err
}

// add changes how much there is, or returns the error where there is too little.
func (b *books) add(ctx context.Context, name string, n int64, short error) error {
	return b.inTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		touched, err := tx.Exec(ctx, `UPDATE counts SET n = n + ? WHERE name = ? AND n + ? >= 0`, n, name, n)
		if err == nil && touched == 0 {
			return short
		}
		return err
	})
}

func (b *books) keep(ctx context.Context, id, state string, body proto.Message) error {
	return b.inTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		raw, err := proto.Marshal(body)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO things (id, state, body) VALUES (?, ?, ?)`, id, state, raw)
		return err
	})
}

// move gives a thing another state, if it has one of those.
func (b *books) move(ctx context.Context, id, to string, body proto.Message, from ...string) (moved bool, err error) {
	err = b.inTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		moved = false
		var state string
		var raw []byte
		err := tx.QueryRow(ctx, `SELECT state, body FROM things WHERE id = ?`, id).Scan(&state, &raw)
		if errors.Is(err, store.ErrNoRows) || err == nil && !strings.Contains(strings.Join(from, " "), state) {
			return nil
		}
		if err != nil {
			return err
		}
		moved = true
		if _, err = tx.Exec(ctx, `UPDATE things SET state = ? WHERE id = ?`, to, id); err != nil || body == nil {
			return err
		}
		return proto.Unmarshal(raw, body)
	})
	return moved, err
}

// count returns how much there is of something.
func (b *books) count(t testing.TB, name string) (n int64) {
	t.Helper()
	if err := b.db.QueryRow(t.Context(), `SELECT n FROM counts WHERE name = ?`, name).Scan(&n); err != nil {
		t.Fatalf("count %s: %v", name, err)
	}
	return n
}

// state returns the state of a thing; empty: there is none.
func (b *books) state(t testing.TB, id string) (state string) {
	t.Helper()
	err := b.db.QueryRow(t.Context(), `SELECT state FROM things WHERE id = ?`, id).Scan(&state)
	if err != nil && !errors.Is(err, store.ErrNoRows) {
		t.Fatalf("state of %s: %v", id, err)
	}
	return state
}

// stockroom stands for the inventory.
type stockroom struct {
	inventoryv1.UnimplementedInventoryServiceServer
	books
}

func (s *stockroom) setup(ctx context.Context, h host) error {
	inventoryv1.RegisterInventoryServiceServer(h, s)
	return s.open(ctx, h)
}

func (s *stockroom) each(ctx context.Context, lines []*inventoryv1.Line, sign int64) error {
	for _, l := range lines {
		short := rpc.Errorf(inventoryv1.Reason_OUT_OF_STOCK, "there is not enough of %s", l.GetSku())
		if err := s.add(ctx, l.GetSku(), sign*int64(l.GetQuantity()), short); err != nil {
			return err
		}
	}
	return nil
}

func (s *stockroom) Reserve(ctx context.Context, req *inventoryv1.ReserveRequest) (*inventoryv1.ReserveResponse, error) {
	return &inventoryv1.ReserveResponse{}, s.inTx(ctx, func(ctx context.Context, _ *store.Tx) error {
		if err := s.each(ctx, req.GetLines(), -1); err != nil {
			return err
		}
		return s.keep(ctx, req.GetReservationId(), "held", req)
	})
}

func (s *stockroom) Release(ctx context.Context, req *inventoryv1.ReleaseRequest) (*inventoryv1.ReleaseResponse, error) {
	return &inventoryv1.ReleaseResponse{}, s.inTx(ctx, func(ctx context.Context, _ *store.Tx) error {
		was := &inventoryv1.ReserveRequest{}
		if released, err := s.move(ctx, req.GetReservationId(), "released", was, "held"); !released || err != nil {
			return err
		}
		return s.each(ctx, was.GetLines(), 1)
	})
}

func (s *stockroom) Confirm(ctx context.Context, req *inventoryv1.ConfirmRequest) (*inventoryv1.ConfirmResponse, error) {
	sold, err := s.move(ctx, req.GetReservationId(), "sold", nil, "held")
	if err == nil && !sold {
		err = rpc.Errorf(inventoryv1.Reason_RESERVATION_ENDED, "the reservation is over")
	}
	return &inventoryv1.ConfirmResponse{}, err
}

func (s *stockroom) Restock(ctx context.Context, req *inventoryv1.RestockRequest) (*inventoryv1.RestockResponse, error) {
	return &inventoryv1.RestockResponse{}, s.inTx(ctx, func(ctx context.Context, _ *store.Tx) error {
		if err := s.each(ctx, req.GetLines(), 1); err != nil {
			return err
		}
		return s.keep(ctx, req.GetReturnId(), "back", req)
	})
}

// purse stands for the payment service.
type purse struct {
	paymentv1.UnimplementedPaymentServiceServer
	books
}

func (p *purse) setup(ctx context.Context, h host) error {
	paymentv1.RegisterPaymentServiceServer(h, p)
	return p.open(ctx, h)
}

func (p *purse) Hold(ctx context.Context, req *paymentv1.HoldRequest) (*paymentv1.HoldResponse, error) {
	return &paymentv1.HoldResponse{}, p.inTx(ctx, func(ctx context.Context, _ *store.Tx) error {
		short := rpc.Errorf(paymentv1.Reason_INSUFFICIENT_FUNDS, "the wallet has too little")
		if err := p.add(ctx, req.GetCustomerId(), -req.GetAmount().GetMinorUnits(), short); err != nil {
			return err
		}
		return p.keep(ctx, req.GetPaymentId(), "held", req)
	})
}

// back gives the money of a payment back.
func (p *purse) back(ctx context.Context, id, to, from string) (moved bool, err error) {
	err = p.inTx(ctx, func(ctx context.Context, _ *store.Tx) (err error) {
		was := &paymentv1.HoldRequest{}
		if moved, err = p.move(ctx, id, to, was, from); !moved || err != nil {
			return err
		}
		return p.add(ctx, was.GetCustomerId(), was.GetAmount().GetMinorUnits(), errors.New("there is no such wallet"))
	})
	return moved, err
}

func (p *purse) Void(ctx context.Context, req *paymentv1.VoidRequest) (*paymentv1.VoidResponse, error) {
	_, err := p.back(ctx, req.GetPaymentId(), "void", "held")
	return &paymentv1.VoidResponse{}, err
}

func (p *purse) Capture(ctx context.Context, req *paymentv1.CaptureRequest) (*paymentv1.CaptureResponse, error) {
	captured, err := p.move(ctx, req.GetPaymentId(), "captured", nil, "held")
	if err == nil && !captured {
		err = rpc.Errorf(paymentv1.Reason_PAYMENT_VOIDED, "nothing is held")
	}
	return &paymentv1.CaptureResponse{}, err
}

func (p *purse) Refund(ctx context.Context, req *paymentv1.RefundRequest) (*paymentv1.RefundResponse, error) {
	refunded, err := p.back(ctx, req.GetPaymentId(), "refunded", "captured")
	if err == nil && !refunded {
		err = rpc.Errorf(paymentv1.Reason_PAYMENT_NOT_CAPTURED, "nothing was paid")
	}
	return &paymentv1.RefundResponse{}, err
}

// nobody is who the carrier does not send to.
const nobody = "Nobody"

// carrier stands for the shipping service. What was dispatched leaves when the test
// says so.
type carrier struct {
	shippingv1.UnimplementedShippingServiceServer
	books
	down atomic.Bool // it doesn't answer
}

func (c *carrier) setup(ctx context.Context, h host) error {
	shippingv1.RegisterShippingServiceServer(h, c)
	return c.open(ctx, h)
}

func (c *carrier) CreateShipment(ctx context.Context, req *shippingv1.CreateShipmentRequest) (*shippingv1.CreateShipmentResponse, error) {
	switch {
	case c.down.Load():
		return nil, rpc.Errorf(rpcv1.Reason_REASON_IDEMPOTENCY_KEY_IN_USE, "row 17 of carrier.internal is locked") // ABORTED: it may pass
	case req.GetAddress().GetName() == nobody:
		return nil, rpc.Errorf(shippingv1.Reason_CARRIER_REFUSED, "the carrier does not go there")
	}
	return &shippingv1.CreateShipmentResponse{}, c.keep(ctx, req.GetShipmentId(), "created", req)
}

func (c *carrier) DispatchShipment(ctx context.Context, req *shippingv1.DispatchShipmentRequest) (*shippingv1.DispatchShipmentResponse, error) {
	dispatched, err := c.move(ctx, req.GetShipmentId(), "dispatched", nil, "created")
	if err == nil && !dispatched {
		err = rpc.Errorf(shippingv1.Reason_SHIPMENT_CANCELLED, "there is nothing to be sent")
	}
	return &shippingv1.DispatchShipmentResponse{}, err
}

func (c *carrier) CancelShipment(ctx context.Context, req *shippingv1.CancelShipmentRequest) (*shippingv1.CancelShipmentResponse, error) {
	_, err := c.move(ctx, req.GetShipmentId(), "cancelled", nil, "created", "dispatched")
	if gone, late := c.move(ctx, req.GetShipmentId(), "handed over", nil, "handed over"); err == nil && gone {
		err = rpc.Errorf(shippingv1.Reason_ALREADY_HANDED_OVER, "the carrier has it already")
	} else {
		err = errors.Join(err, late)
	}
	return &shippingv1.CancelShipmentResponse{}, err
}

// leave has a shipment leave, and says so if it is to be told.
func (c *carrier) leave(ctx context.Context, id string, tell bool) error {
	return c.inTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if left, err := c.move(ctx, id, "handed over", nil, "created", "dispatched"); !left || err != nil {
			return errors.Join(err, errors.New("there is nothing that could leave"))
		}
		if !tell {
			return nil
		}
		return events.Publish(ctx, tx, &shippingv1.ShipmentShipped{OrderId: id, ShipmentId: id})
	})
}

// say publishes news of a shipment.
func (c *carrier) say(ctx context.Context, news proto.Message) error {
	return c.inTx(ctx, func(ctx context.Context, tx *store.Tx) error { return events.Publish(ctx, tx, news) })
}

// shelf stands for the catalogue.
type shelf struct {
	catalogv1.UnimplementedCatalogServiceServer
	mu     sync.Mutex
	prices map[string]*moneyv1.Money
	// slow holds answers back until it is closed; nil: nothing is.
	slow  chan struct{}
	asked chan struct{}
}

func newShelf() *shelf {
	return &shelf{asked: make(chan struct{}, 100), prices: map[string]*moneyv1.Money{
		"HEART": {CurrencyCode: "GBP", MinorUnits: 255}, "CAKESTAND": {CurrencyCode: "GBP", MinorUnits: 1275},
		"LAMP": {CurrencyCode: "EUR", MinorUnits: 999}, "HOUSE": {CurrencyCode: "GBP", MinorUnits: 999_999_999},
	}}
}

func (s *shelf) BatchGetProducts(ctx context.Context, req *catalogv1.BatchGetProductsRequest) (*catalogv1.BatchGetProductsResponse, error) {
	s.mu.Lock()
	slow, resp := s.slow, &catalogv1.BatchGetProductsResponse{}
	for _, code := range req.GetSkus() {
		sku := strings.ToUpper(code)
		if price := s.prices[sku]; price != nil {
			resp.Products = append(resp.Products, &catalogv1.Product{Sku: sku, Name: "A " + strings.ToLower(sku), Price: price})
		}
	}
	s.mu.Unlock()
	if slow != nil {
		s.asked <- struct{}{}
		select {
		case <-slow:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return resp, nil
}

// set changes a price.
func (s *shelf) set(sku string, units int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.prices[sku] = &moneyv1.Money{CurrencyCode: "GBP", MinorUnits: units}
}

// hold keeps answers back until the function that it returns is called.
func (s *shelf) hold() (release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.slow = make(chan struct{})
	slow := s.slow
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		close(slow)
		s.slow = nil
	}
}
