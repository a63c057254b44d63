package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/gowarren/warren/events"
	orderv1 "github.com/gowarren/warren/shop/api/shop/order/v1"
	"github.com/gowarren/warren/store"
	"github.com/gowarren/warren/store/shards"
	"github.com/gowarren/warren/txn"
	"github.com/gowarren/warren/txn/barrier"
	"github.com/gowarren/warren/txn/txntest"
)

// stage is a world of txntest in which the real process of an order takes part, in a
// shard, and stand-ins for the others.
type stage struct {
	orders *orders
	stock  *stockroom
	purse  *purse
	carry  *carrier
	order  *order
}

func newStage(t testing.TB, w *txntest.World, states ...orderv1.State) *stage {
	t.Helper()
	s := &stage{stock: &stockroom{}, purse: &purse{}, carry: &carrier{}}
	ctx := t.Context()
	must(t, errors.Join(
		s.stock.setup(ctx, w.Service("inventory")), s.purse.setup(ctx, w.Service("payment")), s.carry.setup(ctx, w.Service("shipping")),
	))
	s.open(t, w.Service("order"))
	s.order = s.orders.keep(t, "ada", time.Now().Truncate(time.Microsecond))
	must(t, errors.Join(
		s.stock.fill(ctx, "85123A", 100), s.stock.fill(ctx, "22423", 100), s.purse.fill(ctx, "ada", 10_000),
	))
	s.advance(t, states)
	return s
}

// open opens the order's shards, and puts the barrier before its process, as
// warren.App does; what goes wrong there as the trial wants it stands between the two.
func (s *stage) open(t testing.TB, h grpc.ServiceRegistrar) {
	t.Helper()
	all, err := shards.Open(t.Context(), []string{"sqlite:" + filepath.Join(t.TempDir(), "order.db") + "?synchronous=normal"}, shards.Options{
		Migrations: migrations, Tables: tables(), Prepare: func(ctx context.Context, db *store.DB) error {
			return errors.Join(barrier.MigrateShards(ctx, db), events.Migrate(ctx, db))
		},
	})
	must(t, err)
	t.Cleanup(func() { all.Close() })
	events.New(nil, all.Databases()[0], events.Options{Service: "order"}) // what is told stays in the database
	s.orders = &orders{all: all, told: func(*order) {}}
	b := barrier.New(barrier.Options{
		Database: func(ctx context.Context, method string, req proto.Message) (barrier.Database, error) {
			return s.orders.shardOf(ctx, method, req)
		},
		Databases: all.Databases,
	})
	desc := orderv1.OrderProcessService_ServiceDesc
	desc.Methods = append([]grpc.MethodDesc(nil), desc.Methods...)
	for i, m := range desc.Methods {
		desc.Methods[i].Handler = func(srv any, ctx context.Context, dec func(any) error, behind grpc.UnaryServerInterceptor) (any, error) {
			return m.Handler(srv, ctx, dec, func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
				return b.Intercept(ctx, req, info, func(ctx context.Context, req any) (any, error) { return behind(ctx, req, info, handler) })
			})
		}
	}
	h.RegisterService(&desc, &process{orders: s.orders, now: func() time.Time { return time.Now().Truncate(time.Microsecond) }})
}

// advance has the order come so far, and the world around it.
func (s *stage) advance(t testing.TB, states []orderv1.State) {
	t.Helper()
	if len(states) == 0 {
		return
	}
	ctx := t.Context()
	for _, state := range states {
		must(t, s.orders.inTx(ctx, s.order.id, func(ctx context.Context, tx *store.Tx) (err error) {
			s.order, err = s.orders.change(ctx, tx, s.order.id, func(o *order) error { return o.become(state, "", time.Now()) })
			return err
		}))
	}
	checkout := []func() error{
		func() error { return s.purse.keep(ctx, s.order.id, "captured", s.order.holding()) },
		func() error { return s.purse.add(ctx, "ada", -s.order.total, errors.New("poor")) },
		func() error { return s.stock.each(ctx, s.order.stockLines(), -1) },
		func() error { return s.carry.keep(ctx, s.order.id, "dispatched", s.order.shippingAddress()) },
	}
	for _, step := range checkout {
		must(t, step())
	}
}

// state is what there is of goods, money and shipments, what became of the order if
// it became anything, and what others are told of it.
func (s *stage) state(t testing.TB) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		o, err := s.orders.get(ctx, s.order.id)
		if err != nil {
			return "", err
		}
		became := o.state.String()
		if o.state == orderv1.State_PLACED || o.state == orderv1.State_REJECTED {
			became = "nothing"
		}
		sent := s.carry.state(t, o.id)
		if sent == "cancelled" && o.state == orderv1.State_REJECTED {
			sent = "" // a booking that came to nothing
		}
		var told int
		err = s.orders.all.Databases()[0].QueryRow(ctx, `SELECT COUNT(*) FROM warren_outbox WHERE topic <> ?`, "shop.order.v1.OrderRejected").Scan(&told)
		return fmt.Sprintf("order %s, shipment %q, %d told, %d and %d on stock, %d in the wallet", became, sent, told,
			s.stock.count(t, "85123A"), s.stock.count(t, "22423"), s.purse.count(t, "ada")), err
	}
}

func TestCheckoutBearsEveryFault(t *testing.T) {
	txntest.Run(t, func(t testing.TB, w *txntest.World) txntest.Case {
		s := newStage(t, w)
		return txntest.Case{Saga: func() *txn.Saga { return checkout(s.order) }, State: s.state(t)}
	})
}

func TestCancellingBearsEveryFault(t *testing.T) {
	txntest.Run(t, func(t testing.TB, w *txntest.World) txntest.Case {
		s := newStage(t, w, orderv1.State_CONFIRMED, orderv1.State_PAID)
		return txntest.Case{Saga: func() *txn.Saga { return cancel(s.order, "wish") }, State: s.state(t)}
	})
}

func TestReturningBearsEveryFault(t *testing.T) {
	txntest.Run(t, func(t testing.TB, w *txntest.World) txntest.Case {
		s := newStage(t, w, orderv1.State_CONFIRMED, orderv1.State_PAID, orderv1.State_SHIPPED, orderv1.State_DELIVERED)
		return txntest.Case{Saga: func() *txn.Saga { return giveBack(s.order) }, State: s.state(t)}
	})
}
