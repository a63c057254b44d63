package txntest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
	"github.com/gowarren/warren/internal/coordinator"
	"github.com/gowarren/warren/rpc"
	"github.com/gowarren/warren/store"
)

// process is a coordinator that can be killed: from one moment on nothing that
// it does has an effect.
type process struct {
	world  *World
	id     string
	conn   grpc.ClientConnInterface
	engine *coordinator.Engine
	db     *store.DB
	stop   func() // the server

	dead   atomic.Bool
	ending sync.Once
	ended  chan struct{}
}

// startCoordinator starts a coordinator on what the one before left.
func (w *World) startCoordinator(ctx context.Context) error {
	w.mu.Lock()
	w.started++
	p := &process{world: w, id: fmt.Sprintf("coordinator/%d", w.started), conn: w.caller, ended: make(chan struct{})}
	w.mu.Unlock()
	var err error
	if p.db, err = w.open(ctx, "coordinator"); err != nil {
		return err
	}
	err = p.db.Migrate(ctx, coordinator.Migrations)
	if err == nil {
		p.engine, err = coordinator.New(coordinator.Options{
			DB: p.db, Conn: p, Node: p.id, Settings: w.settings, Logger: slog.New(slog.DiscardHandler), Failpoint: p.failpoint,
		})
	}
	if err == nil {
		err = p.engine.Start(ctx)
	}
	if err != nil {
		return errors.Join(err, p.db.Close())
	}
	server := rpc.NewServer(rpc.ServerOptions{
		Settings: w.settings, Logger: slog.New(slog.DiscardHandler), ServiceKey: w.key,
		Intercept: []grpc.UnaryServerInterceptor{w.faults.note},
	})
	p.engine.Register(server)
	if p.stop, err = w.serve("coordinator", p.id, server); err != nil {
		return errors.Join(err, p.engine.Drain(ctx), p.db.Close())
	}
	w.mu.Lock()
	w.coordinator = p
	w.mu.Unlock()
	return nil
}

var errDead = errors.New("killed by the test")

// Invoke is how the coordinator calls those who take part.
func (p *process) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	if p.dead.Load() {
		return errDead
	}
	b, ok := branchOf(ctx)
	if !ok {
		return p.conn.Invoke(ctx, method, args, reply, opts...)
	}
	return p.world.faults.deliver(ctx, b, opts, func(ctx context.Context) error {
		return p.conn.Invoke(ctx, method, args, reply, opts...)
	})
}

// NewStream is never needed: branches take one message and return one.
func (p *process) NewStream(context.Context, *grpc.StreamDesc, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	return nil, errors.New("branches do not stream")
}

// failpoint ends the process where the plan says so.
func (p *process) failpoint(point string) error {
	if !p.dead.Load() && p.world.faults.pass(point) {
		p.die()
	}
	if p.dead.Load() {
		return errDead
	}
	return nil
}

// die kills the process, and has another one take its place.
func (p *process) die() {
	if p.dead.Swap(true) {
		return
	}
	p.world.mu.Lock()
	defer p.world.mu.Unlock()
	if p.world.closed {
		return // nobody takes its place any more
	}
	p.world.restarts.Go(func() {
		p.kill()
		if err := p.world.startCoordinator(context.Background()); err != nil {
			p.world.faults.broken(fmt.Errorf("start the coordinator again: %w", err))
		}
	})
}

// RestartCoordinator kills the coordinator, and starts another one.
func (w *World) RestartCoordinator(ctx context.Context) error {
	w.restarts.Wait()
	w.process().kill()
	return w.startCoordinator(ctx)
}

// Retry lets a parked transaction go on, as an operator does.
func (w *World) Retry(ctx context.Context, id string) error {
	_, err := txnv1.NewOperatorServiceClient(w.operator).Retry(ctx, &txnv1.RetryRequest{Gid: id, By: &txnv1.By{Author: "test", Reason: "it can go on"}})
	return err
}

// kill ends the process at once: its database and its connections are cut, so
// that what its goroutines still try comes to nothing.
func (p *process) kill() {
	p.dead.Store(true)
	p.ending.Do(func() {
		defer close(p.ended)
		_ = p.db.Close()
		p.stop()
		now, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		defer cancel()
		_ = p.engine.Drain(now) // it cannot even say good-bye
	})
	<-p.ended
}
