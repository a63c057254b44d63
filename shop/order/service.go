package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/gowarren/warren/auth"
	"github.com/gowarren/warren/events"
	"github.com/gowarren/warren/page"
	"github.com/gowarren/warren/rpc"
	orderv1 "github.com/gowarren/warren/shop/api/shop/order/v1"
	"github.com/gowarren/warren/store"
	"github.com/gowarren/warren/txn"
)

// service is what customers call. Who may, and what is valid, the contract says
// and Warren enforces before a method here is called.
type service struct {
	orderv1.UnimplementedOrderServiceServer
	orders   *orders
	sagas    *sagas
	pages    *page.Tokens
	watchers *watchers
	settings *settings
	now      func() time.Time // as precisely as it is kept
}

// PlaceOrder keeps the order, and with it the saga that arranges it: both or
// none. That the same key places no second order is Warren's doing; who was asked
// before, and told of the saga, is in [placing].
func (s *service) PlaceOrder(ctx context.Context, _ *orderv1.PlaceOrderRequest) (*orderv1.Order, error) {
	d, err := drafted(ctx)
	if err != nil {
		return nil, err
	}
	o := d.order
	err = s.sagas.begin(ctx, d.shard, d.saga, func(ctx context.Context, tx *store.Tx) error {
		if err := s.orders.add(ctx, tx, o); err != nil {
			return err
		}
		return events.Publish(ctx, tx, &orderv1.OrderPlaced{OrderId: o.id, CustomerId: o.customer, Total: o.money(o.total)})
	})
	if err != nil {
		return nil, err
	}
	return o.message(), nil
}

// own returns an order of the caller.
func (s *service) own(ctx context.Context, id string) (*order, error) {
	o, err := s.orders.get(ctx, id)
	if errors.Is(err, errNoOrder) || err == nil && o.customer != auth.FromContext(ctx).Subject {
		return nil, noOrder(id)
	}
	return o, err
}

func (s *service) GetOrder(ctx context.Context, req *orderv1.GetOrderRequest) (*orderv1.Order, error) {
	o, err := s.own(ctx, req.GetOrderId())
	if err != nil {
		return nil, err
	}
	return o.message(), nil
}

const listPage, maxListPage = 20, 100

func (s *service) ListOrders(ctx context.Context, req *orderv1.ListOrdersRequest) (*orderv1.ListOrdersResponse, error) {
	customer := auth.FromContext(ctx).Subject
	query, before := "orders\n"+customer, ""
	if err := s.pages.Read(ctx, req.GetPageToken(), query, &before); err != nil {
		return nil, err
	}
	size := min(cmp.Or(int(req.GetPageSize()), listPage), maxListPage)
	found, err := s.orders.list(ctx, customer, before, size+1) // one more tells whether there is a next page
	if err != nil {
		return nil, err
	}
	found, next, err := page.Cut(ctx, s.pages, query, found, size, func(last *order) string { return last.id })
	if err != nil {
		return nil, err
	}
	resp := &orderv1.ListOrdersResponse{NextPageToken: next}
	for _, o := range found {
		resp.Orders = append(resp.Orders, o.message())
	}
	return resp, nil
}

// errSaid says that the customer's wish is kept already.
var errSaid = errors.New("the order is to be cancelled already")

// CancelOrder keeps the wish and the saga that tries to fulfil it. The saga waits
// for the checkout's end: the two claim the same order.
func (s *service) CancelOrder(ctx context.Context, req *orderv1.CancelOrderRequest) (*orderv1.Order, error) {
	o, err := s.own(ctx, req.GetOrderId())
	if err != nil {
		return nil, err
	}
	wanted := *o
	if first, err := wanted.wantStop(s.now()); !first || err != nil {
		return o.message(), err // nobody else needs to be asked
	}
	shard, err := s.orders.shard(o.id)
	if err != nil {
		return nil, err
	}
	saga := func() *txn.Saga { return cancel(o, rand.Text()) }
	err = s.sagas.prepared(ctx, shard, saga, func(saga *txn.Saga) error {
		return s.sagas.begin(ctx, shard, saga, func(ctx context.Context, tx *store.Tx) error {
			_, err := s.orders.change(ctx, tx, o.id, func(now *order) error {
				first, err := now.wantStop(s.now())
				if o = now; err == nil && !first {
					return errSaid // by somebody who came at the same moment
				}
				return err
			})
			return err
		})
	})
	if err != nil && !errors.Is(err, errSaid) {
		return nil, err
	}
	return o.message(), nil
}

// ReturnOrder keeps the saga that takes back what was delivered. Of an order there
// is one, however often it is asked for.
func (s *service) ReturnOrder(ctx context.Context, req *orderv1.ReturnOrderRequest) (*orderv1.Order, error) {
	o, err := s.own(ctx, req.GetOrderId())
	if err != nil {
		return nil, err
	}
	switch o.state {
	case orderv1.State_RETURNING, orderv1.State_RETURNED:
		return o.message(), nil
	case orderv1.State_DELIVERED:
		return o.message(), giveBack(o).Submit(ctx, s.sagas.app)
	}
	return nil, rpc.Errorf(orderv1.Reason_WRONG_STATE, "order %s is %s: only what was delivered can be given back", o.id, word(o.state))
}
