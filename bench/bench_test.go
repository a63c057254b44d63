package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gowarren/warren/bench/internal/load"
	"github.com/gowarren/warren/bench/internal/sagas"
)

func TestRatiosAreTakenWithinARound(t *testing.T) {
	var tb table
	for _, machine := range []float64{1, 3, 2} { // the machine is three times slower in one round
		tb.add("yardstick", sample{cpu: 100 * machine})
		tb.add("peer", sample{cpu: 150 * machine})
	}
	tb = tb.ordered([]string{"yardstick", "peer"})
	if got := tb.ratio("peer", cpu); got != 1.5 {
		t.Errorf("ratio is %v, want 1.5", got)
	}
	if got := tb.median("peer", cpu); got != 300 {
		t.Errorf("median is %v, want 300", got)
	}
}

func TestTablesReplaceWhatWasThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "performance.md")
	before := "a\n<!-- bench:about -->\nold\n<!-- /bench:about -->\nb\n<!-- bench:rest -->\nold\n<!-- /bench:rest -->\nc\n"
	if err := os.WriteFile(path, []byte(before), 0o600); err != nil {
		t.Fatal(err)
	}
	tb := table{name: "rest", unit: "request"}
	tb.add("yardstick", sample{rate: 1, cpu: 1})
	tb = tb.ordered([]string{"yardstick"})
	if err := write(path, []section{{"about", "new\n"}, {tb.name, tb.markdown()}}); err != nil {
		t.Fatal(err)
	}
	after, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if text := string(after); strings.Contains(text, "old") || !strings.Contains(text, "yardstick") || !strings.Contains(text, "\nb\n") {
		t.Errorf("the document is\n%s", text)
	}
	tb.name = "nowhere"
	if err := write(path, []section{{"about", "new\n"}, {tb.name, tb.markdown()}}); err == nil {
		t.Error("a table without a place was written")
	}
}

func TestLoadReadsAnswers(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"with a length": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("short")) },
		"in chunks": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(strings.Repeat("long", 2000)))
			_ = http.NewResponseController(w).Flush()
			_, _ = w.Write([]byte("end"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(answer)
			defer server.Close()
			r, err := load.Run(context.Background(), orderFor(server))
			if err != nil {
				t.Fatal(err)
			}
			if r.Requests == 0 || r.All <= r.Requests || r.P99 < r.P50 {
				t.Errorf("result is %+v", r)
			}
		})
	}
}

func TestLoadEndsAtTheFirstRefusal(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "too much", http.StatusServiceUnavailable)
	}))
	defer server.Close()
	if _, err := load.Run(context.Background(), orderFor(server)); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("error is %v, want one that tells the status", err)
	}
}

func orderFor(server *httptest.Server) load.Order {
	return load.Order{
		Address: server.Listener.Addr().String(), Path: "/", Connections: 4,
		Warm: 20 * time.Millisecond, Duration: 100 * time.Millisecond,
	}
}

func TestBarrierTableReadsTheBenchmark(t *testing.T) {
	var out strings.Builder
	for _, store := range []string{"sqlite", "postgres"} {
		for how, ns := range map[string]int{"without": 100000, "with": 150000, "again": 50000} {
			for _, callers := range []int{1, 16} {
				fmt.Fprintf(&out, "BenchmarkCall/%s/%s/%d-2 \t 5000 \t %d ns/op\n", store, how, callers, ns)
			}
		}
	}
	table, err := barrierTable([]byte(out.String()))
	if err != nil || !strings.Contains(table, "| PostgreSQL, callers at once: 16 | 100 | 150 | +50 % | 50 |") {
		t.Errorf("%v\n%s", err, table)
	}
	if _, err := barrierTable([]byte("PASS")); err == nil {
		t.Error("a benchmark that said nothing made a table")
	}
}

func TestEventsTableReadsTheBenchmarks(t *testing.T) {
	seen := map[string][]float64{}
	say := func(driver, name string, ns ...int) {
		for _, n := range ns {
			line := fmt.Sprintf("goos: linux\nBenchmark%s-2 \t 4000 \t %d ns/op \t 77 events/s\nPASS\n", name, n)
			if err := readEvents(driver, []byte(line), seen); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, b := range brokers {
		for _, d := range databases {
			say(b.driver, "Relay/"+d.key, 20000, 25000, 90000) // the median counts
			say(b.driver, "Consume/"+d.key, 400000)
		}
	}
	if _, err := eventsTable(seen); err == nil {
		t.Error("benchmarks of which some are missing made a table")
	}
	for _, d := range databases {
		say("events", "Publish/"+d.key+"/without", 200000, 800000, 100000) // others were at work in the second round
		say("events", "Publish/"+d.key+"/with", 230000, 920000, 150000)
	}
	table, err := eventsTable(seen)
	for _, want := range []string{"| RabbitMQ, one node, quorum queues | 40000 | 40000 | 2500 | 2500 |", "| PostgreSQL | 200 | 230 | +15 % |"} {
		if err != nil || !strings.Contains(table, want) {
			t.Errorf("%v: there is no %q in\n%s", err, want, table)
		}
	}
}

func TestSagasAreComparedOnTheirStoreWithinARound(t *testing.T) {
	crews := []*crew{{kind: kind{name: "peer", store: "one"}}, {kind: kind{name: "ours", store: "one"}}, {kind: kind{name: "other", store: "two"}}}
	seen := map[string]map[int][]saga{}
	for name, factor := range map[string]float64{"peer": 1, "ours": 5, "other": 2} {
		seen[name] = map[int][]saga{}
		for _, n := range clients {
			for _, machine := range []float64{1, 0.3, 0.5} { // it is slower in some rounds
				seen[name][n] = append(seen[name][n], saga{rate: 100 * factor * machine})
			}
		}
	}
	table := sagaTable(crews, seen)
	for _, want := range []string{"| peer | 50 | 1.0 |", "| ours | 250 | 5.0 |", "| other | 100 | 1.0 |"} {
		if !strings.Contains(table, want) {
			t.Errorf("there is no %q in\n%s", want, table)
		}
	}
}

func TestClientsCountEverySaga(t *testing.T) {
	var begun atomic.Int64
	run := func(_ context.Context, id string, kind sagas.Kind) error {
		if begun.Add(1); !strings.HasPrefix(id, "p-") || kind != sagas.Submitted {
			return errors.New("another order: " + id)
		}
		return nil
	}
	r := sagas.Measure(context.Background(), sagas.Order{Kind: sagas.Submitted, Prefix: "p-", Clients: 4, Count: 100}, run)
	if r.Error != "" || r.All != 100 || begun.Load() != 100 {
		t.Errorf("%d were begun, the result is %+v", begun.Load(), r)
	}
	broken := func(context.Context, string, sagas.Kind) error { return errors.New("broken") }
	if r := sagas.Measure(context.Background(), sagas.Order{Clients: 2, Count: 10}, broken); r.Error != "broken" {
		t.Errorf("the result of broken sagas is %+v", r)
	}
}
