package supervisor

import (
	"context"
	"sync"
	"time"

	"github.com/gowarren/warren/registry"
	"github.com/gowarren/warren/registry/driver"
)

// presence tells the fleet what the registry knows of its processes.
type presence struct {
	registry *registry.Registry
	driver   driver.Driver // the supervisor's own session
	mu       sync.Mutex    // one removal at a time
}

// WaitReady returns when the instance is ready.
func (p *presence) WaitReady(ctx context.Context, instance string) error {
	changes, stop := p.registry.Watch()
	defer stop()
	for {
		if found, ok := p.find(instance); ok && found.State == registry.Ready {
			return nil
		}
		select {
		case <-changes:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Changed returns after a change of the registry, or a moment.
func (p *presence) Changed(ctx context.Context) error {
	const moment = 100 * time.Millisecond
	changes, stop := p.registry.Watch()
	defer stop()
	timer := time.NewTimer(moment)
	defer timer.Stop()
	select {
	case <-changes:
	case <-timer.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// Remove takes an instance whose process has ended out of the registry, where
// it would stay until its lease is over, and then be missed. The supervisor
// takes the entry over, so that it leaves as one that was meant to.
func (p *presence) Remove(instance string) {
	const patience = 2 * time.Second
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, i := range p.registry.Snapshot().Instances {
		if i.ID != instance && i.ID != instance+".http" {
			continue
		}
		i.State = registry.Draining
		if p.driver.Put(ctx, i) == nil {
			_ = p.driver.Remove(ctx, i.Service, i.ID)
		}
	}
}

func (p *presence) find(instance string) (registry.Instance, bool) {
	for _, i := range p.registry.Snapshot().Instances {
		if i.ID == instance {
			return i, true
		}
	}
	return registry.Instance{}, false
}
