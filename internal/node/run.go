package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/gowarren/warren/registry"
)

// Part is what a process does: the server of a service, or the gateway.
type Part struct {
	// Instances are announced; each needs address and contracts or routes,
	// the rest is filled in.
	Instances []registry.Instance
	// Serve serves until Drain or Stop. An error ends the process.
	Serve func() error
	// SetReady tells the server's own health service.
	SetReady func(ready bool)
	// Drain returns when callers have moved on and what runs has finished, or
	// ctx has ended.
	Drain func(ctx context.Context) error
	// Stop ends what Drain left.
	Stop func()
}

const (
	// checkEvery is the pause between two looks at what is not there yet.
	checkEvery = 200 * time.Millisecond
	// closeTimeout bounds hooks, the release of the lease, and the last spans.
	closeTimeout = 5 * time.Second
	// lastMoment is what a hook has at the least.
	lastMoment = 100 * time.Millisecond
	// adminTimeout bounds what an open profile or scrape may cost the rest.
	adminTimeout = time.Second
)

// WithSignals returns a context that ends on the first SIGTERM, Ctrl-C or death
// of the supervisor; the second signal stops the process hard.
func WithSignals(ctx context.Context, env Environment) (context.Context, func(), error) {
	ctx, cancel := context.WithCancelCause(ctx)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	done := make(chan struct{})
	go func() {
		for count := 0; ; count++ {
			select {
			case s := <-signals:
				if count > 0 {
					fmt.Fprintf(os.Stderr, "second signal (%s): stopped hard, what was running is cut off\n", s)
					os.Exit(1)
				}
				cancel(fmt.Errorf("%s received", s))
			case <-done:
				return
			}
		}
	}()
	stop := func() {
		signal.Stop(signals)
		close(done)
		cancel(context.Canceled)
	}
	err := watchParent(env.ParentFD, func() { cancel(errors.New("the supervisor is gone")) })
	return ctx, stop, err
}

// Run lives the life of a process: listen and serve, healthy, registered,
// ready; and when ctx ends: not ready, draining, drained, gone.
func (n *Node) Run(ctx context.Context, part Part) error {
	served := make(chan error, 1)
	go func() { served <- part.Serve() }()

	announced, err := n.announce(part.Instances)
	if err != nil {
		part.Stop()
		return err
	}
	ready := make(chan struct{})
	starting, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		defer close(ready)
		n.becomeReady(starting, announced, part)
	}()

	select {
	case err = <-served:
		if err == nil {
			err = errors.New("the server ended by itself")
		}
		served <- nil
	case <-ctx.Done():
		n.Logger().Info("draining", "because", context.Cause(ctx).Error())
	}
	cancel()
	<-ready
	return errors.Join(err, n.end(announced, part, served))
}

func (n *Node) announce(instances []registry.Instance) ([]*registry.Announcement, error) {
	var out []*registry.Announcement
	for _, inst := range instances {
		if inst.ID == "" {
			inst.ID = n.Env.Instance
		}
		inst.Service, inst.Version, inst.Zone, inst.Host = n.Env.Service, n.Env.Version, n.Env.Zone, n.Env.Host
		inst.Admin, inst.Started, inst.State = n.admin.address, time.Now(), registry.Starting
		a, err := n.Registry.Announce(inst)
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	n.announced.Store(&out)
	n.tellRevision(n.Settings.Revision())
	return out, nil
}

// tellRevision lets the registry know which live settings this process runs.
func (n *Node) tellRevision(revision int64) {
	announced := n.announced.Load()
	if announced == nil {
		return
	}
	for _, a := range *announced {
		a.Update(func(i *registry.Instance) { i.SettingsRevision = revision })
	}
}

// becomeReady waits for what the process needs, then tells everybody.
func (n *Node) becomeReady(ctx context.Context, announced []*registry.Announcement, part Part) {
	if !n.waitForChecks(ctx) {
		return
	}
	for _, a := range announced {
		a.Update(func(i *registry.Instance) { i.State = registry.Ready })
	}
	n.Health.setPhase("waiting for the registration")
	for _, a := range announced {
		if a.Sync(ctx) != nil {
			return
		}
	}
	part.SetReady(true)
	n.Health.setPhase("")
	n.Logger().Info("ready")
}

// waitForChecks returns true when all checks passed once. Each new reason for
// waiting is logged once.
func (n *Node) waitForChecks(ctx context.Context) bool {
	told := ""
	ticker := time.NewTicker(checkEvery)
	defer ticker.Stop()
	for {
		ok, reason := n.Health.passing(ctx)
		if ok {
			return true
		}
		if reason != told && ctx.Err() == nil {
			n.Logger().Info("not ready yet", "because", reason)
			told = reason
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return false
		}
	}
}

// end takes the process out of the system, so that nobody notices.
func (n *Node) end(announced []*registry.Announcement, part Part, served <-chan error) error {
	began := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), n.drainTime.Get())
	defer cancel()
	n.Health.setPhase("draining")
	part.SetReady(false)
	for _, a := range announced {
		a.Update(func(i *registry.Instance) { i.State = registry.Draining })
	}
	errs := []error{part.Drain(ctx)}
	part.Stop()
	errs = append(errs, <-served)

	closing, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	for _, a := range announced {
		if err := a.Withdraw(closing); err != nil {
			// The lease ends by itself: nothing is lost by going without it.
			n.Logger().Warn("leaving without the registry", "error", err)
		}
	}
	n.Logger().Info("drained", "took", time.Since(began).Round(time.Millisecond).String())
	return errors.Join(errs...)
}
