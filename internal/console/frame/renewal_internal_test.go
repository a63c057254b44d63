package frame

import (
	"bufio"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// TestRenewalIsShared draws a page once for all who look at the same, as the same.
func TestRenewalIsShared(t *testing.T) {
	var all renewals
	drawn := 0
	draw := func() *recorder { drawn++; return &recorder{} }
	as := func(name string, role Role, path string) *http.Request {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		return r.WithContext(context.WithValue(r.Context(), callerContext{}, Caller{Name: name, Role: role, Session: "s" + path}))
	}
	var ends []func()
	for i, c := range []struct {
		request *http.Request
		fresh   time.Duration
		want    int
	}{
		{as("ada", Admin, "/a"), time.Hour, 1}, {as("ada", Admin, "/a"), time.Hour, 1}, {as("ada", Admin, "/a?x=1"), time.Hour, 2},
		{as("ada", Viewer, "/a"), time.Hour, 3}, {as("bob", Admin, "/a"), time.Hour, 4}, {as("ada", Admin, "/a"), 0, 5},
	} {
		page, leave := all.join(c.request)
		ends = append(ends, leave)
		if page.page(t.Context(), c.fresh, draw) == nil || drawn != c.want {
			t.Errorf("%d: drawn %d times, want %d", i, drawn, c.want)
		}
	}
	for _, leave := range ends {
		leave()
	}
	if len(all.all) != 0 {
		t.Errorf("kept for nobody: %v", all.all)
	}
}

// TestRenewalGivenUp keeps nothing that was drawn for somebody who went away: it
// may be half of it.
func TestRenewalGivenUp(t *testing.T) {
	var r renewal
	gone, leave := context.WithCancel(t.Context())
	half, whole := &recorder{}, &recorder{}
	r.page(gone, time.Hour, func() *recorder { leave(); return half })
	if got := r.page(t.Context(), time.Hour, func() *recorder { return whole }); got != whole {
		t.Error("somebody sees what another one did not wait for")
	}
}

// TestTrouble keeps what is shown when it can't be had anew, says so, and sends it
// again when it can.
func TestTrouble(t *testing.T) {
	var away atomic.Bool
	const often = 5 * time.Millisecond
	f, err := New(Options{
		Pages: []Page{{Name: "x", Path: "/x", Title: "X", Live: often, Show: func(*Request) (any, error) {
			if away.Load() {
				return nil, status.Error(codes.Unavailable, "nobody is there")
			}
			return "all is well", nil
		}}},
		Templates: fstest.MapFS{"x.html": {Data: []byte(`{{define "content"}}<h1>{{.Data}}</h1>{{end}}`)}},
		Access:    Access{Open: true}, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(f.Handler())
	defer server.Close()
	defer f.Close()
	resp, err := http.Get(server.URL + "/live?at=/x")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var events []string
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		name, ok := strings.CutPrefix(lines.Text(), "event: ")
		if !ok {
			if strings.Contains(lines.Text(), "nobody is there") {
				t.Errorf("sent: %s", lines.Text())
			}
			continue
		}
		events = append(events, name)
		away.Store(len(events) == 1)
		if len(events) == 3 {
			break
		}
	}
	if got := strings.Join(events, " "); got != "page trouble page" {
		t.Errorf("events: %s", got)
	}
}

// TestClock tells moments by the system's clock, whatever zone they come in, and
// those of other days with their date.
func TestClock(t *testing.T) {
	zone := time.Local
	time.Local = time.FixedZone("CEST", 2*60*60)
	defer func() { time.Local = zone }()
	now := time.Date(2026, 7, 3, 22, 30, 0, 0, time.UTC) // half past midnight here
	for at, want := range map[time.Time]string{
		now.Add(-10 * time.Minute):   "00:20:00",
		now.Add(-40 * time.Minute):   "3 Jul 23:50:00",
		now.AddDate(-1, 0, 0):        "4 Jul 2025 00:30",
		now.Add(time.Minute).Local(): "00:31:00",
	} {
		if got := clock(at, now); got != want {
			t.Errorf("%v: %s, want %s", at, got, want)
		}
	}
	if got := eastOf(now.Local()); got != 120 {
		t.Errorf("%d minutes east", got)
	}
	r := ParseRange("2026-07-03T12:00:00Z", "1783080060000", now)
	if got := r.Name(); got != "3 Jul 14:00:00 – 3 Jul 14:01:00" {
		t.Errorf("a range: %s", got)
	}
}

// TestStreamLasts keeps a stream open for longer than a request may take to come.
func TestStreamLasts(t *testing.T) {
	const often, least = 5 * time.Millisecond, 50 * time.Millisecond
	began := time.Now()
	f, err := New(Options{
		Pages: []Page{{Name: "x", Path: "/x", Title: "X", Live: often, Show: func(*Request) (any, error) {
			return time.Since(began).String(), nil
		}}},
		Templates: fstest.MapFS{"x.html": {Data: []byte(`{{define "content"}}<h1>{{.Data}}</h1>{{end}}`)}},
		Access:    Access{Open: true}, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(f.Handler())
	server.Config.ReadTimeout = least
	server.Start()
	defer server.Close()
	defer f.Close()
	asked := time.Now()
	resp, err := http.Get(server.URL + "/live?at=/x")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for time.Since(asked) < 6*least {
		if !lines.Scan() {
			t.Fatalf("the stream ended after %v: %v", time.Since(asked), lines.Err())
		}
	}
}

// TestWrongRange tells of a span of time that is none.
func TestWrongRange(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		from, to string
		wrong    bool
	}{
		{"", "", false}, {"now-1h", "", false}, {"now-1h", "now", false}, {"2026-01-02T15:04", "2026-01-02T15:05", false},
		{"yesterday", "", true}, {"now-1h", "soon", true}, {"2026-01-02T15:05", "2026-01-02T15:04", true},
	} {
		if got := ParseRange(c.from, c.to, now); got.Wrong != c.wrong || !got.From.Before(got.To) {
			t.Errorf("%s to %s: %+v", c.from, c.to, got)
		}
	}
}

// TestNever says nothing of moments that nobody told.
func TestNever(t *testing.T) {
	for _, at := range []time.Time{{}, time.Unix(0, 0).UTC()} {
		if got := Ago(at, time.Now()); got != "–" {
			t.Errorf("%v: %s", at, got)
		}
		if got := At(at); got.Text != "–" {
			t.Errorf("%v: %+v", at, got)
		}
	}
}
