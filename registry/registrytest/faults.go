package registrytest

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gowarren/warren/registry"
)

// outage: the registry is away for longer than a session. Nobody loses anybody,
// all come back by themselves, and each process says so in two lines.
func outage(t *testing.T, h Harness) {
	a, b := newProcess(t, h, registry.Options{}), newProcess(t, h, registry.Options{})
	first, second, own := a.announce(t, "1"), a.announce(t, "2"), b.announce(t, "3")
	b.awaitIDs(t, "1", "2", "3")
	a.awaitIDs(t, "1", "2", "3")
	unguard := b.guard(t, 3)
	h.Stop(t)
	a.awaitStale(t)
	b.awaitStale(t)
	if b.metric(t, "warren_registry_stale") != 1 {
		t.Error("the metric does not say that the view is stale")
	}
	linger(t, 3*h.Session)
	// What changes meanwhile is told later.
	first.Update(func(i *registry.Instance) { i.Zone = "eu" })
	h.Start(t)
	for _, announced := range []*registry.Announcement{first, second, own} {
		synced(t, announced)
	}
	for _, p := range []*process{a, b} {
		p.await(t, "the change is known", func(s registry.Snapshot) bool { return s.Instances[0].Zone == "eu" })
		p.awaitIDs(t, "1", "2", "3")
		p.log.want(t, 2)
		if p.metric(t, "warren_registry_stale") != 0 || p.metric(t, "warren_registry_outages_total") != 1 {
			t.Error("the metrics do not tell of one outage that is over")
		}
	}
	// The new session is one that lasts.
	linger(t, 2*h.Session)
	unguard()
	b.log.want(t, 2)
}

// amnesia: the registry comes back without its memory.
func amnesia(t *testing.T, h Harness) {
	a, b := newProcess(t, h, registry.Options{}), newProcess(t, h, registry.Options{})
	one, two := a.announce(t, "1"), a.announce(t, "2")
	b.awaitIDs(t, "1", "2")
	for i := range 10 { // so that it is told from one whose memory goes on
		one.Update(func(instance *registry.Instance) { instance.Weight = i + 1 })
		synced(t, one)
	}
	b.await(t, "the last change is known", func(s registry.Snapshot) bool { return s.Instances[0].Weight == 10 })
	defer b.guard(t, 2)()
	h.Stop(t)
	b.awaitStale(t)
	h.Wipe(t)
	h.Start(t)
	b.awaitIDs(t, "1", "2")
	synced(t, one)
	synced(t, two)
}

// startAway: a process starts while the registry is away, and joins later.
func startAway(t *testing.T, h Harness) {
	h.Stop(t)
	a, b := newProcess(t, h, registry.Options{}), newProcess(t, h, registry.Options{})
	b.log.await(t, 1)
	announced, err := a.Announce(sample("1"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if b.Ready(ctx) == nil || announced.Registered() || !b.Snapshot().Stale {
		t.Error("a registry that is away was taken for an empty one")
	}
	h.Start(t)
	synced(t, announced)
	b.awaitIDs(t, "1")
	a.awaitIDs(t, "1")
	if err := b.Ready(t.Context()); err != nil {
		t.Error(err)
	}
	a.log.want(t, 2)
	b.log.want(t, 2)
}

// startFromDisk: a process starts while the registry is away, from what it
// knew when it last ran; a damaged file is as good as none.
func startFromDisk(t *testing.T, h Harness) {
	file := filepath.Join(t.TempDir(), "var", "registry")
	a := newProcess(t, h, registry.Options{})
	a.announce(t, "1")
	before := newProcess(t, h, registry.Options{Snapshot: file})
	before.awaitIDs(t, "1")
	if err := before.Close(); err != nil {
		t.Error(err)
	}
	h.Stop(t)
	b := newProcess(t, h, registry.Options{Snapshot: file})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := b.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	if s := b.Snapshot(); !s.Stale || len(s.Contract(contract)) != 1 {
		t.Errorf("started with %+v; want what was known before, marked stale", s)
	}
	damaged := filepath.Join(t.TempDir(), "registry")
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(damaged, content[:len(content)-5], 0o600); err != nil {
		t.Fatal(err)
	}
	c := newProcess(t, h, registry.Options{Snapshot: damaged})
	c.log.await(t, 2)
	defer b.guard(t, 1)()
	h.Start(t)
	b.awaitIDs(t, "1")
	c.awaitIDs(t, "1")
	b.log.want(t, 2)
	c.log.want(t, 3) // the file, too
}

// lostWatch: the network swallows everything without a sign, so that the
// process would wait for changes for ever.
func lostWatch(t *testing.T, h Harness) {
	a, b := newProcess(t, h, registry.Options{}), newProcess(t, h, registry.Options{})
	one := a.announce(t, "1")
	b.awaitIDs(t, "1")
	b.net.Swallow()
	a.announce(t, "2")
	b.awaitStale(t)
	if err := one.Withdraw(t.Context()); err != nil {
		t.Error(err)
	}
	b.net.Heal()
	b.await(t, "it caught up", func(s registry.Snapshot) bool {
		return !s.Stale && len(s.Contract(contract)) > 0 && s.Contract(contract)[0].ID == "2"
	})
	b.log.want(t, 2)
	a.log.want(t, 0)
}

// compaction: while a process was cut off, the engine forgot what it missed.
func compaction(t *testing.T, h Harness) {
	a, b := newProcess(t, h, registry.Options{}), newProcess(t, h, registry.Options{})
	one := a.announce(t, "1")
	a.announce(t, "2")
	a.announce(t, "3")
	b.awaitIDs(t, "1", "2", "3")
	b.net.Cut()
	if err := one.Withdraw(t.Context()); err != nil {
		t.Error(err)
	}
	a.announce(t, "4")
	if h.Compact != nil {
		h.Compact(t)
	}
	b.net.Heal()
	b.awaitIDs(t, "2", "3", "4")
	b.announce(t, "5")
	a.awaitIDs(t, "2", "3", "4", "5")
}

// death: what a dead process announced expires; if it was only cut off, it
// comes back by itself.
func death(t *testing.T, h Harness) {
	a, b := newProcess(t, h, registry.Options{}), newProcess(t, h, registry.Options{})
	announced := a.announce(t, "1")
	b.announce(t, "2")
	b.announce(t, "3")
	b.awaitIDs(t, "1", "2", "3")
	a.net.Swallow()
	if conn, ok := a.net.(*HubConn); ok {
		conn.Expire() // the hub has no clock
	}
	b.awaitIDs(t, "2", "3")
	a.await(t, "the cut-off process knows it", func(s registry.Snapshot) bool { return s.Stale && len(s.Contract(contract)) == 3 })
	a.net.Heal()
	b.awaitIDs(t, "1", "2", "3")
	a.awaitIDs(t, "1", "2", "3")
	synced(t, announced)
	a.log.want(t, 2)
	b.log.want(t, 0)
}

// lapse: every session ends at once, though every process lives.
func lapse(t *testing.T, h Harness) {
	a, b := newProcess(t, h, registry.Options{}), newProcess(t, h, registry.Options{})
	for _, id := range []string{"1", "2", "3"} {
		a.announce(t, id)
	}
	b.awaitIDs(t, "1", "2", "3")
	defer b.guard(t, 3)()
	h.Lapse(t)
	a.await(t, "they are registered again", func(registry.Snapshot) bool {
		return a.metric(t, "warren_registry_reregistrations_total") >= 3 && a.metric(t, "warren_registry_registered") == 3
	})
	a.awaitIDs(t, "1", "2", "3")
	b.awaitIDs(t, "1", "2", "3")
}

// massExpiry: most processes vanish from the registry together, but not from
// the world. They are kept as suspects until they are back.
func massExpiry(t *testing.T, h Harness) {
	b := newProcess(t, h, registry.Options{})
	b.announce(t, "0")
	var cut []*process
	for _, id := range []string{"1", "2", "3", "4"} {
		p := newProcess(t, h, registry.Options{})
		p.announce(t, id)
		cut = append(cut, p)
	}
	b.awaitIDs(t, "0", "1", "2", "3", "4")
	for _, p := range cut {
		p.net.Cut()
		if conn, ok := p.net.(*HubConn); ok {
			conn.Expire()
		}
	}
	b.await(t, "they are suspects", func(s registry.Snapshot) bool {
		return suspects(s) == 4 && len(s.Contract(contract)) == 5 && !s.Stale
	})
	if b.metric(t, "warren_registry_panics_total") == 0 {
		t.Error("the metric does not tell of the panic")
	}
	for _, p := range cut {
		p.net.Heal()
	}
	b.awaitIDs(t, "0", "1", "2", "3", "4")
	b.log.want(t, 1)
}
