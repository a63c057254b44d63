package warren

import (
	"context"
	"errors"
	"sync"
	"time"

	"google.golang.org/grpc/codes"

	peerv1 "github.com/gowarren/warren/api/warren/peer/v1"
	"github.com/gowarren/warren/auth"
	"github.com/gowarren/warren/internal/node"
	"github.com/gowarren/warren/rpc"
)

// peers tells the other instances of this service which entries of a cache
// changed, by calling each of them. An instance that the registry had lost may
// have missed messages: it forgets everything when it is back. One that is
// registered but cannot be reached misses the message, which its publisher is
// told; the age limit of its entries bounds what it then knows wrong.
type peers struct {
	peerv1.UnimplementedPeerServiceServer
	node *node.Node

	mu   sync.Mutex
	subs map[string]map[*subscription]struct{} // by cache
}

type subscription struct{ changed func(keys []string) }

// noticed is after how long the others surely see that an instance is back.
const noticed = time.Second

func newPeers(n *node.Node) *peers {
	p := &peers{node: n, subs: map[string]map[*subscription]struct{}{}}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.watch(ctx)
	}()
	n.OnClose(func(context.Context) error {
		cancel()
		<-done
		return nil
	})
	return p
}

// watch clears the caches whenever this process is back in the registry: at
// once, and again when the others have noticed, for what was loaded meanwhile.
func (p *peers) watch(ctx context.Context) {
	changes, stop := p.node.Registry.Watch()
	defer stop()
	var again <-chan time.Time
	for known := p.node.Registry.Returns(); ; {
		select {
		case <-ctx.Done():
			return
		case <-again:
			p.clear()
		case <-changes:
			if now := p.node.Registry.Returns(); now != known {
				known, again = now, time.After(noticed)
				p.clear()
			}
		}
	}
}

// clear tells all caches that messages may have been missed.
func (p *peers) clear() {
	p.mu.Lock()
	var subs []*subscription
	for _, of := range p.subs {
		for s := range of {
			subs = append(subs, s)
		}
	}
	p.mu.Unlock()
	for _, s := range subs {
		s.changed(nil)
	}
}

// Publish tells every other instance of the service.
func (p *peers) Publish(ctx context.Context, cache string, keys []string) error {
	req := &peerv1.InvalidateRequest{Cache: cache, Keys: keys}
	errs := p.node.Client.Broadcast(ctx, p.node.Env.Service, peerv1.PeerService_Invalidate_FullMethodName, req,
		func() any { return &peerv1.InvalidateResponse{} })
	return errors.Join(errs...)
}

// Subscribe calls changed with what other instances publish about the cache.
func (p *peers) Subscribe(cache string, changed func(keys []string)) (stop func()) {
	s := &subscription{changed: changed}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.subs[cache] == nil {
		p.subs[cache] = map[*subscription]struct{}{}
	}
	p.subs[cache][s] = struct{}{}
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.subs[cache], s)
	}
}

// Invalidate takes the message of another instance.
func (p *peers) Invalidate(ctx context.Context, req *peerv1.InvalidateRequest) (*peerv1.InvalidateResponse, error) {
	if from := auth.FromContext(ctx).Service; from != p.node.Env.Service {
		return nil, &rpc.Error{Code: codes.PermissionDenied, Message: "only instances of " + p.node.Env.Service + " share its caches"}
	}
	p.mu.Lock()
	var subs []*subscription
	for s := range p.subs[req.GetCache()] {
		subs = append(subs, s)
	}
	p.mu.Unlock()
	for _, s := range subs {
		s.changed(req.GetKeys())
	}
	return &peerv1.InvalidateResponse{}, nil
}
