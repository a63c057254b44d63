package alerting_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	"github.com/gowarren/warren/internal/alerting"
	"github.com/gowarren/warren/internal/metricstore"
)

// receiver is a place that hears of alerts.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	broken bool
	heard  []string // "firing Broken", in order; one line a request
	keys   []string
	tried  int
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(r.take))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) take(w http.ResponseWriter, req *http.Request) {
	text, _ := io.ReadAll(req.Body)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tried++
	if r.broken {
		http.Error(w, "not now", http.StatusServiceUnavailable)
		return
	}
	r.keys = append(r.keys, req.Header.Get("Idempotency-Key"))
	if strings.HasSuffix(req.URL.Path, "/api/v2/alerts") {
		var alerts []struct {
			Labels       map[string]string
			EndsAt       time.Time
			Annotations  map[string]string
			GeneratorURL string
		}
		if err := json.Unmarshal(text, &alerts); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		for _, a := range alerts {
			state := "firing"
			if a.EndsAt.Before(time.Now()) {
				state = "resolved"
			}
			r.heard = append(r.heard, state+" "+a.Labels["alertname"])
		}
		return
	}
	var body struct {
		Version, Status string
		Alerts          []struct {
			Status      string
			Labels      map[string]string
			Annotations map[string]string
		}
	}
	if err := json.Unmarshal(text, &body); err != nil || body.Version != "4" {
		http.Error(w, "not understood", http.StatusBadRequest)
		return
	}
	for _, a := range body.Alerts {
		r.heard = append(r.heard, a.Status+" "+a.Labels["alertname"])
	}
}

func (r *receiver) set(broken bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.broken = broken
}

func (r *receiver) attempts() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.tried
}

func (r *receiver) has(lines ...string) func() bool {
	return func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return slices.Equal(r.heard, lines)
	}
}

// world is a store, an engine and a file of alerts in folders that outlive both.
type world struct {
	t      *testing.T
	dir    string
	store  *metricstore.Store
	engine *alerting.Engine
}

func (w *world) write(text string) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, alerting.FileName), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) start() {
	w.t.Helper()
	var err error
	w.engine, err = alerting.New(alerting.Options{
		Dir: filepath.Join(w.dir, "alerts"), System: w.dir, Name: "fair", Logger: slog.New(slog.DiscardHandler),
		RetryMin: 10 * time.Millisecond, RetryMax: 50 * time.Millisecond,
		Timing: func() alerting.Timing { return alerting.Timing{Scrape: time.Second, Evaluate: 50 * time.Millisecond} },
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.store, err = metricstore.Open(metricstore.Options{
		Dir: filepath.Join(w.dir, "metrics"), Notify: w.engine.Notify, Logger: slog.New(slog.DiscardHandler),
		Limits: metricstore.Limits{EvaluationInterval: 50 * time.Millisecond},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.engine.Start(w.store); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) stop() {
	w.t.Helper()
	for _, end := range []func() error{w.engine.Close, w.store.Close} {
		if err := end(); err != nil {
			w.t.Error(err)
		}
	}
}

// fault sets the metric that the alert Broken looks at.
func (w *world) fault(v float64) {
	w.t.Helper()
	err := w.store.Append(w.t.Context(), metricstore.Series{
		Labels: map[string]string{"__name__": "fault", "service": "order"}, Points: []metricstore.Point{{Time: time.Now(), Value: v}},
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	patience := time.After(60 * time.Second)
	for !holds() {
		select {
		case <-ticker.C:
		case <-patience:
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

const broken = `
alerts:
  Broken: {expr: "fault > 0", severity: page, summary: "{{ $labels.service }} is broken"}
`

func TestAlertIsDeliveredOnceAndResolved(t *testing.T) {
	hook, manager := newReceiver(t), newReceiver(t)
	w := &world{t: t, dir: t.TempDir()}
	w.write(broken + `receivers:
  chat: {webhook: "` + hook.URL + `"}
  central: {alertmanager: "` + manager.URL + `/"}
`)
	hook.set(true) // away at first
	w.start()
	w.fault(1)
	until(t, "it is tried again and again", func() bool { return hook.attempts() > 2 })
	until(t, "the other is told meanwhile", manager.has("firing Broken"))
	hook.set(false)
	until(t, "it is told when it is back", hook.has("firing Broken"))
	w.stop()
	w.start() // a restart is no news
	w.fault(1)
	alerts := w.engine.Service()
	until(t, "it fires again", func() bool {
		resp, err := alerts.ListAlerts(t.Context(), &observev1.ListAlertsRequest{Services: []string{"order"}})
		return err == nil && len(resp.GetAlerts()) == 1 && resp.GetAlerts()[0].GetState() == observev1.Alert_STATE_FIRING
	})
	w.fault(0)
	until(t, "its end is told", hook.has("firing Broken", "resolved Broken"))
	until(t, "its end is told to the Alertmanager", manager.has("firing Broken", "resolved Broken"))
	if hook.keys[0] == "" || hook.keys[0] == hook.keys[1] {
		t.Errorf("the keys of two messages: %q", hook.keys)
	}
	history, err := alerts.History(t.Context(), &observev1.HistoryRequest{Name: "Broken"})
	if err != nil || len(history.GetChanges()) != 2 || !history.GetChanges()[0].GetResolved() || history.GetChanges()[1].GetAnnotations()["summary"] != "order is broken" {
		t.Errorf("history: %v, %v", history, err)
	}
	deliveries, err := alerts.Deliveries(t.Context(), &observev1.DeliveriesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	failed := slices.ContainsFunc(deliveries.GetDeliveries(), func(d *observev1.Delivery) bool {
		return d.GetReceiver() == "chat" && strings.Contains(d.GetError(), "503") && d.GetRetried() && d.GetAttempt() > 1
	})
	if !failed {
		t.Errorf("no failed attempt among %v", deliveries)
	}
	w.stop()
}

func TestSilence(t *testing.T) {
	hook := newReceiver(t)
	w := &world{t: t, dir: t.TempDir()}
	w.write(broken + "receivers: {chat: {webhook: \"" + hook.URL + "\"}}\n")
	w.start()
	alerts := w.engine.Service()
	matchers := []*observev1.Matcher{{Label: "service", Value: "or.*", Regex: true}}
	made, err := alerts.Silence(t.Context(), &observev1.SilenceRequest{Matchers: matchers, Duration: durationpb.New(time.Hour), Reason: "a test", Author: "ann"})
	if err != nil {
		t.Fatal(err)
	}
	w.fault(1)
	until(t, "it fires in silence", func() bool {
		resp, err := alerts.ListAlerts(t.Context(), &observev1.ListAlertsRequest{Services: []string{"order"}})
		return err == nil && len(resp.GetAlerts()) == 1 && resp.GetAlerts()[0].GetSilence() == made.GetSilence().GetId()
	})
	w.stop()
	w.start() // silences are kept
	alerts = w.engine.Service()
	kept, err := alerts.ListSilences(t.Context(), &observev1.ListSilencesRequest{})
	if err != nil || len(kept.GetSilences()) != 1 || kept.GetSilences()[0].GetAuthor() != "ann" {
		t.Fatalf("silences after a restart: %v, %v", kept, err)
	}
	if hook.attempts() > 0 {
		t.Error("it was told of a silenced alert")
	}
	w.fault(1)
	if _, err := alerts.Unsilence(t.Context(), &observev1.UnsilenceRequest{Id: made.GetSilence().GetId()}); err != nil {
		t.Fatal(err)
	}
	until(t, "it is told when the silence ends", hook.has("firing Broken"))
	if _, err := alerts.Unsilence(t.Context(), &observev1.UnsilenceRequest{Id: made.GetSilence().GetId()}); status.Code(err) != codes.NotFound {
		t.Errorf("a silence ends twice: %v", err)
	}
	everything := []*observev1.Matcher{{Label: "service", Value: "x", Negative: true}}
	if _, err := alerts.Silence(t.Context(), &observev1.SilenceRequest{Matchers: everything, Duration: durationpb.New(time.Hour), Reason: "all"}); status.Code(err) != codes.InvalidArgument {
		t.Errorf("all alerts were silenced: %v", err)
	}
	w.stop()
}

// The file is obeyed while it changes; one that is wrong changes nothing.
func TestFileChanges(t *testing.T) {
	w := &world{t: t, dir: t.TempDir()}
	w.start()
	defer w.stop()
	sources := func() map[string]string {
		resp, err := w.engine.Service().ListRules(t.Context(), &observev1.ListRulesRequest{})
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]string{}
		for _, r := range resp.GetRules() {
			out[r.GetName()] = r.GetSource()
		}
		return out
	}
	if got := sources(); got["Watchdog"] != "warren" || got["Broken"] != "" {
		t.Errorf("at first: %v", got)
	}
	w.write(broken)
	until(t, "the file's alert is in force", func() bool { return sources()["Broken"] == alerting.FileName })
	w.write(broken + "off: [Watchdog, Nonsense]\n")
	w.write(broken + "off: [Watchdog]\nslos: {mine: {objective: 0.9, bad: 'sum(rate(a[{window}]))', all: 'sum(rate(b[{window}]))'}}\n")
	until(t, "the next one is", func() bool { return sources()["Watchdog"] == "" })
	slos, err := w.engine.Service().ListSLOs(t.Context(), &observev1.ListSLOsRequest{})
	if err != nil || len(slos.GetSlos()) != 4 || slos.GetSlos()[3].GetName() != "mine" || slos.GetSlos()[3].Current != nil || len(slos.GetSlos()[3].GetBurns()) != 8 {
		t.Errorf("objectives: %v, %v", slos, err)
	}
}

// mailServer takes one mail by SMTP and returns it.
func mailServer(t *testing.T) (address string, mails <-chan string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	out := make(chan string, 10)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			out <- takeMail(conn)
		}
	}()
	return l.Addr().String(), out
}

func takeMail(conn net.Conn) string {
	defer conn.Close()
	lines := bufio.NewScanner(conn)
	say := func(text string) { fmt.Fprint(conn, text+"\r\n") }
	say("220 test")
	var text strings.Builder
	for inData := false; lines.Scan(); {
		line := lines.Text()
		switch {
		case inData && line == ".":
			inData = false
			say("250 taken")
		case inData || strings.HasPrefix(line, "RCPT") || strings.HasPrefix(line, "MAIL"):
			text.WriteString(line + "\n")
			if !inData {
				say("250 ok")
			}
		case line == "DATA":
			inData = true
			say("354 go on")
		case line == "QUIT":
			say("221 bye")
			return text.String()
		default:
			say("250 ok")
		}
	}
	return text.String()
}

func TestMail(t *testing.T) {
	address, mails := mailServer(t)
	w := &world{t: t, dir: t.TempDir()}
	w.write(broken + `receivers:
  ops: {email: {server: "` + address + `", from: shop@example.com, to: [ann@example.com, bob@example.com]}}
`)
	w.start()
	defer w.stop()
	w.fault(1)
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	select {
	case mail := <-mails:
		for _, want := range []string{
			"RCPT TO:<ann@example.com>", "RCPT TO:<bob@example.com>", "Subject: [fair] FIRING: order is broken", "FIRING Broken (page)", "service=3Dorder", "Message-ID: <",
		} {
			if !strings.Contains(mail, want) {
				t.Errorf("no %q in:\n%s", want, mail)
			}
		}
	case <-ctx.Done():
		t.Fatal("no mail within a minute")
	}
}
