package admin_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"runtime/trace"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/internal/admin"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// get asks a real server, because a recorder has no connection that ends.
func get(t *testing.T, opts admin.Options, path string, header ...string) (int, http.Header, string) {
	t.Helper()
	server := httptest.NewServer(admin.New(opts))
	defer server.Close()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := server.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, response.Header, string(body)
}

func TestPages(t *testing.T) {
	metrics := prometheus.NewRegistry()
	metrics.MustRegister(prometheus.NewCounter(prometheus.CounterOpts{Name: "shop_orders_total", Help: "Orders."}))
	opts := admin.Options{Metrics: metrics}
	for path, want := range map[string]struct {
		status   int
		contains string
	}{
		"/":                                {200, "/debug/policies"},
		"/healthz":                         {200, "ok"},
		"/readyz":                          {200, `"ready": true`},
		"/metrics":                         {200, "shop_orders_total 0"},
		"/debug/policies":                  {200, "{}"},
		"/debug/goroutines":                {200, "admin_test.TestPages"},
		"/debug/pprof/":                    {200, "/debug/pprof/heap?debug=1"},
		"/debug/pprof/heap?debug=1&gc=1":   {200, "heap profile"},
		"/debug/pprof/allocs":              {200, "\x1f\x8b"},
		"/debug/pprof/profile?seconds=.05": {200, "\x1f\x8b"},
		"/debug/pprof/mutex?seconds=.05":   {200, "\x1f\x8b"},
		"/debug/pprof/block?seconds=.05":   {200, "\x1f\x8b"},
		"/debug/pprof/allocs?seconds=.05":  {200, "\x1f\x8b"},
		"/debug/pprof/block?seconds=x":     {400, "seconds is a number up to 300"},
		"/debug/pprof/trace?seconds=.05":   {200, "trace"},
		"/debug/pprof/cmdline":             {404, "unknown profile"},
		"/debug/pprof/heap?seconds=3":      {400, "go tool pprof -base"},
		"/debug/pprof/heap?debug=x":        {400, "debug is a number"},
		"/debug/pprof/profile?seconds=x":   {400, "seconds is a number up to 300"},
		"/debug/pprof/profile?seconds=1e9": {400, "seconds is a number up to 300"},
		"/elsewhere":                       {404, "not found"},
	} {
		t.Run(path, func(t *testing.T) {
			status, header, body := get(t, opts, path)
			if status != want.status || !strings.Contains(body, want.contains) {
				t.Errorf("%d %.200q, want %d with %q", status, body, want.status, want.contains)
			}
			if header.Get("Cache-Control") != "no-store" {
				t.Error("the answer may be cached")
			}
		})
	}
}

func TestReadyTellsWhyNot(t *testing.T) {
	status, _, body := get(t, admin.Options{Ready: func(ctx context.Context) []admin.Check {
		if _, bounded := ctx.Deadline(); !bounded {
			t.Error("a check may hang for ever")
		}
		return []admin.Check{{Name: "database", OK: true}, {Name: "registry", Reason: "no first snapshot yet"}}
	}}, "/readyz")
	want := `{"ready":false,"checks":[{"name":"database","ok":true},{"name":"registry","ok":false,"reason":"no first snapshot yet"}]}`
	if got := compact(t, body); status != http.StatusServiceUnavailable || got != want {
		t.Errorf("%d %s, want 503 %s", status, got, want)
	}
}

func TestPoliciesShowWhatIsInForce(t *testing.T) {
	settings, err := config.New(config.Options{File: config.FileLayer{Entries: []config.FileEntry{
		{Name: "rpc.timeout", Value: "3s", Position: "warren.yaml:7:16"},
		{Name: "payment.key", Value: "hunter2", Position: "warren.yaml:8:16"},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	defer settings.Close()
	timeout := config.Duration("rpc.timeout", 2*time.Second, 0, time.Minute, "How long.")
	config.Watch(settings, timeout, config.Scope{})
	opts := admin.Options{
		Policies: func() any { return settings.InForce() },
		Sections: map[string]func() any{"breakers": func() any { return map[string]string{"catalog": "closed"} }},
	}
	status, header, body := get(t, opts, "/debug/policies")
	var got struct {
		Policies []config.Entry    `json:"policies"`
		Breakers map[string]string `json:"breakers"`
	}
	if err := json.Unmarshal([]byte(body), &got); err != nil || status != 200 || header.Get("Content-Type") != "application/json" {
		t.Fatalf("%d %s: %v", status, body, err)
	}
	if len(got.Policies) != 1 || got.Policies[0].Value != "3s" || got.Policies[0].Position != "warren.yaml:7:16" || got.Breakers["catalog"] != "closed" {
		t.Errorf("got %+v", got)
	}
	if strings.Contains(body, "hunter2") {
		t.Error("a secret is shown")
	}
}

func TestOneSectionAlone(t *testing.T) {
	opts := admin.Options{
		Policies: func() any { return "the policies" },
		Sections: map[string]func() any{
			"breakers": func() any { return "closed" },
			"large":    func() any { t.Error("nobody asked for this section"); return nil },
		},
	}
	for section, want := range map[string]string{"breakers": `{"breakers":"closed"}`, "policies": `{"policies":"the policies"}`} {
		status, _, body := get(t, opts, "/debug/policies/"+section)
		if got := strings.Join(strings.Fields(strings.ReplaceAll(body, `": "`, `":"`)), ""); status != 200 || got != strings.ReplaceAll(want, " ", "") {
			t.Errorf("%s: %d %s", section, status, body)
		}
	}
	if status, _, body := get(t, opts, "/debug/policies/braekers"); status != http.StatusNotFound || !strings.Contains(body, "breakers, large, policies") {
		t.Errorf("%d %s", status, body)
	}
}

func TestUnmarshallableSectionIsAnError(t *testing.T) {
	opts := admin.Options{Sections: map[string]func() any{"bad": func() any { return func() {} }}}
	if status, _, _ := get(t, opts, "/debug/policies"); status != http.StatusInternalServerError {
		t.Errorf("status %d", status)
	}
}

func TestOtherSitesReadNothing(t *testing.T) {
	if status, _, _ := get(t, admin.Options{}, "/healthz", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "cors"); status != http.StatusForbidden {
		t.Errorf("a page of another site got %d", status)
	}
	if status, _, _ := get(t, admin.Options{}, "/healthz", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"); status != http.StatusOK {
		t.Errorf("following a link got %d", status)
	}
}

func TestNothingIsChanged(t *testing.T) {
	server := httptest.NewServer(admin.New(admin.Options{}))
	defer server.Close()
	response, err := server.Client().Post(server.URL+"/healthz", "text/plain", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST answers %d", response.StatusCode)
	}
}

func TestNothingOnTheDefaultMux(t *testing.T) {
	recorder := httptest.NewRecorder()
	http.DefaultServeMux.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/debug/pprof/heap", nil))
	if recorder.Code != http.StatusNotFound {
		t.Errorf("http.DefaultServeMux answers %d: somebody imports net/http/pprof", recorder.Code)
	}
}

func TestSecondRecordingIsRefused(t *testing.T) {
	if err := trace.Start(io.Discard); err != nil {
		t.Fatal(err)
	}
	defer trace.Stop()
	if status, _, body := get(t, admin.Options{}, "/debug/pprof/trace?seconds=60"); status != http.StatusConflict || !strings.Contains(body, "record trace: ") {
		t.Errorf("%d %s", status, body)
	}
}

func TestRecordingEndsWithItsReader(t *testing.T) {
	server := httptest.NewServer(admin.New(admin.Options{}))
	defer server.Close() // waits for the handler
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/debug/pprof/trace?seconds=60", nil)
		if err != nil {
			t.Error(err)
			return
		}
		if response, err := server.Client().Do(request); err == nil {
			_, _ = io.Copy(io.Discard, response.Body)
			_ = response.Body.Close()
		}
	}()
	eventually(t, trace.IsEnabled)
	cancel()
	<-done
	eventually(t, func() bool { return !trace.IsEnabled() })
}

// eventually waits for a condition that other goroutines bring about.
func eventually(t *testing.T, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !condition(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatal("condition not reached in 10 s")
		}
	}
}

func compact(t *testing.T, text string) string {
	t.Helper()
	var out bytes.Buffer
	if err := json.Compact(&out, []byte(text)); err != nil {
		t.Fatal(err)
	}
	return out.String()
}
