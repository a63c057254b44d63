package main

import (
	"sync"
	"time"

	"google.golang.org/grpc"

	orderv1 "github.com/gowarren/warren/shop/api/shop/order/v1"
)

// look is how often a watched order is read in case that another instance
// changed it.
const look = time.Second

// watchers wake those who watch an order when this instance changes it.
type watchers struct {
	mu    sync.Mutex
	woken map[string]map[chan struct{}]struct{} // by order
}

func newWatchers() *watchers { return &watchers{woken: map[string]map[chan struct{}]struct{}{}} }

// changed wakes who watches the order.
func (w *watchers) changed(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.woken[id] {
		select {
		case c <- struct{}{}:
		default: // it is awake
		}
	}
}

func (w *watchers) watch(id string) (woken <-chan struct{}, stop func()) {
	c := make(chan struct{}, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.woken[id] == nil {
		w.woken[id] = map[chan struct{}]struct{}{}
	}
	w.woken[id][c] = struct{}{}
	return c, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.woken[id], c)
		if len(w.woken[id]) == 0 {
			delete(w.woken, id)
		}
	}
}

// WatchOrder sends the order whenever it is another, until nothing more happens
// to it by itself.
func (s *service) WatchOrder(req *orderv1.WatchOrderRequest, stream grpc.ServerStreamingServer[orderv1.Order]) error {
	ctx := stream.Context()
	woken, stop := s.watchers.watch(req.GetOrderId())
	defer stop()
	ticker := time.NewTicker(look)
	defer ticker.Stop()
	for sent := int64(0); ; {
		o, err := s.own(ctx, req.GetOrderId())
		if err != nil {
			return err
		}
		if o.version != sent {
			if err := stream.Send(o.message()); err != nil {
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
		case <-woken:
		case <-ticker.C:
		}
	}
}
