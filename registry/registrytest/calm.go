package registrytest

import (
	"slices"
	"testing"
	"time"

	"github.com/gowarren/warren/registry"
	"github.com/gowarren/warren/registry/driver"
)

// listing: what the engine lists is there, and announcing is a formality.
func listing(t *testing.T, h Harness) {
	p := newProcess(t, h, registry.Options{})
	p.await(t, "the listed instances are known", func(s registry.Snapshot) bool {
		return !s.Stale && len(s.Instances) == len(h.Listed)
	})
	listed := slices.SortedFunc(slices.Values(h.Listed), driver.Instance.Compare)
	if got := p.Snapshot().Instances; !slices.EqualFunc(got, listed, driver.Instance.Equal) {
		t.Errorf("listed %+v; want %+v", got, listed)
	}
	a := p.announce(t, "1")
	if !a.Registered() {
		t.Error("an announcement waits for an engine that takes none")
	}
	if err := a.Withdraw(t.Context()); err != nil {
		t.Error(err)
	}
	p.log.want(t, 0)
}

// life: an instance starts, is ready, drains and goes, and all can see it.
func life(t *testing.T, h Harness) {
	a, b := newProcess(t, h, registry.Options{}), newProcess(t, h, registry.Options{})
	instance := sample("1")
	instance.State = "" // starting
	announced, err := a.Announce(instance)
	if err != nil {
		t.Fatal(err)
	}
	in := func(state registry.State) func(registry.Snapshot) bool {
		return func(s registry.Snapshot) bool { return len(s.Instances) == 1 && s.Instances[0].State == state }
	}
	b.await(t, "it starts", in(registry.Starting))
	b.awaitIDs(t)
	announced.Update(func(i *registry.Instance) { i.State = registry.Ready })
	b.awaitIDs(t, "1")
	a.awaitIDs(t, "1")
	announced.Update(func(i *registry.Instance) { i.State = registry.Draining })
	b.await(t, "it drains", in(registry.Draining))
	b.awaitIDs(t)
	announced.Update(func(i *registry.Instance) { i.State = registry.Ready })
	b.awaitIDs(t, "1")
	// Withdrawn while ready: on purpose all the same, so nobody doubts it.
	if err := announced.Withdraw(t.Context()); err != nil {
		t.Error(err)
	}
	b.await(t, "it is gone", func(s registry.Snapshot) bool { return len(s.Instances) == 0 })
	if err := announced.Withdraw(t.Context()); err != nil {
		t.Error("the second withdrawal:", err)
	}
	a.announce(t, "1")
	b.awaitIDs(t, "1")
	// It stays for as long as its process lives.
	defer b.guard(t, 1)()
	linger(t, 2*h.Session)
	a.log.want(t, 0)
	b.log.want(t, 0)
}

// everyField: an instance is read as it was announced.
func everyField(t *testing.T, h Harness) {
	a, b := newProcess(t, h, registry.Options{}), newProcess(t, h, registry.Options{})
	instance := driver.Instance{
		ID: "catalog/1 %ä", Service: "shop catalog", Version: "v1.2", Zone: "eu-1", Weight: 7,
		Host: "h", Address: "[::1]:80", Socket: "/run/1.sock", Admin: "127.0.0.1:9", State: registry.Ready,
		Contracts: []string{contract, "shop.v1.Other"},
		Routes:    []driver.Route{{Method: "GET", Pattern: "/x/{id}"}, {Pattern: "/y/"}},
		Labels:    map[string]string{"team": "a=b/c"}, SettingsRevision: 1 << 60,
		Started: time.Date(2026, 2, 3, 4, 5, 6, 7, time.UTC),
	}
	if _, err := a.Announce(instance); err != nil {
		t.Fatal(err)
	}
	b.await(t, "it is there", func(s registry.Snapshot) bool { return len(s.Instances) == 1 })
	if got := b.Snapshot().Instances[0]; !got.Equal(instance) {
		t.Errorf("read %+v; want %+v", got, instance)
	}
}

// takeover: a process that starts under the name of one that lingers keeps it.
func takeover(t *testing.T, h Harness) {
	old, young, reader := h.Open(t), h.Open(t), newProcess(t, h, registry.Options{})
	for i, conn := range []Connection{old, young} {
		instance := sample("1")
		instance.Weight = i + 1
		if err := conn.Put(t.Context(), instance); err != nil {
			t.Fatal(err)
		}
	}
	if err := old.Remove(t.Context(), "catalog", "1"); err != nil {
		t.Error(err)
	}
	if err := old.Close(); err != nil {
		t.Error(err)
	}
	if err := young.Put(t.Context(), sample("2")); err != nil {
		t.Fatal(err)
	}
	reader.awaitIDs(t, "1", "2")
	if got := reader.Contract(contract)[0].Weight; got != 2 {
		t.Errorf("weight %d; want that of the younger process, 2", got)
	}
	if err := young.Close(); err != nil {
		t.Error(err)
	}
}

// churn: fifty changes a second become a few snapshots, and what did not
// change stays the same to the last bit.
func churn(t *testing.T, h Harness) {
	a, b := newProcess(t, h, registry.Options{}), newProcess(t, h, registry.Options{})
	quiet := sample("0")
	quiet.Contracts = []string{"shop.v1.Quiet"}
	if _, err := a.Announce(quiet); err != nil {
		t.Fatal(err)
	}
	busy := []*registry.Announcement{a.announce(t, "1"), a.announce(t, "2"), a.announce(t, "3")}
	b.awaitIDs(t, "1", "2", "3")
	b.await(t, "the quiet one is there", func(s registry.Snapshot) bool { return len(s.Contract("shop.v1.Quiet")) == 1 })
	before := &b.Contract("shop.v1.Quiet")[0]

	began := b.metric(t, "warren_registry_snapshots_total")
	const changes = 100
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for i := range changes {
		<-tick.C
		busy[i%len(busy)].Update(func(instance *registry.Instance) { instance.SettingsRevision = int64(i + 1) })
	}
	b.await(t, "the last change is known", func(s registry.Snapshot) bool {
		return slices.ContainsFunc(s.Instances, func(i registry.Instance) bool { return i.SettingsRevision == changes })
	})
	if snapshots := b.metric(t, "warren_registry_snapshots_total") - began; snapshots > changes/4 {
		t.Errorf("%d changes made %v snapshots", changes, snapshots)
	}
	if &b.Contract("shop.v1.Quiet")[0] != before {
		t.Error("an instance that did not change is another one now")
	}
	b.awaitIDs(t, "1", "2", "3")
}
