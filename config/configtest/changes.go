package configtest

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/config/driver"
)

func testLive(t *testing.T, s *suite) {
	centre := s.centre(t)
	var values []*config.Value[time.Duration]
	var processes []*config.Settings
	for range 3 {
		p := s.settings(t)
		processes = append(processes, p)
		values = append(values, config.Watch(p, timeout(), config.Scope{Method: get}))
	}
	change := set(t, centre, "rpc.timeout", config.Scope{}, "750ms")
	for i, v := range values {
		becomes(t, within, v, 750*time.Millisecond)
		if r := processes[i].Revision(); r != change.Revision {
			t.Errorf("process %d runs revision %d; want %d", i, r, change.Revision)
		}
		if processes[i].Stale() {
			t.Errorf("process %d is stale", i)
		}
	}
	entry := processes[0].InForce()[0]
	if entry.Value != "750ms" || entry.Source != "centre" || entry.Revision != change.Revision {
		t.Errorf("in force: %+v", entry)
	}
}

func testLayers(t *testing.T, s *suite) {
	centre := s.centre(t)
	order := s.settings(t, func(o *config.Options) {
		o.Service = "order"
		o.File.Entries = []config.FileEntry{{Name: "rpc.timeout", Scope: config.Scope{Method: get}, Value: "40ms"}}
	})
	v := config.Watch(order, timeout(), config.Scope{Service: "catalog", Method: get}, 30*time.Millisecond)
	becomes(t, within, v, 40*time.Millisecond)
	for i, scope := range []string{"all", "order", "catalog", "shop.catalog.v1.CatalogService", get, "order:" + get, "catalog:" + get} {
		where, err := config.ParseScope(scope)
		check(t, err)
		want := time.Duration(i+1) * time.Second
		set(t, centre, "rpc.timeout", where, want.String())
		becomes(t, within, v, want)
	}
	elsewhere := config.Watch(order, timeout(), config.Scope{Method: list})
	becomes(t, within, elsewhere, 4*time.Second) // the contract's
}

func testDeletion(t *testing.T, s *suite) {
	centre := s.centre(t)
	v := config.Watch(s.settings(t), timeout(), config.Scope{Method: get}, 30*time.Millisecond)
	set(t, centre, "rpc.timeout", config.Scope{}, "1s")
	set(t, centre, "rpc.timeout", config.Scope{Method: get}, "3s")
	becomes(t, within, v, 3*time.Second)
	unset(t, centre, "rpc.timeout", config.Scope{Method: get})
	becomes(t, within, v, time.Second)
	unset(t, centre, "rpc.timeout", config.Scope{})
	becomes(t, within, v, 30*time.Millisecond)
}

func testRefusal(t *testing.T, s *suite) {
	centre := s.centre(t)
	before := set(t, centre, "rpc.timeout", config.Scope{}, "1s")
	for _, c := range []struct {
		name, value string
		scope       config.Scope
		words       []string
	}{
		{"rpc.timeout", "banana", config.Scope{}, []string{"rpc.timeout", "banana", "duration such as"}},
		{"rpc.timeout", "2h", config.Scope{}, []string{"2h", "largest allowed value, 1h"}},
		{"rpc.timeout", "0s", config.Scope{}, []string{"smallest allowed value, 1ms"}},
		{"rpc.retry.attempts", "2.5", config.Scope{}, []string{"whole number"}},
		{"rpc.timout", "1s", config.Scope{}, []string{"unknown setting", "did you mean rpc.timeout?"}},
		{"rpc.timeout", "1s", config.Scope{Service: "Catalog!"}, []string{"unknown form of scope", "catalog"}},
	} {
		good := "5"
		_, err := centre.Set(t.Context(), []config.Edit{
			{Name: "rpc.retry.attempts", Scope: config.Scope{Service: "catalog"}, New: &good},
			{Name: c.name, Scope: c.scope, New: &c.value},
		}, "ann", "a test")
		refused(t, err, c.words...)
	}
	value := "5s"
	edits := []config.Edit{{Name: "rpc.timeout", New: &value}}
	_, err := centre.Set(t.Context(), edits, "", "no author")
	refused(t, err, "author")
	_, err = centre.Set(t.Context(), edits, "ann", " ")
	refused(t, err, "reason")
	_, err = centre.Set(t.Context(), append(edits, edits...), "ann", "twice")
	refused(t, err, "twice")

	revision, entries, err := centre.Get(t.Context())
	check(t, err)
	if revision != before.Revision || len(entries) != 1 || entries[0].Value != "1s" {
		t.Errorf("after refused changes: revision %d, %+v", revision, entries)
	}
}

func testEnvironments(t *testing.T, s *suite) {
	local := s.centre(t)
	production, err := config.NewCentre(s.Open(t), "production")
	check(t, err)
	set(t, production, "rpc.timeout", config.Scope{}, "9s")
	set(t, local, "rpc.timeout", config.Scope{}, "1s")
	set(t, local, "rpc.retry.attempts", config.Scope{}, "2")
	p := s.settings(t, func(o *config.Options) { o.Environment = "production" })
	becomes(t, within, config.Watch(p, timeout(), config.Scope{}), 9*time.Second)
	if v := config.Watch(p, attempts(), config.Scope{}).Get(); v != 3 {
		t.Errorf("production has the attempts of local: %d", v)
	}
	edits, err := production.DiffEnvironment(t.Context(), environment)
	check(t, err)
	if text := fmt.Sprint(edits); text != "[rpc.retry.attempts all: (unset) → 2 rpc.timeout all: 9s → 1s]" {
		t.Errorf("difference of environments: %s", text)
	}
}

func testHistory(t *testing.T, s *suite) {
	centre := s.centre(t)
	v := config.Watch(s.settings(t), timeout(), config.Scope{})
	first := set(t, centre, "rpc.timeout", config.Scope{}, "1s")
	set(t, centre, "rpc.timeout", config.Scope{}, "5s")
	set(t, centre, "rpc.retry.attempts", config.Scope{Service: "catalog"}, "7")
	if same := set(t, centre, "rpc.timeout", config.Scope{}, "5s"); same.Revision != 3 {
		t.Errorf("a change that changes nothing made revision %d", same.Revision)
	}
	edits, err := centre.Diff(t.Context(), 1, 0)
	check(t, err)
	if text := fmt.Sprint(edits); text != "[rpc.retry.attempts catalog: (unset) → 7 rpc.timeout all: 1s → 5s]" {
		t.Errorf("difference of revision 1 and now: %s", text)
	}
	back, err := centre.Rollback(t.Context(), first.Revision, "bob", "too slow")
	check(t, err)
	becomes(t, within, v, time.Second)
	history, err := centre.History(t.Context(), 2)
	check(t, err)
	if len(history) != 2 || history[0].Revision != 4 || history[1].Revision != 3 {
		t.Fatalf("history: %+v", history)
	}
	newest := history[0]
	if newest.Author != "bob" || newest.Reason != "too slow" || newest.State != "applied" || len(newest.Edits) != 2 ||
		!newest.Time.Equal(back.Time) || time.Since(newest.Time) > time.Minute || newest.Environment != environment {
		t.Errorf("newest change: %+v", newest)
	}
	_, err = centre.Rollback(t.Context(), 99, "bob", "no such thing")
	refused(t, err, "no revision 99", "newest is 4")
	if _, err = centre.Rollback(t.Context(), 0, "bob", "clean slate"); err != nil {
		t.Error(err)
	}
	becomes(t, within, v, 2*time.Second)
	all, err := centre.History(t.Context(), 0)
	check(t, err)
	if len(all) != 5 {
		t.Errorf("history has %d changes; want 5", len(all))
	}
}

func testConcurrentWriters(t *testing.T, s *suite) {
	const writers, each = 6, 5
	var centres []*config.Centre
	for range writers {
		centres = append(centres, s.centre(t))
	}
	var group sync.WaitGroup
	for w, centre := range centres {
		group.Go(func() {
			for i := range each {
				value := "4"
				edit := config.Edit{Name: "rpc.retry.attempts", Scope: config.Scope{Service: fmt.Sprintf("s%d-%d", w, i)}, New: &value}
				if _, err := centre.Set(t.Context(), []config.Edit{edit}, "ann", "a race"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	revision, entries, err := centres[0].Get(t.Context())
	check(t, err)
	history, err := centres[0].History(t.Context(), 0)
	check(t, err)
	if revision != writers*each || len(entries) != writers*each || len(history) != writers*each {
		t.Errorf("after %d changes: revision %d, %d entries, %d in the history", writers*each, revision, len(entries), len(history))
	}
}

func testConflict(t *testing.T, s *suite) {
	set(t, s.centre(t), "rpc.timeout", config.Scope{}, "1s")
	d := s.Open(t)
	for _, base := range []int64{0, 2} {
		err := d.Publish(t.Context(), environment, base, []byte(`{"revision":9}`), []byte(`{"revision":9}`))
		if !errors.Is(err, driver.ErrConflict) {
			t.Errorf("publish on base %d: %v", base, err)
		}
	}
	history, err := d.History(t.Context(), environment, 0)
	check(t, err)
	if len(history) != 1 {
		t.Errorf("a conflict left its mark: %d records", len(history))
	}
}

func testBurst(t *testing.T, s *suite) {
	const changes = 50
	centre := s.centre(t)
	v := config.Watch(s.settings(t), timeout(), config.Scope{})
	seen := make(chan time.Duration, 2*changes)
	v.OnChange(func(d time.Duration) { seen <- d })
	for i := range changes {
		set(t, centre, "rpc.timeout", config.Scope{}, fmt.Sprintf("%dms", i+1))
	}
	becomes(t, within, v, changes*time.Millisecond)
	var last time.Duration
	for last < changes*time.Millisecond {
		select {
		case d := <-seen:
			if d <= last {
				t.Fatalf("told of %v after %v", d, last)
			}
			last = d
		case <-time.After(within):
			t.Fatalf("the last change told is %v", last)
		}
	}
}

func testDefinitions(t *testing.T, s *suite) {
	centre := s.centre(t)
	all, err := centre.Definitions(t.Context())
	check(t, err)
	if len(all) != 2 || all[0].Name != "rpc.retry.attempts" || all[1].Max != "1h" {
		t.Errorf("definitions: %+v", all)
	}
	set(t, centre, "rpc.timeout", config.Scope{}, "1s")
	check(t, centre.Define(t.Context(), "catalog", nil))
	value := "2s"
	_, err = centre.Set(t.Context(), []config.Edit{{Name: "rpc.timeout", New: &value}}, "ann", "a test")
	refused(t, err, "unknown setting", "no service")
	unset(t, centre, "rpc.timeout", config.Scope{}) // what is left over can go

	// A service publishes what it watches, by itself.
	p := s.settings(t, func(o *config.Options) { o.Service = "order" })
	config.Watch(p, timeout(), config.Scope{})
	eventually(t, atLast, "a watched setting is published", func() bool {
		all, err := centre.Definitions(t.Context())
		return err == nil && len(all) == 1
	})
}

func testTypeChange(t *testing.T, s *suite) {
	centre := s.centre(t)
	asText := config.String("rpc.timeout", "fast", "a changed mind")
	err := centre.Define(t.Context(), "catalog", []config.Definition{asText.Definition()})
	refused(t, err, "rpc.timeout", "catalog as duration", "become string", "another name")

	p := s.start(t, func(o *config.Options) { o.Definitions = []config.Definition{asText.Definition()} })
	refused(t, p.Ready(t.Context()), "catalog as duration", "another name")
	if v := config.Watch(p, timeout(), config.Scope{}); v.Get() != 2*time.Second {
		t.Errorf("a value with two types is %v", v.Get())
	}
	refused(t, p.Err(), "watch setting rpc.timeout as duration", "declared as string")
}

func testSecrets(t *testing.T, s *suite) {
	const hidden = "correct-horse"
	centre := s.centre(t)
	key := config.Sensitive("payment.key", "the key of the payment provider")
	p := s.settings(t, func(o *config.Options) {
		o.Service, o.Definitions = "payment", []config.Definition{key.Definition()}
	})
	v := config.Watch(p, key, config.Scope{})
	set(t, centre, "payment.key", config.Scope{}, "first-"+hidden)
	change := set(t, centre, "payment.key", config.Scope{}, hidden)
	becomes(t, within, v, hidden)
	history, err := centre.History(t.Context(), 0)
	check(t, err)
	edits, err := centre.Diff(t.Context(), 1, 2)
	check(t, err)
	_, entries, err := centre.Get(t.Context())
	check(t, err)
	for what, shown := range map[string]any{
		"change": change, "history": history, "diff": edits, "get": entries, "in force": p.InForce(), "value": v.Get(),
	} {
		if text := fmt.Sprintf("%+v %s", shown, asJSON(t, shown)); strings.Contains(text, hidden) || !strings.Contains(text, "[redacted]") {
			t.Errorf("%s shows %s", what, text)
		}
	}
	if _, err := centre.Rollback(t.Context(), 1, "bob", "back"); err != nil {
		t.Error(err)
	}
	becomes(t, within, v, "first-"+hidden)
}
