package alerting

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gowarren/warren/internal/metricstore"
)

// Where nobody is told of alerts, those that ended are not kept for ever.
func TestEndedAlertsAreForgotten(t *testing.T) {
	dir := t.TempDir()
	e, err := New(Options{Dir: dir, System: t.TempDir(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	fires := metricstore.Alert{Name: "Broken", State: metricstore.Firing, Labels: map[string]string{"alertname": "Broken"}, Since: now, Fired: now}
	e.Notify([]metricstore.Alert{fires})
	if len(e.active) != 1 {
		t.Errorf("%v fire", e.active)
	}
	over := fires
	over.Resolved = now.Add(time.Second)
	e.Notify([]metricstore.Alert{over})
	kept, err := os.ReadFile(filepath.Join(dir, "firing.json"))
	if len(e.active) != 0 || err != nil || strings.Contains(string(kept), "Broken") {
		t.Errorf("kept %v and %s, %v", e.active, kept, err)
	}
	if past := e.history.latest(10, func(Change) bool { return true }); len(past) != 2 || !past[0].Resolved {
		t.Errorf("history: %+v", past)
	}
}

// A line that cannot be read takes no other with it, however long it is.
func TestJournalOutlivesALine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.jsonl")
	lines := []string{`{"name": "first"}`, `{"name": "` + strings.Repeat("x", 2<<20) + `", nonsense`, `{"name": "last"}`, `{"name": "cut o`}
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // and so the next time
		j, err := openJournal[Change](path)
		if err != nil {
			t.Fatal(err)
		}
		if got := j.latest(10, func(Change) bool { return true }); len(got) != 2 || got[0].Name != "last" || got[1].Name != "first" {
			t.Errorf("kept %+v", got)
		}
	}
}

// Whoever ends does not wait for a mail server that says nothing.
func TestMailEndsWithTheContext(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		cancel()
		_, _ = conn.Read(make([]byte, 1)) // until the other side leaves
		_ = conn.Close()
	}()
	done := make(chan error, 1)
	go func() {
		done <- (&email{server: l.Addr().String(), from: "a@example.com", to: []string{"b@example.com"}}).send(ctx, message{})
	}()
	select {
	case err := <-done:
		if err == nil {
			t.Error("a mail was sent to nobody")
		}
	case <-time.After(30 * time.Second):
		t.Fatal("it still waits")
	}
}

// The secrets of a receiver go to it, and not where it leads.
func TestWebhookStays(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("elsewhere hears of %q", r.Header.Get("X-Api-Key"))
	}))
	defer elsewhere.Close()
	there := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	defer there.Close()
	err := post(t.Context(), there.URL, map[string]string{"X-Api-Key": "secret"}, []string{})
	if err == nil || !strings.Contains(err.Error(), "307") {
		t.Errorf("got %v", err)
	}
}
