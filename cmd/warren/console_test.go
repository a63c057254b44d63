package main

import (
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
	"github.com/gowarren/warren/internal/console"
)

// TestConsoleTokens makes tokens for people before there is a system, lists them
// and takes them away.
func TestConsoleTokens(t *testing.T) {
	w := &workshop{t: t, dir: t.TempDir()}
	if out := w.must("console", "tokens"); strings.Count(out, "\n") != 1 {
		t.Errorf("nobody: %s", out)
	}
	first := strings.TrimSpace(w.must("console", "token", "ada", "--role", "operator"))
	w.must("console", "token", "grace", "--valid", "1h")
	second := strings.TrimSpace(w.must("console", "token", "ada", "--role", "admin"))
	if !strings.HasPrefix(second, "warren-") || first == second {
		t.Errorf("tokens: %s, %s", first, second)
	}
	contains(t, w.must("console", "tokens"), "NAME", "grace", "viewer", "ada", "admin")
	all := decode[[]console.Token](t, w.must("console", "tokens", "--json"))
	if len(all) != 2 || all[1].Name != "ada" || all[1].Role != "admin" || time.Until(all[1].Expires) < 24*time.Hour || time.Until(all[0].Expires) > time.Hour {
		t.Errorf("tokens: %+v", all)
	}
	path := filepath.Join(w.dir, ".warren", "console-tokens.json")
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v, %v", info, err)
	}
	if text := w.read(".warren/console-tokens.json"); strings.Contains(text, second) {
		t.Errorf("a token is kept: %s", text)
	}
	w.must("console", "revoke", "ada")
	if out := w.must("console", "tokens"); strings.Contains(out, "ada") || !strings.Contains(out, "grace") {
		t.Errorf("after revoke: %s", out)
	}
	w.refused("nobody is called ada", "console", "revoke", "ada")
	w.refused(`no role "king"; there are viewer, operator, admin`, "console", "token", "ada", "--role", "king")
	w.refused("a time for which it is valid", "console", "token", "ada", "--valid", "-1h")
	kept := w.must("audit")
	contains(t, kept, "give token", "ada as admin", "grace as viewer", "revoke token", author(), "cli", "nobody is called ada")
	if strings.Contains(kept, second) {
		t.Errorf("a token is in the audit: %s", kept)
	}
}

// consolePages are those of the console, as far as a small system has them.
// Places in braces are filled in by what the system has.
var consolePages = []string{
	"/overview", "/topology", "/services", "/services/greeting", "/services/greeting/1", "/services/greeting/policies", "/alerts", "/alerts/Watchdog", "/alerts/ErrorBudgetBurnsFast", "/traces", "/traces/{trace}",
	"/logs", "/metrics", "/transactions", "/transactions/{gid}", "/contracts", "/contracts/" + contractName, "/settings",
	"/settings/rpc.timeout", "/settings-history", "/audit", "/events", "/experiments", "/experiments?fault=latency&service=greeting&for=1m",
}

// TestConsole shows a real system in the console: whatever the system has, each
// page has, too.
func TestConsole(t *testing.T) {
	w := newWorkshop(t)
	w.must("new", "service", "greeting")
	w.edit("warren.yaml", "  config: embedded\n", "  config: embedded\n  transactions: embedded\n  traces: embedded\n")
	w.edit("warren.yaml", "gateway:", "settings:\n  metrics.scrape.interval: 5m\n  trace.sample: 1\n\ngateway:")
	u := w.up()
	ready := time.Now()
	at := "http://" + u.GetSystem().GetConsole()
	s := &story{workshop: w, gateway: "http://" + u.GetSystem().GetGateway()}
	s.get(t, "/v1/greeting/greetings/Ada")
	s.charted(t, at+"/services/greeting", ready)
	fill := strings.NewReplacer("{trace}", s.someTrace(t), "{gid}", url.PathEscape(s.someTransaction(t)))
	for _, path := range consolePages {
		s.shows(t, at+fill.Replace(path))
	}
	t.Run("dead letters", func(t *testing.T) { // of which nobody here has any: the page says so
		resp, body := fetch(t, http.MethodGet, at+"/letters", nil)
		if resp.StatusCode >= http.StatusInternalServerError && resp.StatusCode != http.StatusNotImplemented || !strings.Contains(body, "</html>") {
			t.Errorf("%s\n%s", resp.Status, body)
		}
	})
	t.Run("profiles", func(t *testing.T) { s.profiled(t, at) })
	t.Run("policies", s.policies)
	t.Run("compared", s.compared)
	t.Run("strangers", func(t *testing.T) { strangers(t, at) })
	t.Run("topology", s.topology)
	t.Run("act", func(t *testing.T) { s.restartedByConsole(t, at) })
	t.Run("audit", func(t *testing.T) { s.auditedTogether(t, at) })
	if err := u.end(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
}

func fetch(t *testing.T, method, to string, change func(*http.Request)) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, to, strings.NewReader("reason=to+see"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if change != nil {
		change(r)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

// shows looks at a page: all of it is there, and nobody else can use it.
func (s *story) shows(t *testing.T, page string) {
	t.Helper()
	resp, body := fetch(t, http.MethodGet, page, nil)
	if resp.StatusCode != http.StatusOK || !strings.Contains(body, "<h1") || !strings.Contains(body, "</html>") {
		t.Errorf("%s: %s\n%s", page, resp.Status, body)
	}
	if _, gap, missing := strings.Cut(body, "can't be shown"); missing {
		t.Errorf("%s has a gap%.200s", page, gap)
	}
	for header, want := range map[string]string{
		"Content-Security-Policy": "frame-ancestors 'none'", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin",
		"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin", "Cache-Control": "no-store",
	} {
		if got := resp.Header.Get(header); !strings.Contains(got, want) {
			t.Errorf("%s: %s is %q", page, header, got)
		}
	}
}

// charted waits for data in all charts of a service that was called once: they do
// not wait for the time between two scrapes, which is longer than any test.
func (s *story) charted(t *testing.T, page string, ready time.Time) {
	t.Helper()
	eventually(t, "data in all charts", func() bool {
		_, body := fetch(t, http.MethodGet, page, nil)
		return strings.Contains(body, "Duration, p95") && !strings.Contains(body, "Nothing measured yet")
	})
	t.Logf("%s after the system was ready, all charts have data", time.Since(ready).Round(time.Millisecond))
}

func (s *story) someTrace(t *testing.T) (id string) {
	t.Helper()
	eventually(t, "a trace of the greeting", func() bool {
		found := ask(t, s.workshop, &observev1.SearchTracesResponse{}, "traces", "--service", "greeting")
		for _, one := range found.GetTraces() {
			id = one.GetTraceId()
		}
		return id != ""
	})
	return id
}

// someTransaction runs a saga that does nothing but look at itself.
func (s *story) someTransaction(t *testing.T) (gid string) {
	t.Helper()
	gid = "visit/1"
	request, err := proto.Marshal(&txnv1.GetRequest{Gid: gid})
	if err != nil {
		t.Fatal(err)
	}
	saga, err := protojson.Marshal(&txnv1.SubmitRequest{Wait: true, Saga: &txnv1.Saga{Gid: gid, Name: "visit", Steps: []*txnv1.Step{{
		Name: "look", Method: txnv1.CoordinatorService_Get_FullMethodName, Request: request, Pivot: true, Retryable: true,
	}}}})
	if err != nil {
		t.Fatal(err)
	}
	contains(t, s.must("call", txnv1.CoordinatorService_Submit_FullMethodName, string(saga)), gid)
	return gid
}

func strangers(t *testing.T, at string) {
	restart := at + "/services/greeting/restart"
	for _, c := range []struct {
		name, method, to string
		change           func(*http.Request)
		want             int
	}{
		{"another name", http.MethodGet, at + "/overview", func(r *http.Request) { r.Host = "evil.example:7070" }, http.StatusMisdirectedRequest},
		{"another name acts", http.MethodPost, restart, func(r *http.Request) { r.Host = "evil.example" }, http.StatusMisdirectedRequest},
		{"another site acts", http.MethodPost, restart, func(r *http.Request) { r.Header.Set("Origin", "http://evil.example") }, http.StatusForbidden},
		{"another site, as browsers say it", http.MethodPost, restart, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }, http.StatusForbidden},
	} {
		if resp, body := fetch(t, c.method, c.to, c.change); resp.StatusCode != c.want {
			t.Errorf("%s: %s\n%s", c.name, resp.Status, body)
		}
	}
}

// restartedByConsole does what strangers could not, and finds it in the audit.
func (s *story) restartedByConsole(t *testing.T, at string) {
	before := s.instances("greeting")[0]
	if before.GetRestarts() != 0 {
		t.Errorf("strangers have restarted it: %v", before)
	}
	resp, body := fetch(t, http.MethodPost, at+"/services/greeting/restart", nil)
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("%s\n%s", resp.Status, body)
	}
	if after := s.instances("greeting")[0]; after.GetPid() == before.GetPid() {
		t.Errorf("it runs as before: %v", after)
	}
	_, body = fetch(t, http.MethodGet, at+"/audit", nil)
	contains(t, body, "restart", "greeting", "to see")
}
