package main

import (
	"context"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/gowarren/warren/auth"
	"github.com/gowarren/warren/rpc"
	orderv1 "github.com/gowarren/warren/shop/api/shop/order/v1"
)

// watchers wake those who watch an order when this instance changes it.
type watchers struct {
	mu    sync.Mutex
	woken map[string]map[chan struct{}]struct{} // by order
	count map[string]int                        // by customer
}

func newWatchers() *watchers {
	return &watchers{woken: map[string]map[chan struct{}]struct{}{}, count: map[string]int{}}
}

// told wakes who watches the order.
func (w *watchers) told(o *order) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.woken[o.id] {
		select {
		case c <- struct{}{}:
		default: // it is awake
		}
	}
}

// watch has the customer woken when the order changes, unless that makes more
// watches of the customer than allowed.
func (w *watchers) watch(id, customer string, most int) (woken <-chan struct{}, stop func(), ok bool) {
	c := make(chan struct{}, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.count[customer] >= most {
		return nil, nil, false
	}
	w.count[customer]++
	if w.woken[id] == nil {
		w.woken[id] = map[chan struct{}]struct{}{}
	}
	w.woken[id][c] = struct{}{}
	return c, func() { w.forget(id, customer, c) }, true
}

func (w *watchers) forget(id, customer string, c chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if delete(w.woken[id], c); len(w.woken[id]) == 0 {
		delete(w.woken, id)
	}
	if w.count[customer]--; w.count[customer] == 0 {
		delete(w.count, customer)
	}
}

// WatchOrder sends the order whenever it is another, until nothing more happens
// to it by itself.
func (s *service) WatchOrder(req *orderv1.WatchOrderRequest, stream grpc.ServerStreamingServer[orderv1.Order]) error {
	ctx := stream.Context()
	// Watched before it is read: what changes after that is noticed.
	woken, stop, ok := s.watchers.watch(req.GetOrderId(), auth.FromContext(ctx).Subject, s.settings.watches.Get())
	if !ok {
		return rpc.Errorf(orderv1.Reason_TOO_MANY_WATCHES, "you watch %d orders already", s.settings.watches.Get())
	}
	defer stop()
	return s.follow(ctx, req.GetOrderId(), woken, stream.Send)
}

func (s *service) follow(ctx context.Context, id string, woken <-chan struct{}, send func(*orderv1.Order) error) error {
	look := time.NewTicker(s.settings.look.Get())
	defer look.Stop()
	longest := time.NewTimer(s.settings.longest.Get())
	defer longest.Stop()
	for sent := int64(0); ; {
		o, err := s.own(ctx, id)
		if err != nil {
			return err
		}
		if o.version != sent {
			if err := send(o.message()); err != nil {
				return err
			}
			sent = o.version
		}
		if o.over() {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-rpc.Draining(ctx):
			return rpc.Errorf(orderv1.Reason_WATCH_AGAIN, "this instance ends")
		case <-longest.C:
			return rpc.Errorf(orderv1.Reason_WATCH_AGAIN, "order %s was watched for %s", id, s.settings.longest.Get())
		case <-woken:
		case <-look.C:
		}
	}
}
