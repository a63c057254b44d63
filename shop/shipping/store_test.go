package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"

	shippingv1 "github.com/gowarren/warren/shop/api/shop/shipping/v1"
	"github.com/gowarren/warren/store"
	"github.com/gowarren/warren/store/storetest"
	"github.com/gowarren/warren/telemetry"
	"github.com/gowarren/warren/warrentest"
)

// post is a migrated database of shipments, and who is told of them.
type post struct {
	*shipments
	mu   sync.Mutex
	told []string
}

func opened(t testing.TB, address string) *post {
	t.Helper()
	db, err := store.Open(t.Context(), address, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	if err := db.Migrate(t.Context(), migrations); err != nil {
		t.Fatal(err)
	}
	p := &post{shipments: newShipments(db, nil)}
	p.tell = func(_ context.Context, tx *store.Tx, s shipment) error {
		tx.AfterCommit(func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.told = append(p.told, s.order+" "+s.state.String())
		})
		return nil
	}
	return p
}

// eachDatabase runs a test on every kind of database.
func eachDatabase(t *testing.T, test func(t *testing.T, s *post)) {
	storetest.Each(t, func(t *testing.T, address string) { test(t, opened(t, address)) })
}

// parcel is a shipment of an order of the same name.
func parcel(id string) shipment {
	return shipment{
		id: id, order: "o-" + id, customer: "ada", state: created, trackingNumber: "T1", next: at, created: at, updated: at,
		address: address{"Ada", "Main Street 1", "London", "N1", "GB"}, lines: []line{{"B1", 2}, {"A1", 1}},
	}
}

func (p *post) make(t testing.TB, s shipment) {
	t.Helper()
	if _, err := p.create(t.Context(), s); err != nil {
		t.Fatal(err)
	}
}

// is checks how far a shipment has come.
func (p *post) is(t testing.TB, id string, want shippingv1.State) {
	t.Helper()
	got, there, err := p.find(t.Context(), id)
	if err != nil || !there || got.state != want {
		t.Errorf("%s is %v, %v; want %v", id, got.state, err, want)
	}
}

// drive moves what is due at a time.
func (p *post) drive(ctx context.Context, now time.Time, c carrier) error {
	all, err := p.due(ctx, now, 100)
	for _, e := range all {
		err = errors.Join(err, p.advance(ctx, e.id, now, time.Hour, c))
	}
	return err
}

func TestTheLifeOfAShipment(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *post) {
		ctx, c := t.Context(), carrier{fixed(t, "shipping.carrier.failures", "0")}
		p := parcel("s1")
		for range 2 {
			kept, err := s.create(ctx, p)
			if err != nil || kept.trackingNumber != "T1" {
				t.Fatalf("create: %+v, %v", kept, err)
			}
		}
		other := p
		other.customer = "bob"
		if _, err := s.create(ctx, other); !warrentest.Refused(err, shippingv1.Reason_OTHER_SHIPMENT) {
			t.Errorf("another of that id: %v", err)
		}
		if err := s.drive(ctx, at.Add(24*time.Hour), c); err != nil {
			t.Error(err)
		}
		s.is(t, "s1", created) // nobody has dispatched it
		for range 2 {
			if err := s.dispatch(ctx, "s1", at, time.Hour); err != nil {
				t.Error(err)
			}
		}
		for hours, want := range []shippingv1.State{created, handedOver, inTransit, delivered, delivered} {
			errs := atOnce(3, func(int) error { return s.drive(ctx, at.Add(time.Duration(hours)*time.Hour), c) })
			if err := errors.Join(errs...); err != nil {
				t.Error(err)
			}
			s.is(t, "s1", want)
		}
		if err := s.cancel(ctx, "s1", at); !warrentest.Refused(err, shippingv1.Reason_ALREADY_HANDED_OVER) {
			t.Errorf("cancel what is delivered: %v", err)
		}
		got, way, err := s.ofOrder(ctx, "o-s1")
		if err != nil || got.address != p.address || !slices.Equal(got.lines, p.lines) || len(way) != 4 || way[3].state != delivered || !way[1].at.Equal(at.Add(time.Hour)) {
			t.Errorf("got %+v, %+v, %v", got, way, err)
		}
		if want := []string{"o-s1 HANDED_OVER", "o-s1 IN_TRANSIT", "o-s1 DELIVERED"}; !slices.Equal(s.told, want) {
			t.Errorf("told %v", s.told)
		}
		if _, _, err := s.ofOrder(ctx, "o-s2"); !warrentest.Refused(err, shippingv1.Reason_SHIPMENT_NOT_FOUND) {
			t.Errorf("no such order: %v", err)
		}
	})
}

// The carrier goes on with the trace of whoever had the shipment dispatched, to
// where it is delivered; who says it again changes nothing.
func TestAShipmentKeepsTheTraceOfItsDispatch(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *post) {
		tel, err := telemetry.Open(t.Context(), telemetry.Options{Output: io.Discard})
		if err != nil {
			t.Fatal(err)
		}
		s.tracer = tel.Tracer()
		s.make(t, parcel("s1"))
		asked, _ := s.tracer.Start(t.Context(), "dispatch", trace.SpanKindServer)
		again, _ := s.tracer.Start(t.Context(), "dispatch", trace.SpanKindServer)
		for _, ctx := range []context.Context{asked, again} {
			if err := s.dispatch(ctx, "s1", at, time.Hour); err != nil {
				t.Fatal(err)
			}
		}
		c := carrier{fixed(t, "shipping.carrier.failures", "0")}
		for n, want := range []shippingv1.State{handedOver, inTransit, delivered} {
			now := at.Add(time.Duration(n+1) * time.Hour)
			all, err := s.due(t.Context(), now, 100)
			if err != nil || len(all) != 1 || all[0].trace != s.tracer.Place(asked) {
				t.Fatalf("before it is %v: due are %v, %v; it was dispatched at %q", want, all, err, s.tracer.Place(asked))
			}
			if err := s.advance(t.Context(), all[0].id, now, time.Hour, c); err != nil {
				t.Fatal(err)
			}
			s.is(t, "s1", want)
		}
	})
}

// atOnce runs f so many times at the same moment and returns the errors.
func atOnce(n int, f func(int) error) []error {
	errs := make([]error, n)
	start := make(chan struct{})
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			<-start
			errs[i] = f(i)
		})
	}
	close(start)
	all.Wait()
	return errs
}

func TestACancelledShipmentNeverLeaves(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *post) {
		ctx := t.Context()
		s.make(t, parcel("s1"))
		for range 2 {
			if err := s.cancel(ctx, "s1", at); err != nil {
				t.Error(err)
			}
		}
		if err := s.dispatch(ctx, "s1", at, 0); !warrentest.Refused(err, shippingv1.Reason_SHIPMENT_CANCELLED) {
			t.Errorf("dispatch: %v", err)
		}
		// The cancellation overtakes the creation: the latter is refused.
		for range 2 {
			if err := s.cancel(ctx, "s2", at); err != nil {
				t.Error(err)
			}
		}
		for _, id := range []string{"s1", "s2"} {
			if _, err := s.create(ctx, parcel(id)); !warrentest.Refused(err, shippingv1.Reason_SHIPMENT_CANCELLED) {
				t.Errorf("create %s late: %v", id, err)
			}
			s.is(t, id, cancelled)
		}
		if err := s.dispatch(ctx, "s3", at, 0); !warrentest.Refused(err, shippingv1.Reason_SHIPMENT_NOT_FOUND) {
			t.Errorf("dispatch nothing: %v", err)
		}
		if list, err := s.list(ctx, 0, position{Created: math.MaxInt64}, 10); err != nil || len(list) != 1 || list[0].id != "s1" {
			t.Errorf("listed %v, %v", list, err)
		}
	})
}

// Cancelling races with the van: one of them wins, and nobody is told otherwise.
func TestAShipmentIsCancelledOrCarried(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *post) {
		c := carrier{fixed(t, "shipping.carrier.failures", "0")}
		for n := range 10 {
			id := fmt.Sprint("s", n)
			s.make(t, parcel(id))
			if err := s.dispatch(t.Context(), id, at, 0); err != nil {
				t.Fatal(err)
			}
			errs := atOnce(6, func(i int) error {
				if i%2 == 0 {
					return s.advance(t.Context(), id, at, time.Hour, c)
				}
				return s.cancel(t.Context(), id, at)
			})
			got, _, err := s.find(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			told := slices.Contains(s.told, "o-"+id+" HANDED_OVER")
			for i, err := range errs {
				if i%2 == 0 && err != nil || i%2 == 1 && (err == nil) != (got.state == cancelled) {
					t.Errorf("%s is %v: %v", id, got.state, err)
				}
			}
			if told != (got.state == handedOver) {
				t.Errorf("%s is %v, told %v", id, got.state, told)
			}
		}
	})
}

func TestCreatedAtOnceItIsThereOnce(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *post) {
		errs := atOnce(8, func(int) error { _, err := s.create(t.Context(), parcel("s1")); return err })
		if err := errors.Join(errs...); err != nil {
			t.Error(err)
		}
		if got, way, err := s.ofOrder(t.Context(), "o-s1"); err != nil || len(got.lines) != 2 || len(way) != 1 {
			t.Errorf("got %+v, %v, %v", got, way, err)
		}
	})
}

func TestPagesMissNothing(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *post) {
		for n := range 13 {
			p := parcel(fmt.Sprintf("s%02d", n))
			p.created = at.Add(time.Duration(n/4) * time.Hour) // several at a time
			s.make(t, p)
		}
		if err := s.cancel(t.Context(), "s05", at); err != nil {
			t.Fatal(err)
		}
		for state, want := range map[shippingv1.State]int{0: 13, created: 12, cancelled: 1, delivered: 0} {
			after, seen := position{Created: math.MaxInt64}, map[string]bool{}
			for {
				list, err := s.list(t.Context(), state, after, 5)
				if err != nil {
					t.Fatal(err)
				}
				if len(list) == 0 {
					break
				}
				for _, found := range list {
					seen[found.id] = true
				}
				last := list[len(list)-1]
				after = position{Created: last.created.UnixMicro(), ID: last.id}
			}
			if len(seen) != want {
				t.Errorf("%v: %d of %d", state, len(seen), want)
			}
		}
	})
}

func TestAnOutageIsNoMissingShipment(t *testing.T) {
	s := opened(t, storetest.SQLite(t))
	s.make(t, parcel("s1"))
	if err := s.db.Close(); err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	for name, call := range map[string]func() error{
		"find":     func() error { _, _, err := s.find(ctx, "s1"); return err },
		"order":    func() error { _, _, err := s.ofOrder(ctx, "o-s1"); return err },
		"list":     func() error { _, err := s.list(ctx, 0, position{}, 1); return err },
		"create":   func() error { _, err := s.create(ctx, parcel("s1")); return err },
		"dispatch": func() error { return s.dispatch(ctx, "s1", at, 0) },
		"cancel":   func() error { return s.cancel(ctx, "s1", at) },
		"due":      func() error { _, err := s.due(ctx, at, 1); return err },
		"advance":  func() error { return s.advance(ctx, "s1", at, 0, carrier{watchSettings(nil)}) },
	} {
		if err := call(); err == nil || warrentest.Refused(err, shippingv1.Reason_SHIPMENT_NOT_FOUND) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
