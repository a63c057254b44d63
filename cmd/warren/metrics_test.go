package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
)

// pager is a webhook that keeps what it is told: "firing Refused".
type pager struct {
	*httptest.Server
	mu    sync.Mutex
	heard []string
}

func newPager(t *testing.T) *pager {
	t.Helper()
	p := &pager{}
	p.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		var body struct {
			Alerts []struct {
				Status string
				Labels map[string]string
			}
		}
		if json.Unmarshal(text, &body) != nil {
			return
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, a := range body.Alerts {
			p.heard = append(p.heard, a.Status+" "+a.Labels["alertname"])
		}
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *pager) has(line string) func() bool {
	return func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return slices.Contains(p.heard, line)
	}
}

// ask runs a command with --json and reads what it prints.
func ask[T proto.Message](t *testing.T, w *workshop, into T, args ...string) T {
	t.Helper()
	if err := protojson.Unmarshal([]byte(w.must(append(args, "--json")...)), into); err != nil {
		t.Fatal(err)
	}
	return into
}

// TestMetricsAndAlerts breaks a real system until it says so, heals it, kills
// its supervisor, and looks at what is left.
func TestMetricsAndAlerts(t *testing.T) {
	w := newWorkshop(t)
	w.must("new", "service", "greeting")
	page := newPager(t)
	w.write("alerts.yaml", `
period: 10m
slos:
  greetings:
    objective: 0.99
    bad: sum(rate(rpc_server_call_duration_seconds_count{service="greeting",rpc_response_status_code="INVALID_ARGUMENT"}[{window}]))
    all: sum(rate(rpc_server_call_duration_seconds_count{service="greeting",rpc_method=~".*Greet.*"}[{window}]))
    min_events: 3
alerts:
  Refused:
    expr: sum(rate(rpc_server_call_duration_seconds_count{service="greeting",rpc_response_status_code="INVALID_ARGUMENT"}[5s])) > 0
    severity: ticket
    summary: "greetings are refused"
receivers:
  pager: {webhook: "`+page.URL+`"}
`)
	w.edit("warren.yaml", "gateway:", "settings:\n  metrics.scrape.interval: 500ms\n  metrics.rules.interval: 500ms\n\ngateway:")
	u := w.up()
	contains(t, u.printed(t), "metrics is ready after ")
	eventually(t, "all are scraped", func() bool {
		targets := ask(t, w, &observev1.TargetsResponse{}, "metrics", "targets").GetTargets()
		return len(targets) == 3 && !slices.ContainsFunc(targets, func(one *observev1.Target) bool { return one.GetHealth() != observev1.Target_HEALTH_UP })
	})
	gateway := "http://" + u.GetSystem().GetGateway()
	stop := greet(t, gateway+"/v1/greeting/greetings/A") // too short a name
	eventually(t, "the fault is told", page.has("firing Refused"))
	eventually(t, "the budget burns", page.has("firing ErrorBudgetBurnsFast"))
	contains(t, w.must("alerts"), "ErrorBudgetBurnsFast", "firing", "page", "greetings are refused")
	contains(t, w.must("alerts", "slos"), "greetings", "firing", "99 %")
	top := decode[struct{ Services []load }](t, w.must("top", "--json"))
	if !slices.ContainsFunc(top.Services, func(l load) bool {
		return l.Service == "greeting" && l.Rate != nil && *l.Rate > 0 && l.Memory != nil && *l.Memory > 1<<20
	}) {
		t.Errorf("top: %+v", top)
	}
	contains(t, w.must("top"), "SERVICE", "greeting", "MiB", "/s")
	stop()
	eventually(t, "its end is told", page.has("resolved Refused"))
	eventually(t, "the budget burns no more", page.has("resolved ErrorBudgetBurnsFast"))
	w.commandsOfAlerts(t)
	w.commandsOfMetrics(t)
	before := w.instanceLabels(t)
	if err := u.end(syscall.SIGKILL); err == nil {
		t.Error("killed, and no error")
	}
	u = w.up() // as after a power cut: nothing was closed
	eventually(t, "what was before the kill is there, and what is now", func() bool {
		now := w.instanceLabels(t)
		return len(now) > len(before) && !slices.ContainsFunc(before, func(b string) bool { return !slices.Contains(now, b) })
	})
	contains(t, w.must("alerts", "history", "Refused"), "fired", "resolved")
	if err := u.end(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
}

// greet sends requests until it is told to stop.
func greet(t *testing.T, url string) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var work sync.WaitGroup
	work.Go(func() {
		ticker := time.NewTicker(20 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
			case <-ctx.Done():
				return
			}
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
			if err != nil {
				return
			}
			if resp, err := http.DefaultClient.Do(req); err == nil {
				resp.Body.Close()
			}
		}
	})
	return func() { cancel(); work.Wait() }
}

// instanceLabels are those that greeting ever had.
func (w *workshop) instanceLabels(t *testing.T) []string {
	t.Helper()
	resp := ask(t, w, &observev1.QueryResponse{}, "metrics", "query", `count by (instance) (count_over_time(up{service="greeting"}[1h]))`)
	var out []string
	for _, s := range resp.GetSamples() {
		out = append(out, s.GetLabels()["instance"])
	}
	return out
}

func (w *workshop) commandsOfAlerts(t *testing.T) {
	t.Helper()
	contains(t, w.must("alerts", "list", "--all"), "Watchdog", "InstanceDown", "inactive")
	contains(t, w.must("alerts", "rules"), "slo-greetings", "recording", "alerts.yaml", "warren-instances")
	contains(t, w.must("alerts", "deliveries"), "pager", "webhook", "Refused")
	contains(t, w.must("alerts", "history"), "Refused", "fired", "resolved")
	contains(t, w.must("alerts", "show", "ServiceDown"), "of warren, severity page", "Nobody answers for the contracts", "warren_fleet_wanted_instances > 0 unless", "for 30s")
	contains(t, w.must("alerts", "show", "Refused", "--json"), `"name": "Refused"`, `"severity": "ticket"`, `"alerts": []`)
	w.refused("no alert is called Nothing", "alerts", "show", "Nothing")
	w.refused("reason", "alerts", "silence", "alertname=Refused")
	w.refused("no matcher such as", "alerts", "silence", "Refused", "--reason", "r")
	contains(t, w.must("alerts", "silence", "alertname=Refused", "service!=x", "--for", "2h", "--reason", "a test"), "unsilence")
	silences := ask(t, w, &observev1.ListSilencesResponse{}, "alerts", "silences").GetSilences()
	if len(silences) != 1 || silences[0].GetReason() != "a test" || len(silences[0].GetMatchers()) != 2 {
		t.Fatalf("silences: %v", silences)
	}
	contains(t, w.must("alerts", "silences"), "a test", "alertname=Refused service!=x")
	contains(t, w.must("alerts", "unsilence", silences[0].GetId()), "ended")
	w.refused("no such silence", "alerts", "unsilence", silences[0].GetId())
}

func (w *workshop) commandsOfMetrics(t *testing.T) {
	t.Helper()
	contains(t, w.must("metrics", "targets"), "greeting/1", "up", "/metrics")
	contains(t, w.must("metrics", "query", "up"), `up{`, `service="greeting"`, `environment="local"`)
	if out := w.must("metrics", "query", "1 + 1"); strings.TrimSpace(out) != "2" {
		t.Errorf("1 + 1 is %q", out)
	}
	contains(t, w.must("metrics", "range", "--since", "1m", "--step", "1s", `up{service="warren"}`), "TIME", `instance="warren"`)
	contains(t, w.must("metrics", "labels"), "service", "rpc_method")
	contains(t, w.must("metrics", "labels", "__name__", "--match", `{instance="warren"}`), "warren_fleet_instances", "etcd_disk_wal_fsync_duration_seconds_bucket", "prometheus_tsdb_head_series")
	w.refused("invalid query", "metrics", "query", "sum(")
	contains(t, w.must("events"), "EVENT", "PUBLISHED", "OUTBOX OF")
	contains(t, w.must("events", "--json"), `"flows": []`, `"outboxes": []`)
}
