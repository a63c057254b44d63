package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gowarren/warren/bench/internal/load"
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
