package registry

import (
	"context"
	"fmt"
	"maps"
	"slices"
)

// Announcement is an instance that this process keeps in the registry.
type Announcement struct {
	keeper *announcer

	// Guarded by keeper.mu.
	want      Instance
	version   int  // of want
	applied   int  // version that the engine holds; 0: none
	attempted bool // the engine may hold it
	withdrawn bool
	settled   chan struct{} // closed when applied reaches version
}

// Update changes the instance, for one: its state. It does not wait; changes
// that follow fast on one another become one. A change of id or service is
// ignored: that would be another instance.
func (a *Announcement) Update(change func(*Instance)) {
	k := a.keeper
	k.mu.Lock()
	defer k.mu.Unlock()
	next := a.want
	next.Contracts, next.Routes = slices.Clone(next.Contracts), slices.Clone(next.Routes)
	next.Labels = maps.Clone(next.Labels)
	change(&next)
	next.Service, next.ID = a.want.Service, a.want.ID
	if next.Equal(a.want) {
		return
	}
	a.want = next
	k.supersede(a)
}

// Registered tells whether the registry holds the instance as it is now.
func (a *Announcement) Registered() bool {
	a.keeper.mu.Lock()
	defer a.keeper.mu.Unlock()
	return a.applied == a.version && !a.withdrawn
}

// Sync waits until the registry holds the instance as it is now, or it was
// withdrawn.
func (a *Announcement) Sync(ctx context.Context) error {
	for {
		a.keeper.mu.Lock()
		settled, ok, id := a.settled, a.applied == a.version || a.withdrawn, a.want.ID
		a.keeper.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-settled:
		case <-ctx.Done():
			return fmt.Errorf("wait for the registration of instance %s: %w", id, context.Cause(ctx))
		}
	}
}

// Withdraw takes the instance out of the registry, for good and on purpose:
// others see it draining, then gone. If the registry is away, that is an
// error, and the engine forgets the instance by itself.
func (a *Announcement) Withdraw(ctx context.Context) error {
	k := a.keeper
	k.mu.Lock()
	first, attempted, instance := !a.withdrawn, a.attempted, a.want
	a.withdrawn = true
	if first {
		k.forget(a)
	}
	k.mu.Unlock()
	if !first || !attempted {
		return nil
	}
	return k.withdraw(ctx, instance)
}
