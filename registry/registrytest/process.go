package registrytest

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gowarren/warren/registry"
	"github.com/gowarren/warren/registry/driver"
)

const (
	contract = "shop.catalog.v1.CatalogService"
	// patience is far more than anything here takes.
	patience = 20 * time.Second
)

// process is one process of a system: a registry over a connection of its own.
type process struct {
	*registry.Registry
	net     Network
	log     *lines
	metrics *prometheus.Registry
}

func newProcess(t *testing.T, h Harness, opts registry.Options) *process {
	t.Helper()
	conn := h.Open(t)
	p := &process{net: conn.Network, log: &lines{}, metrics: prometheus.NewRegistry()}
	opts.Logger = slog.New(slog.NewTextHandler(p.log, nil))
	opts.Metrics = p.metrics
	p.Registry = registry.New(conn.Driver, opts)
	t.Cleanup(func() {
		if err := p.Close(); err != nil && !t.Failed() {
			t.Logf("close: %v", err) // the engine may be away by now
		}
	})
	return p
}

// announce announces a ready instance and waits for it to be registered.
func (p *process) announce(t *testing.T, id string) *registry.Announcement {
	t.Helper()
	a, err := p.Announce(sample(id))
	if err != nil {
		t.Fatal(err)
	}
	synced(t, a)
	return a
}

func sample(id string) driver.Instance {
	return driver.Instance{
		ID: id, Service: "catalog", Version: "v1", Weight: 100, Address: "127.0.0.1:" + id,
		Contracts: []string{contract}, State: registry.Ready,
	}
}

func synced(t *testing.T, a *registry.Announcement) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := a.Sync(ctx); err != nil {
		t.Fatal(err)
	}
}

// await waits until what p knows meets the condition.
func (p *process) await(t *testing.T, what string, condition func(registry.Snapshot) bool) {
	t.Helper()
	changes, stop := p.Watch()
	defer stop()
	deadline := time.After(patience)
	for !condition(p.Snapshot()) {
		select {
		case <-changes:
		case <-time.After(10 * time.Millisecond): // the condition may look at more than the snapshot
		case <-deadline:
			t.Fatalf("it never came that %s; known: %+v", what, p.Snapshot())
		}
	}
}

// awaitIDs waits until p would call exactly these instances, all in good
// standing, and its view is live.
func (p *process) awaitIDs(t *testing.T, ids ...string) {
	t.Helper()
	p.await(t, fmt.Sprintf("instances %v are ready", ids), func(s registry.Snapshot) bool {
		return !s.Stale && suspects(s) == 0 && slices.Equal(idsOf(s), ids)
	})
}

func (p *process) awaitStale(t *testing.T) {
	t.Helper()
	p.await(t, "the view is stale", func(s registry.Snapshot) bool { return s.Stale })
}

func idsOf(s registry.Snapshot) []string {
	ids := []string{}
	for _, instance := range s.Contract(contract) {
		ids = append(ids, instance.ID)
	}
	return ids
}

func suspects(s registry.Snapshot) (n int) {
	for _, instance := range s.Instances {
		if instance.Suspect {
			n++
		}
	}
	return n
}

// guard fails the test if, until stop is called, p ever knows fewer instances.
func (p *process) guard(t *testing.T, least int) (stop func()) {
	changes, unwatch := p.Watch()
	end, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			if n := len(p.Contract(contract)); n < least {
				t.Errorf("only %d instances are left of %d", n, least)
				return
			}
			select {
			case <-changes:
			case <-end:
				return
			}
		}
	}()
	return func() { close(end); <-done; unwatch() }
}

// linger lets time pass where the passing of time is what is tested.
func linger(t *testing.T, d time.Duration) {
	select {
	case <-time.After(d):
	case <-t.Context().Done():
	}
}

// metric is the value of a metric, summed over its labels.
func (p *process) metric(t *testing.T, name string) (sum float64) {
	t.Helper()
	families, err := p.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			sum += m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
		return sum
	}
	t.Fatalf("there is no metric %s", name)
	return 0
}

// lines counts what a process logs.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

// await waits until n lines were logged.
func (l *lines) await(t *testing.T, n int) {
	t.Helper()
	deadline := time.After(patience)
	for l.count() < n {
		select {
		case <-time.After(5 * time.Millisecond):
		case <-deadline:
			t.Fatalf("%d lines were logged; want %d", l.count(), n)
		}
	}
}

func (l *lines) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), "\n")
}

// want fails the test unless exactly n lines were logged.
func (l *lines) want(t *testing.T, n int) {
	t.Helper()
	if got := l.count(); got != n {
		l.mu.Lock()
		defer l.mu.Unlock()
		t.Errorf("%d lines were logged; want %d:\n%s", got, n, l.text.String())
	}
}
