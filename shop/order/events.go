package main

import (
	"context"
	"errors"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/gowarren/warren/events"
	orderv1 "github.com/gowarren/warren/shop/api/shop/order/v1"
	shippingv1 "github.com/gowarren/warren/shop/api/shop/shipping/v1"
	"github.com/gowarren/warren/store"
)

// again is after how long an order that is between two states is looked at once
// more.
const again = 500 * time.Millisecond

// onShipped notes that the carrier has the order.
func (p *process) onShipped(ctx context.Context, _ *store.Tx, e *shippingv1.ShipmentShipped) error {
	return p.note(ctx, e.GetOrderId(), orderv1.State_SHIPPED, func(o *order) proto.Message {
		return &orderv1.OrderShipped{OrderId: o.id, CustomerId: o.customer, Total: o.money(o.total)}
	})
}

func (p *process) ofShipped(ctx context.Context, e *shippingv1.ShipmentShipped) (*store.DB, error) {
	return p.database(ctx, e.GetOrderId())
}

// onDelivered notes that the customer has the order.
func (p *process) onDelivered(ctx context.Context, _ *store.Tx, e *shippingv1.ShipmentDelivered) error {
	return p.note(ctx, e.GetOrderId(), orderv1.State_DELIVERED, func(o *order) proto.Message {
		return &orderv1.OrderDelivered{OrderId: o.id, CustomerId: o.customer, Total: o.money(o.total)}
	})
}

func (p *process) ofDelivered(ctx context.Context, e *shippingv1.ShipmentDelivered) (*store.DB, error) {
	return p.database(ctx, e.GetOrderId())
}

// database is where the events of an order are handled.
func (p *process) database(ctx context.Context, id string) (*store.DB, error) {
	shard, err := p.orders.shard(id)
	if err != nil {
		return nil, events.DeadLetter("there is no order " + id)
	}
	return p.orders.all.Database(ctx, shard.Number())
}

// note moves an order on after the carrier. One whose saga has not said its last
// word yet (the checkout's answer is still under way, or somebody tries to cancel
// what has left) is looked at again.
func (p *process) note(ctx context.Context, id string, next orderv1.State, event func(*order) proto.Message) error {
	err := p.orders.inTx(ctx, id, func(ctx context.Context, tx *store.Tx) error {
		o, err := p.orders.change(ctx, tx, id, func(o *order) error {
			if o.early(next) {
				return errEarly
			}
			return o.become(next, "", p.now())
		})
		if err != nil {
			return err
		}
		tx.AfterCommit(func() { p.watchers.changed(id) })
		return events.Publish(ctx, tx, event(o))
	})
	switch {
	case errors.Is(err, errEarly):
		return events.RetryAfter(again)
	case errors.Is(err, errNoOrder):
		return events.DeadLetter("there is no order " + id)
	}
	return err
}

var errEarly = errors.New("the order is not so far yet")
