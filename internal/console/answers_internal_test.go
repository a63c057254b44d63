package console

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	"github.com/gowarren/warren/internal/console/frame"
	"github.com/gowarren/warren/internal/metricstore"
)

func someAnswers(t *testing.T) *answers {
	t.Helper()
	kept, err := newAnswers()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(kept.Close)
	return kept
}

// ages is a while that does not end during a test.
const ages = 50 * 365 * 24 * time.Hour

// TestOnce asks once for all who want to know the same, and again after an error.
func TestOnce(t *testing.T) {
	kept, asked := someAnswers(t), 0
	ask := func(err error) func(context.Context) (*observev1.QueryResponse, error) {
		return func(context.Context) (*observev1.QueryResponse, error) {
			asked++
			return &observev1.QueryResponse{Warnings: []string{"w"}}, err
		}
	}
	away := errors.New("away")
	for i, c := range []struct {
		name string
		err  error
		want int
	}{{"a", away, 1}, {"a", nil, 2}, {"a", nil, 2}, {"b", nil, 3}, {"a", away, 3}} {
		got, err := once(t.Context(), kept, ages, c.name, ask(c.err))
		if asked != c.want || len(got.GetWarnings()) != 1 || (err != nil) != (i == 0) {
			t.Errorf("%d: asked %d times, want %d; %v, %v", i, asked, c.want, got, err)
		}
	}
}

// TestEmptyCourse asks again for what had no samples yet, and says nothing of it.
func TestEmptyCourse(t *testing.T) {
	s, asked := &screens{answers: someAnswers(t)}, 0
	r := &frame.Request{Range: frame.ParseRange("", "", time.Now())}
	r.Request = httptest.NewRequest(http.MethodGet, "/metrics", nil)
	for range 2 {
		got, err := s.course(r, "up", func(context.Context) (*observev1.QueryRangeResponse, error) {
			asked++
			return &observev1.QueryRangeResponse{Warnings: []string{"w"}}, nil
		})
		if err != nil || len(got.GetWarnings()) != 1 {
			t.Errorf("%v, %v", got, err)
		}
	}
	if asked != 2 {
		t.Errorf("asked %d times", asked)
	}
}

// TestFigures asks a store of metrics for the figures of the overview.
func TestFigures(t *testing.T) {
	store, err := metricstore.Open(metricstore.Options{Dir: t.TempDir(), Limits: metricstore.DefaultLimits(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}()
	ask := func() map[string]float64 {
		found, err := store.Query(t.Context(), figuresQuery(), time.Now(), 0)
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]float64{}
		for _, one := range found.Series {
			out[one.Labels["figure"]] = one.Points[0].Value
		}
		return out
	}
	if got := ask(); len(got) != 0 {
		t.Errorf("of nothing: %v", got)
	}
	write := func(name, service, instance, topic string, value float64) {
		labels := map[string]string{"__name__": name, "service": service, "instance": instance, "messaging_destination_name": topic}
		err := store.Append(t.Context(), metricstore.Series{Labels: labels, Points: []metricstore.Point{{Time: time.Now(), Value: value}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	write("warren_outbox_pending", "order", "order/1", "", 0)
	if got := ask(); got["letters"] != 0 || len(got) != 1 {
		t.Errorf("events, and no letters: %v", got)
	}
	for _, i := range []string{"1", "2"} { // both tell of the same database
		write("warren_dead_letters", "order", "order/"+i, "a", 3)
		write("warren_dead_letters", "order", "order/"+i, "b", 4)
		write("warren_txn_active", "coordinator", "coordinator/"+i, "", 5)
		write("warren_txn_parked", "coordinator", "coordinator/"+i, "", 2)
	}
	write("warren_outbox_age_seconds", "order", "order/1", "", 1.5)
	got := ask()
	for name, want := range map[string]float64{"letters": 7, "active": 10, "parked": 2, "outbox": 1.5} {
		if got[name] != want {
			t.Errorf("%s: %v, want %v", name, got[name], want)
		}
	}
}

// TestUnits guesses what a chart is drawn in.
func TestUnits(t *testing.T) {
	for query, want := range map[string]string{
		`sum(rate(x_total[1m]))`:                                            "/s",
		`process_resident_memory_bytes`:                                     "B",
		`histogram_quantile(0.9, sum by (le) (rate(x_seconds_bucket[1m])))`: "s",
		`sum(rate(x_seconds_sum[1m])) / sum(rate(x_seconds_count[1m]))`:     "s",
		`rate(x_bytes_sum[1m]) / rate(x_bytes_count[1m])`:                   "B",
		`sum(rate(bad[1m])) / sum(rate(x_total[1m]))`:                       "%",
		errorsOf("service", ""):                                             "%",
		`process_resident_memory_bytes / 1024 / 1024`:                       "",
		`100 * sum(rate(bad[1m])) / sum(rate(x[1m]))`:                       "",
		`sum(rate(bad[1m])) / sum(rate(x[1m])) * 100`:                       "",
		`go_goroutines`: "",
	} {
		if got := unitOf(query); got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
}

// TestLeast reads the least duration of a search, and says what it can't read.
func TestLeast(t *testing.T) {
	for text, want := range map[string]time.Duration{"": 0, "100ms": 100 * time.Millisecond, "1.5 s": 1500 * time.Millisecond} {
		if got, problem := leastOf(text); got.AsDuration() != want || problem != "" {
			t.Errorf("%q: %v %s", text, got, problem)
		}
	}
	for _, text := range []string{"100", "-1s", "soon"} {
		if got, problem := leastOf(text); got != nil || problem == "" {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// TestCut tells of services with more letters than are listed.
func TestCut(t *testing.T) {
	var all []ownLetter
	for range mostLetters {
		all = append(all, ownLetter{Service: "order"})
	}
	for range mostLetters - 1 {
		all = append(all, ownLetter{Service: "payment"})
	}
	if got := cut(all); len(got) != 1 || got[0] != "order" {
		t.Errorf("%v", got)
	}
}

// TestHeard has all pages ask the same of what happened lately.
func TestHeard(t *testing.T) {
	s, asked := &screens{answers: someAnswers(t)}, []time.Time{}
	now := time.Now()
	of := witness{"a witness", ages, func(_ context.Context, from time.Time) ([]happened, error) {
		asked = append(asked, from)
		return []happened{{Time: now, What: "it"}}, nil
	}}
	for _, from := range []time.Time{now.Add(-24 * time.Hour), now.Add(-15 * time.Minute), now.Add(-time.Minute)} {
		if got, err := s.heard(t.Context(), of, from); len(got) != 1 || err != nil {
			t.Errorf("%v, %v", got, err)
		}
	}
	if len(asked) != 1 || asked[0].After(now.Add(-24*time.Hour)) {
		t.Errorf("asked since %v", asked)
	}
	long := now.Add(-72 * time.Hour)
	if _, err := s.heard(t.Context(), of, long); err != nil || len(asked) != 2 || asked[1].After(long) {
		t.Errorf("asked since %v: %v", asked, err)
	}
}

// TestSeldom asks for who opens a page, and hardly for one that renews itself.
func TestSeldom(t *testing.T) {
	kept, asked := someAnswers(t), 0
	ask := func(context.Context) (*observev1.QueryResponse, error) {
		asked++
		return &observev1.QueryResponse{}, nil
	}
	for i, c := range []struct {
		renewal string
		want    int
	}{{"", 1}, {"1", 2}, {"1", 2}, {"", 3}, {"1", 3}} {
		r := &frame.Request{Request: httptest.NewRequest(http.MethodGet, "/logs?from=now-9999d", nil), Range: frame.ParseRange("now-9999d", "", time.Now())}
		r.Header.Set("X-Renewal", c.renewal)
		if _, err := seldom(r, kept, "lines", ask); err != nil || asked != c.want {
			t.Errorf("%d: asked %d times, want %d; %v", i, asked, c.want, err)
		}
	}
}
