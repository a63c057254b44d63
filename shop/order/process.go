package main

import (
	"context"
	"errors"
	"slices"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/gowarren/warren/events"
	orderv1 "github.com/gowarren/warren/shop/api/shop/order/v1"
	"github.com/gowarren/warren/store"
	"github.com/gowarren/warren/txn/barrier"
)

// process is the order's own part in the sagas. Its methods are ordinary ones:
// that each takes effect once, in whatever order and how often the coordinator
// calls, is the barrier's doing.
type process struct {
	orderv1.UnimplementedOrderProcessServiceServer
	orders   *orders
	settings *settings
	now      func() time.Time
}

func (p *process) OpenCheckout(ctx context.Context, req *orderv1.OpenCheckoutRequest) (*orderv1.OpenCheckoutResponse, error) {
	// The order was kept together with the saga. That it has begun is noted, so that
	// it is rejected if it fails.
	_, err := p.orders.get(ctx, req.GetOrderId())
	return &orderv1.OpenCheckoutResponse{}, known(err, req.GetOrderId())
}

func (p *process) RejectOrder(ctx context.Context, req *orderv1.RejectOrderRequest) (*orderv1.RejectOrderResponse, error) {
	return &orderv1.RejectOrderResponse{}, p.reject(ctx, req.GetOrderId(), because(ctx, unarranged))
}

// unarranged is why an order is rejected of which there is nothing more to say.
const unarranged = "it could not be arranged"

func (p *process) reject(ctx context.Context, id, reason string) error {
	return p.become(ctx, id, orderv1.State_REJECTED, reason, func(o *order) proto.Message {
		return &orderv1.OrderRejected{OrderId: o.id, CustomerId: o.customer, Total: o.money(o.total), Reason: reason}
	})
}

func (p *process) ConfirmOrder(ctx context.Context, req *orderv1.ConfirmOrderRequest) (*orderv1.ConfirmOrderResponse, error) {
	return &orderv1.ConfirmOrderResponse{}, p.become(ctx, req.GetOrderId(), orderv1.State_CONFIRMED, "", func(o *order) proto.Message {
		return &orderv1.OrderConfirmed{OrderId: o.id, CustomerId: o.customer, Total: o.money(o.total)}
	})
}

func (p *process) CompleteCheckout(ctx context.Context, req *orderv1.CompleteCheckoutRequest) (*orderv1.CompleteCheckoutResponse, error) {
	return &orderv1.CompleteCheckoutResponse{}, p.become(ctx, req.GetOrderId(), orderv1.State_PAID, "", nil)
}

func (p *process) BeginCancel(ctx context.Context, req *orderv1.BeginCancelRequest) (*orderv1.BeginCancelResponse, error) {
	return &orderv1.BeginCancelResponse{}, p.become(ctx, req.GetOrderId(), orderv1.State_CANCELLING, "", nil)
}

func (p *process) AbortCancel(ctx context.Context, req *orderv1.AbortCancelRequest) (*orderv1.AbortCancelResponse, error) {
	return &orderv1.AbortCancelResponse{}, p.become(ctx, req.GetOrderId(), orderv1.State_PAID, because(ctx, "it could not be stopped"), nil)
}

func (p *process) FinishCancel(ctx context.Context, req *orderv1.FinishCancelRequest) (*orderv1.FinishCancelResponse, error) {
	const reason = "as you wished"
	return &orderv1.FinishCancelResponse{}, p.become(ctx, req.GetOrderId(), orderv1.State_CANCELLED, reason, func(o *order) proto.Message {
		return &orderv1.OrderCancelled{OrderId: o.id, CustomerId: o.customer, Total: o.money(o.total), Reason: reason}
	})
}

func (p *process) BeginReturn(ctx context.Context, req *orderv1.BeginReturnRequest) (*orderv1.BeginReturnResponse, error) {
	return &orderv1.BeginReturnResponse{}, p.become(ctx, req.GetOrderId(), orderv1.State_RETURNING, "", nil)
}

func (p *process) FinishReturn(ctx context.Context, req *orderv1.FinishReturnRequest) (*orderv1.FinishReturnResponse, error) {
	const reason = "given back"
	return &orderv1.FinishReturnResponse{}, p.become(ctx, req.GetOrderId(), orderv1.State_RETURNED, reason, func(o *order) proto.Message {
		return &orderv1.OrderRefunded{OrderId: o.id, CustomerId: o.customer, Total: o.money(o.total), Reason: reason}
	})
}

// become moves an order on and tells the world, both or none. Where it has become
// that before, in a transaction of which this database knows nothing because the
// shard was moved, there is nothing left to do.
func (p *process) become(ctx context.Context, id string, next orderv1.State, reason string, event func(*order) proto.Message) error {
	err := p.orders.inTx(ctx, id, func(ctx context.Context, tx *store.Tx) error {
		already := false
		o, err := p.orders.change(ctx, tx, id, func(o *order) error {
			if already = o.became(next); already {
				return nil
			}
			return o.become(next, reason, p.now())
		})
		if err != nil || already || event == nil {
			return err
		}
		return events.Publish(ctx, tx, event(o))
	})
	return known(err, id)
}

func known(err error, id string) error {
	if errors.Is(err, errNoOrder) {
		return noOrder(id)
	}
	return err
}

// because is why the saga goes back, for the customer: what the step said that
// refused. Of one that failed otherwise there is nothing that he needs to read.
func because(ctx context.Context, otherwise string) string {
	b, _ := barrier.From(ctx)
	if b.Cause == nil || !slices.Contains([]codes.Code{codes.FailedPrecondition, codes.NotFound, codes.OutOfRange, codes.InvalidArgument}, b.Cause.Code) {
		return otherwise
	}
	return b.Cause.Message
}
