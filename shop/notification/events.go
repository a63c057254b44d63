package main

import (
	"context"
	"errors"
	"time"

	"github.com/gowarren/warren/events"
	identityv1 "github.com/gowarren/warren/shop/api/shop/identity/v1"
	notificationv1 "github.com/gowarren/warren/shop/api/shop/notification/v1"
	orderv1 "github.com/gowarren/warren/shop/api/shop/order/v1"
	shippingv1 "github.com/gowarren/warren/shop/api/shop/shipping/v1"
	"github.com/gowarren/warren/store"
)

// listener turns events into notifications.
type listener struct {
	now  func() time.Time
	mail func() // there are e-mails to be sent
}

// subscribe listens to all that users are told of.
func (l *listener) subscribe(app events.App) error {
	return errors.Join(
		events.Subscribe(app, l.onUserRegistered),
		events.Subscribe(app, func(ctx context.Context, tx *store.Tx, e *orderv1.OrderConfirmed) error {
			return l.tell(ctx, tx, e.GetCustomerId(), notificationv1.Kind_ORDER_CONFIRMED, facts{Order: e.GetOrderId(), Total: amount(e.GetTotal())})
		}),
		events.Subscribe(app, func(ctx context.Context, tx *store.Tx, e *orderv1.OrderRejected) error {
			return l.tell(ctx, tx, e.GetCustomerId(), notificationv1.Kind_ORDER_REJECTED, facts{Order: e.GetOrderId(), Reason: e.GetReason()})
		}),
		events.Subscribe(app, func(ctx context.Context, tx *store.Tx, e *orderv1.OrderCancelled) error {
			return l.tell(ctx, tx, e.GetCustomerId(), notificationv1.Kind_ORDER_CANCELLED,
				facts{Order: e.GetOrderId(), Total: amount(e.GetTotal()), Reason: e.GetReason()})
		}),
		events.Subscribe(app, func(ctx context.Context, tx *store.Tx, e *orderv1.OrderRefunded) error {
			return l.tell(ctx, tx, e.GetCustomerId(), notificationv1.Kind_ORDER_REFUNDED,
				facts{Order: e.GetOrderId(), Total: amount(e.GetTotal()), Reason: e.GetReason()})
		}),
		events.Subscribe(app, func(ctx context.Context, tx *store.Tx, e *shippingv1.ShipmentShipped) error {
			return l.tell(ctx, tx, e.GetCustomerId(), notificationv1.Kind_ORDER_SHIPPED, facts{Order: e.GetOrderId(), Tracking: e.GetTrackingNumber()})
		}),
		events.Subscribe(app, func(ctx context.Context, tx *store.Tx, e *shippingv1.ShipmentDelivered) error {
			return l.tell(ctx, tx, e.GetCustomerId(), notificationv1.Kind_ORDER_DELIVERED, facts{Order: e.GetOrderId()})
		}),
	)
}

func (l *listener) onUserRegistered(ctx context.Context, tx *store.Tx, e *identityv1.UserRegistered) error {
	if err := l.tell(ctx, tx, e.GetUserId(), notificationv1.Kind_WELCOME, facts{}); err != nil {
		return err
	}
	// E-mails may have waited for the address: events of orders and of users
	// don't wait for one another.
	return meet(ctx, tx, e.GetUserId(), e.GetEmail(), e.GetDisplayName(), l.now())
}

func (l *listener) tell(ctx context.Context, tx *store.Tx, user string, kind notificationv1.Kind, f facts) error {
	if user == "" || kind != notificationv1.Kind_WELCOME && f.Order == "" {
		return events.DeadLetter("it doesn't say whom it is about, or which order")
	}
	n, err := newNotification(user, kind, f, l.now())
	if err != nil {
		return err
	}
	return tell(ctx, tx, n, l.mail)
}
