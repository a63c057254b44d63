package rpc

import (
	"context"
	"fmt"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
)

// Broadcast makes a unary call to every instance of a service that serves the
// method's contract: to tell all of them what each must know. An empty service
// is every service. There are no retries; the errors name the instances.
// newReply returns a message for each answer; it is called by many goroutines.
func (c *Client) Broadcast(ctx context.Context, service, fullMethod string, request any, newReply func() any) []error {
	m, err := c.method(fullMethod)
	if err != nil {
		return []error{err}
	}
	ctx, cancel := withTimeout(ctx, m.policy.Load().timeout)
	defer cancel()
	ctx, _ = c.outgoing(ctx)
	var (
		mu   sync.Mutex
		errs []error
		wait sync.WaitGroup
	)
	for _, in := range c.pool.everyone(m.target.name, service) {
		wait.Go(func() {
			defer in.release()
			if err := in.tell(ctx, fullMethod, request, newReply()); err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, fmt.Errorf("call %s of instance %s: %w", m.spanName, in.key.id, FromError(err)))
			}
		})
	}
	wait.Wait()
	return errs
}

// everyone returns all instances of a contract, retained, whatever is known
// against them.
func (p *pool) everyone(contract, service string) []*instance {
	p.mu.Lock()
	defer p.mu.Unlock()
	var list []*instance
	for _, in := range p.serving(contract) {
		if (service == "" || in.key.service == service) && in.retain() {
			list = append(list, in)
		}
	}
	return list
}

// tell calls one instance, once its connection is there.
func (in *instance) tell(ctx context.Context, fullMethod string, request, reply any) error {
	for state := in.conn.GetState(); state != connectivity.Ready; state = in.conn.GetState() {
		if state == connectivity.TransientFailure || state == connectivity.Shutdown || !in.conn.WaitForStateChange(ctx, state) {
			return &Error{Code: codes.Unavailable, Reason: "NO_INSTANCE", Domain: domain, Message: "the instance can't be reached"}
		}
	}
	return in.conn.Invoke(ctx, fullMethod, request, reply)
}
