package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/gowarren/warren"
	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
	"github.com/gowarren/warren/events"
	"github.com/gowarren/warren/rpc"
	catalogv1 "github.com/gowarren/warren/shop/api/shop/catalog/v1"
	orderv1 "github.com/gowarren/warren/shop/api/shop/order/v1"
	"github.com/gowarren/warren/store"
	"github.com/gowarren/warren/store/storetest"
	"github.com/gowarren/warren/warrentest"
)

const fastSystem = `system: test
auth: {issuer: warrentest, audience: warrentest}
settings:
  txn.backoff.base: 5ms
  txn.backoff.max: 50ms
  txn.attempts: 20
  order.watch.look: 100ms
  order.early.pause: 20ms
`

// shop is a system with the order service in two databases, a coordinator, and
// stand-ins for all others.
type shop struct {
	*warrentest.System
	orderv1.OrderServiceClient
	txns   txnv1.CoordinatorServiceClient
	file   string
	urls   []string // of the order service's databases
	order  *warrentest.Instance
	shelf  *shelf
	stock  *stockroom
	purse  *purse
	carry  *carrier
	keys   atomic.Int64
	mu     sync.Mutex
	events []proto.Message
}

// started starts the shop, with further settings, and orders in two files.
func started(t *testing.T, more string) *shop {
	t.Helper()
	return startedIn(t, more, storetest.SQLite(t), storetest.SQLite(t))
}

// startedIn starts it with orders in these databases.
func startedIn(t *testing.T, more string, databases ...string) *shop {
	t.Helper()
	file := filepath.Join(t.TempDir(), "warren.yaml")
	if err := os.WriteFile(file, []byte(fastSystem+more), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &shop{
		System: warrentest.New(t, "--system-file", file), file: file, urls: databases,
		shelf: newShelf(), stock: &stockroom{}, purse: &purse{}, carry: &carrier{},
	}
	s.Token("nobody") // so that tokens are known before somebody asks
	s.Coordinator()
	s.Run("catalog", func(_ context.Context, app *warren.App) error {
		catalogv1.RegisterCatalogServiceServer(app, s.shelf)
		return nil
	})
	s.Run("inventory", func(ctx context.Context, app *warren.App) error { return s.stock.setup(ctx, app) })
	s.Run("payment", func(ctx context.Context, app *warren.App) error { return s.purse.setup(ctx, app) })
	s.Run("shipping", func(ctx context.Context, app *warren.App) error {
		err := s.carry.setup(ctx, app)
		app.Events()
		return err
	})
	s.order = s.Run("order", setup, s.databases()...)
	s.Run("watcher", s.watch)
	s.OrderServiceClient = orderv1.NewOrderServiceClient(s.Client())
	s.txns = txnv1.NewCoordinatorServiceClient(s.Client())
	for sku, n := range map[string]int64{"HEART": 1_000_000, "CAKESTAND": 5, "LAMP": 100, "HOUSE": 100} {
		must(t, s.stock.fill(t.Context(), sku, n))
	}
	return s
}

func (s *shop) databases() []string {
	return []string{"--database", strings.Join(s.urls, " ")}
}

// watch collects what others are told of orders.
func (s *shop) watch(ctx context.Context, app *warren.App) error {
	if _, err := app.Database(ctx, bookSchema); err != nil {
		return err
	}
	return errors.Join(
		events.Subscribe(app, func(_ context.Context, _ *store.Tx, e *orderv1.OrderPlaced) error { return s.heard(e) }),
		events.Subscribe(app, func(_ context.Context, _ *store.Tx, e *orderv1.OrderRejected) error { return s.heard(e) }),
		events.Subscribe(app, func(_ context.Context, _ *store.Tx, e *orderv1.OrderConfirmed) error { return s.heard(e) }),
		events.Subscribe(app, func(_ context.Context, _ *store.Tx, e *orderv1.OrderCancelled) error { return s.heard(e) }),
		events.Subscribe(app, func(_ context.Context, _ *store.Tx, e *orderv1.OrderShipped) error { return s.heard(e) }),
		events.Subscribe(app, func(_ context.Context, _ *store.Tx, e *orderv1.OrderDelivered) error { return s.heard(e) }),
		events.Subscribe(app, func(_ context.Context, _ *store.Tx, e *orderv1.OrderRefunded) error { return s.heard(e) }),
	)
}

func (s *shop) heard(e proto.Message) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, e)
	return nil
}

// told returns the names of what was told of an order so far, in order.
func (s *shop) told(id string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for _, e := range s.events {
		if e.(interface{ GetOrderId() string }).GetOrderId() == id {
			names = append(names, strings.TrimPrefix(string(e.ProtoReflect().Descriptor().Name()), "Order"))
		}
	}
	return strings.Join(names, " ")
}

// tells waits until others were told so much of an order. They come by type, so
// they are compared without order.
func (s *shop) tells(t testing.TB, id string, want ...string) {
	t.Helper()
	warrentest.Eventually(t, fmt.Sprintf("%v to be told of order %s", want, id), func() (string, bool) {
		got := s.told(id)
		for _, name := range want {
			if !strings.Contains(got, name) {
				return got, false
			}
		}
		return got, true
	})
	if got := strings.Fields(s.told(id)); len(got) != len(want) {
		t.Errorf("of order %s was told %v; want %v", id, got, want)
	}
}

// rich gives a customer a wallet and returns a context that calls as he.
func (s *shop) rich(t testing.TB, customer string, units int64) context.Context {
	t.Helper()
	must(t, s.purse.fill(t.Context(), customer, units))
	return s.As(t.Context(), customer)
}

// keyed adds an idempotency key that was never used.
func (s *shop) keyed(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx, rpc.MetadataIdempotencyKey, fmt.Sprint("key-", s.keys.Add(1)))
}

func wanted(lines ...*orderv1.PlaceOrderLine) *orderv1.PlaceOrderRequest {
	return &orderv1.PlaceOrderRequest{Lines: lines, Address: &orderv1.Address{
		Name: "Ada", Street: "1 High Street", City: "London", PostalCode: "N1", CountryCode: "GB",
	}}
}

func some(sku string, quantity int32) *orderv1.PlaceOrderLine {
	return &orderv1.PlaceOrderLine{Sku: sku, Quantity: quantity}
}

// place places an order.
func (s *shop) place(ctx context.Context, t testing.TB, req *orderv1.PlaceOrderRequest) *orderv1.Order {
	t.Helper()
	o, err := s.PlaceOrder(s.keyed(ctx), req)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// becomes waits until an order is in the state.
func (s *shop) becomes(ctx context.Context, t testing.TB, id string, state orderv1.State) *orderv1.Order {
	t.Helper()
	return warrentest.Eventually(t, fmt.Sprintf("order %s to be %s", id, state), func() (*orderv1.Order, bool) {
		o, err := s.GetOrder(ctx, &orderv1.GetOrderRequest{OrderId: id})
		if err != nil {
			t.Fatal(err)
		}
		return o, o.GetState() == state
	})
}

// ends waits until the saga has ended, and returns whether it succeeded.
func (s *shop) ends(t testing.TB, gid string) bool {
	t.Helper()
	got, err := s.txns.Wait(t.Context(), &txnv1.WaitRequest{Gid: gid})
	if err != nil || got.GetParked() {
		t.Fatalf("saga %s: %v, %v", gid, got, err)
	}
	return got.GetState() == txnv1.State_STATE_SUCCEEDED
}

// has checks what a customer has in his wallet.
func (s *shop) has(t testing.TB, customer string, units int64) {
	t.Helper()
	if got := s.purse.count(t, customer); got != units {
		t.Errorf("%s has %d; want %d", customer, got, units)
	}
}

// way is how an order came to where it is.
func way(o *orderv1.Order) string {
	var states []string
	for _, c := range o.GetHistory() {
		states = append(states, c.GetState().String())
	}
	return strings.Join(states, " ")
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
