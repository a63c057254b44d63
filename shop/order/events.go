package main

import (
	"context"
	"errors"

	"google.golang.org/protobuf/proto"

	"github.com/gowarren/warren"
	"github.com/gowarren/warren/events"
	orderv1 "github.com/gowarren/warren/shop/api/shop/order/v1"
	shippingv1 "github.com/gowarren/warren/shop/api/shop/shipping/v1"
	"github.com/gowarren/warren/store"
)

// follow has orders follow their shipments.
func (p *process) follow(app *warren.App) error {
	return errors.Join(
		events.Subscribe(app, p.onShipped, events.WithDatabase(func(ctx context.Context, e *shippingv1.ShipmentShipped) (*store.DB, error) {
			return p.database(ctx, e.GetOrderId())
		})),
		events.Subscribe(app, p.onDelivered, events.WithDatabase(func(ctx context.Context, e *shippingv1.ShipmentDelivered) (*store.DB, error) {
			return p.database(ctx, e.GetOrderId())
		})),
	)
}

// onShipped notes that the carrier has the order.
func (p *process) onShipped(ctx context.Context, _ *store.Tx, e *shippingv1.ShipmentShipped) error {
	return p.note(ctx, e.GetOrderId(), orderv1.State_SHIPPED, func(o *order) proto.Message {
		return &orderv1.OrderShipped{OrderId: o.id, CustomerId: o.customer, Total: o.money(o.total)}
	})
}

// onDelivered notes that the customer has the order.
func (p *process) onDelivered(ctx context.Context, _ *store.Tx, e *shippingv1.ShipmentDelivered) error {
	return p.note(ctx, e.GetOrderId(), orderv1.State_DELIVERED, func(o *order) proto.Message {
		return &orderv1.OrderDelivered{OrderId: o.id, CustomerId: o.customer, Total: o.money(o.total)}
	})
}

// database is where the events of an order are handled.
func (p *process) database(ctx context.Context, id string) (*store.DB, error) {
	shard, err := p.orders.shard(id)
	if err != nil {
		return nil, events.DeadLetter("there is no order " + id)
	}
	return p.orders.all.Database(ctx, shard.Number())
}

var errEarly = errors.New("the order is not so far yet")

// note moves an order on after the carrier. News that come too early are looked at
// again: the checkout's last answer is still under way, somebody tries to cancel
// what has left, or of two pieces of news the second came first.
func (p *process) note(ctx context.Context, id string, next orderv1.State, event func(*order) proto.Message) error {
	err := p.orders.inTx(ctx, id, func(ctx context.Context, tx *store.Tx) error {
		already := false
		o, err := p.orders.change(ctx, tx, id, func(o *order) error {
			if already = o.became(next); already { // the carrier says it again
				return nil
			}
			if o.early(next) {
				return errEarly
			}
			return o.become(next, "", p.now())
		})
		if err != nil || already {
			return err
		}
		return events.Publish(ctx, tx, event(o))
	})
	switch {
	case errors.Is(err, errEarly):
		return events.RetryAfter(p.settings.again.Get())
	case errors.Is(err, errNoOrder):
		return events.DeadLetter("there is no order " + id)
	}
	return err
}
