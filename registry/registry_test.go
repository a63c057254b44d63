package registry_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gowarren/warren/registry"
	"github.com/gowarren/warren/registry/driver"
	"github.com/gowarren/warren/registry/registrytest"
)

// contract is what the instances of these tests serve.
const contract = "shop.catalog.v1.CatalogService"

// system is a few processes around a hub, in a bubble of fake time.
type system struct {
	hub    *registrytest.Hub
	conns  []*registrytest.HubConn
	reader *registry.Registry
	log    *bytes.Buffer
}

// newSystem has one process for each id, and one that reads.
func newSystem(t *testing.T, ids ...string) *system {
	t.Helper()
	s := &system{hub: registrytest.NewHub(), log: &bytes.Buffer{}}
	s.reader = open(t, s.hub.Open(), s.log)
	for _, id := range ids {
		conn := s.hub.Open()
		announce(t, open(t, conn, &bytes.Buffer{}), id)
		s.conns = append(s.conns, conn)
	}
	settle()
	s.want(t, len(ids), 0)
	return s
}

func open(t *testing.T, d driver.Driver, log *bytes.Buffer) *registry.Registry {
	r := registry.New(d, registry.Options{Logger: slog.New(slog.NewTextHandler(log, nil))})
	t.Cleanup(func() { r.Close() })
	return r
}

func announce(t *testing.T, r *registry.Registry, id string) *registry.Announcement {
	t.Helper()
	a, err := r.Announce(registry.Instance{
		ID: id, Service: "catalog", Address: "host-" + id + ":1", Contracts: []string{contract}, State: registry.Ready,
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// settle lets everything that is under way come to its end.
func settle() {
	time.Sleep(time.Second)
	synctest.Wait()
}

// vanish cuts the processes off, so that what they announced expires.
func (s *system) vanish(which ...int) {
	for _, i := range which {
		s.conns[i].Cut()
		s.conns[i].Expire()
	}
}

func (s *system) want(t *testing.T, ready, suspects int) {
	t.Helper()
	got := 0
	for _, instance := range s.reader.Snapshot().Instances {
		if instance.Suspect {
			got++
		}
	}
	if n := len(s.reader.Contract(contract)); n != ready || got != suspects {
		t.Fatalf("%d instances are ready, %d of them suspects; want %d, %d", n, got, ready, suspects)
	}
}

func (s *system) wantLines(t *testing.T, n int) {
	t.Helper()
	if got := strings.Count(s.log.String(), "\n"); got != n {
		t.Errorf("%d lines were logged; want %d:\n%s", got, n, s.log)
	}
}

func TestSuspectsAreHeldForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t, "1", "2", "3", "4")
		s.vanish(0, 1, 2)
		settle()
		s.want(t, 4, 3)
		s.conns[0].Heal()
		time.Sleep(5 * time.Second)
		s.want(t, 4, 2)
		time.Sleep(time.Minute)
		s.want(t, 2, 0)
		s.wantLines(t, 2)
	})
}

// A registry that has lost its memory is filled again one by one. Whoever is
// not back yet is missed by nobody, were it but one of many.
func TestSomeAreBackInARegistryWithoutMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t, "1", "2", "3", "4")
		conn := s.hub.Open()
		s.reader = open(t, conn, &bytes.Buffer{})
		settle()
		s.want(t, 4, 0)
		for range 20 { // a registry has a past
			s.conns[0].Cut()
			s.conns[0].Heal()
		}
		settle()
		s.conns[0].Cut()
		conn.Cut()
		s.hub.Wipe()
		time.Sleep(10 * time.Second)
		s.want(t, 4, 0)
		conn.Heal()
		time.Sleep(10 * time.Second)
		s.want(t, 4, 1)
		s.conns[0].Heal()
		time.Sleep(10 * time.Second)
		s.want(t, 4, 0)
	})
}

func TestSuspectsMayVanishOneByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t, "1", "2", "3", "4")
		for i, want := range [][2]int{{3, 0}, {2, 0}, {4, 3}, {4, 4}} {
			s.vanish(i)
			settle()
			s.want(t, want[0], want[1])
		}
	})
}

func TestFewDeathsAreBelieved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t, "1", "2", "3", "4", "5")
		for i := range 4 {
			s.vanish(i)
			settle()
			s.want(t, 4-i, 0)
			if i == 3 {
				break
			}
			time.Sleep(15 * time.Second) // the window
		}
		s.wantLines(t, 0)
	})
}

func TestSuspectYieldsToWhoeverTakesItsAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t, "1", "2")
		s.vanish(0, 1)
		settle()
		s.want(t, 2, 2)
		r := open(t, s.hub.Open(), &bytes.Buffer{})
		if _, err := r.Announce(registry.Instance{
			ID: "9", Service: "order", Address: "host-1:1", State: registry.Ready,
		}); err != nil {
			t.Fatal(err)
		}
		settle()
		s.want(t, 1, 1)
	})
}

func TestLongOutageIsTwoLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t, "1", "2", "3")
		changes, stop := s.reader.Watch()
		defer stop()
		s.hub.Stop()
		s.hub.Lapse()
		settle()
		if !s.reader.Snapshot().Stale || len(changes) != 1 {
			t.Error("watchers are not told that the registry is away")
		}
		time.Sleep(time.Hour)
		s.want(t, 3, 0)
		s.hub.Start()
		time.Sleep(5 * time.Second)
		s.want(t, 3, 0)
		if s.reader.Snapshot().Stale {
			t.Error("the view is stale although the registry is back")
		}
		s.wantLines(t, 2)
	})
}

// flighty is an engine that works for a moment, again and again.
type flighty struct {
	*registrytest.HubConn
	mu            sync.Mutex
	puts, watches int
}

func (f *flighty) Put(ctx context.Context, instance driver.Instance) error {
	f.mu.Lock()
	f.puts++
	f.mu.Unlock()
	err := f.HubConn.Put(ctx, instance)
	f.Expire()
	return err
}

func (f *flighty) Watch(ctx context.Context, emit func(driver.Snapshot)) error {
	f.mu.Lock()
	f.watches++
	f.mu.Unlock()
	emit(driver.Snapshot{})
	return context.DeadlineExceeded
}

func TestNothingBecomesABusyLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &bytes.Buffer{}
		f := &flighty{HubConn: registrytest.NewHub().Open()}
		r := open(t, f, log)
		announce(t, r, "1")
		time.Sleep(10 * time.Minute)
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.puts > 700 || f.watches > 700 || f.puts < 100 || f.watches < 100 {
			t.Errorf("%d puts and %d watches in ten minutes", f.puts, f.watches)
		}
	})
}

func TestUpdatesBecomeOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		r := open(t, s.hub.Open(), &bytes.Buffer{})
		a := announce(t, r, "1")
		settle()
		s.hub.Stop()
		for i := range 1000 {
			a.Update(func(instance *registry.Instance) {
				instance.SettingsRevision, instance.ID = int64(i), "other"
			})
		}
		s.hub.Start()
		if err := a.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		settle()
		s.want(t, 1, 0)
		got := s.reader.Snapshot()
		if got.Instances[0].SettingsRevision != 999 || got.Revision > 10 {
			t.Errorf("after 1000 updates: %+v", got)
		}
		if err := a.Withdraw(t.Context()); err != nil {
			t.Error(err)
		}
		settle()
		s.want(t, 0, 0)
		if a.Registered() {
			t.Error("what was withdrawn is registered")
		}
	})
}

// Somebody deletes an entry by hand: its process puts it back.
func TestDeletedEntryComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t, "1", "2", "3")
		if err := s.conns[0].Remove(t.Context(), "catalog", "1"); err != nil {
			t.Fatal(err)
		}
		settle()
		s.want(t, 3, 0)
	})
}

func TestWithdrawWhileAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		r := open(t, s.hub.Open(), &bytes.Buffer{})
		a := announce(t, r, "1")
		settle()
		s.hub.Stop()
		if err := a.Withdraw(t.Context()); err == nil || !strings.Contains(err.Error(), "withdraw instance 1") {
			t.Errorf("error %v", err)
		}
		s.hub.Lapse()
		s.hub.Start()
		time.Sleep(time.Minute)
		s.want(t, 1, 1) // the reader's doubt
		time.Sleep(time.Minute)
		s.want(t, 0, 0)
	})
}

func TestAnnounceRefuses(t *testing.T) {
	r := open(t, registrytest.NewHub().Open(), &bytes.Buffer{})
	for _, instance := range []registry.Instance{
		{}, {ID: "1", Service: "s"}, {ID: "1", Address: "a"}, {Service: "s", Address: "a"},
		{ID: "1", Service: "s", Address: "a", Weight: -1},
		{ID: "1", Service: "s", Address: "a", Contracts: []string{""}},
	} {
		if _, err := r.Announce(instance); err == nil {
			t.Errorf("announced %+v", instance)
		}
	}
	announce(t, r, "1")
	_, err := r.Announce(registry.Instance{ID: "1", Service: "catalog", Address: "a"})
	if err == nil || !strings.Contains(err.Error(), "announced it already") {
		t.Errorf("announced twice: %v", err)
	}
}

func TestHostIdentity(t *testing.T) {
	if id := registry.HostIdentity(); id == "" || id != registry.HostIdentity() {
		t.Errorf("host identity %q", id)
	}
}

func ExampleRegistry() {
	hub := registrytest.NewHub() // in a system: etcd
	catalog := registry.New(hub.Open(), registry.Options{})
	defer catalog.Close()
	announced, err := catalog.Announce(registry.Instance{
		ID: "catalog/1", Service: "catalog", Address: "10.0.0.7:9000",
		Contracts: []string{"shop.catalog.v1.CatalogService"}, State: registry.Ready,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := announced.Sync(context.Background()); err != nil {
		fmt.Println(err)
		return
	}

	caller := registry.New(hub.Open(), registry.Options{})
	defer caller.Close()
	if err := caller.Ready(context.Background()); err != nil {
		fmt.Println(err)
		return
	}
	for _, instance := range caller.Contract("shop.catalog.v1.CatalogService") {
		fmt.Println(instance.ID, instance.Address)
	}
	// Output: catalog/1 10.0.0.7:9000
}

// BenchmarkContract is what every call pays: one load, one look into a map.
func BenchmarkContract(b *testing.B) {
	r := crowded(b)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if len(r.Contract("shop.v1.Service7")) != 10 {
				b.Error("instances are missing")
			}
		}
	})
}

func BenchmarkSnapshot(b *testing.B) {
	r := crowded(b)
	b.ReportAllocs()
	for b.Loop() {
		if len(r.Snapshot().Contract("shop.v1.Service7")) != 10 {
			b.Error("instances are missing")
		}
	}
}

func TestLookupDoesNotAllocate(t *testing.T) {
	r := crowded(t)
	if n := testing.AllocsPerRun(100, func() { r.Contract("shop.v1.Service7") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// crowded is a registry that knows a thousand instances of a hundred contracts.
func crowded(tb testing.TB) *registry.Registry {
	conn := registrytest.NewHub().Open()
	for i := range 1000 {
		name := fmt.Sprintf("shop.v1.Service%d", i%100)
		if err := conn.Put(tb.Context(), registry.Instance{
			ID: strconv.Itoa(i), Service: name, Address: fmt.Sprint("h:", i), Contracts: []string{name}, State: registry.Ready,
		}); err != nil {
			tb.Fatal(err)
		}
	}
	r := registry.New(conn, registry.Options{})
	tb.Cleanup(func() { r.Close() })
	if err := r.Ready(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	return r
}
