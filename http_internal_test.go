package warren

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	dto "github.com/prometheus/client_model/go"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/gowarren/warren/auth"
	"github.com/gowarren/warren/internal/names"
	"github.com/gowarren/warren/telemetry"
)

// site is a service of plain HTTP, and what is seen of it.
type site struct {
	*httpServer
	t     testing.TB
	tel   *telemetry.Telemetry
	spans *tracetest.InMemoryExporter
}

func newSite(t testing.TB, opts telemetry.Options) *site {
	t.Helper()
	s := &site{t: t, spans: tracetest.NewInMemoryExporter()}
	opts.Service, opts.Exporter, opts.Output = "site", s.spans, io.Discard
	opts.Slow = func() time.Duration { return 0 } // a machine that is busy is no reason to record
	var err error
	if s.tel, err = telemetry.Open(context.Background(), opts); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.tel.Close(context.Background()) })
	secret := sha256.Sum256([]byte("a secret that guards nothing but this test"))
	key, err := auth.NewServiceKey(secret[:])
	if err != nil {
		t.Fatal(err)
	}
	s.httpServer = newHTTPServer(s.tel, key)
	return s
}

func (s *site) on(pattern string, h http.HandlerFunc) { s.handle(pattern, h) }

// listens returns the address under which the site is served.
func (s *site) listens() string {
	server := httptest.NewServer(s.httpServer)
	s.t.Cleanup(server.Close)
	return server.URL
}

func (s *site) families() []*dto.MetricFamily {
	s.t.Helper()
	all, err := s.tel.Metrics().Gather()
	if err != nil {
		s.t.Fatal(err)
	}
	return all
}

// counted is how many requests ended how, by "method route status error".
func (s *site) counted() map[string]uint64 {
	out := map[string]uint64{}
	for _, f := range s.families() {
		if f.GetName() != "http_server_request_duration_seconds" {
			continue
		}
		for _, m := range f.GetMetric() {
			l := map[string]string{}
			for _, pair := range m.GetLabel() {
				l[pair.GetName()] = pair.GetValue()
			}
			name := fmt.Sprintf("%s %q %s %s", l["http_request_method"], l["http_route"], l["http_response_status_code"], l["error_type"])
			out[strings.TrimSpace(name)] += m.GetHistogram().GetSampleCount()
		}
	}
	return out
}

// active is how many requests are under way.
func (s *site) active() (n float64) {
	for _, f := range s.families() {
		if f.GetName() == "http_server_active_requests" {
			for _, m := range f.GetMetric() {
				n += m.GetGauge().GetValue()
			}
		}
	}
	return n
}

// recorded are the spans so far.
func (s *site) recorded() tracetest.SpanStubs {
	s.t.Helper()
	if err := s.tel.Flush(context.Background()); err != nil {
		s.t.Fatal(err)
	}
	return s.spans.GetSpans()
}

// ask sends a request, and returns the answer's status; 0: there was none.
func ask(t *testing.T, method, url string, header ...string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	r.Close = true // what goes wrong on a connection of its own is not sent again
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return 0
	}
	defer func() { _ = resp.Body.Close() }()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return 0
	}
	return resp.StatusCode
}

func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for !is() {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			t.Fatalf("waited for %s", what)
		}
	}
}

func says(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }
}

func TestPlainHTTPIsCounted(t *testing.T) {
	s := newSite(t, telemetry.Options{})
	s.on("GET /things/{id}", says("a thing"))
	s.on("/any", says("anything"))
	s.on("GET /silent", func(http.ResponseWriter, *http.Request) {})
	s.on("GET /tea", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusTeapot)
	})
	s.on("GET /broken", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "it is", http.StatusBadGateway) })
	s.on("GET /panic", func(http.ResponseWriter, *http.Request) { panic("a bug") })
	s.on("GET /late-panic", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "it began well")
		panic("a bug")
	})
	s.on("GET /abort", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	inner := http.NewServeMux()
	inner.HandleFunc("GET /inner/{secret}", says("inside"))
	s.handle("/inner/", inner)
	s.on("GET /file", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, "http_internal_test.go") })
	s.on("GET /no-file", func(w http.ResponseWriter, _ *http.Request) {
		if _, err := io.Copy(w, iotest.ErrReader(errors.New("the disk is broken"))); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	s.on("GET /healthz", says("well"))
	url := s.listens()
	for range 2 {
		for request, want := range map[string]int{
			"GET /things/7": 200, "GET /things/8": 200, "HEAD /things/9": 200, "POST /things/7": 405, "GET /nothing": 404,
			"POST /any": 200, "BREW /any": 200, "GET /silent": 200, "GET /tea": 418, "GET /broken": 502, "GET /panic": 0, "GET /late-panic": 0,
			"GET /abort": 0, "GET /inner/7": 200, "GET /inner": 307, "GET /file": 200, "GET /no-file": 500, "GET /healthz": 200, "GET /livez": 404,
		} {
			method, path, _ := strings.Cut(request, " ")
			if got := ask(t, method, url+path); got != want {
				t.Errorf("%s: %d, want %d", request, got, want)
			}
		}
	}
	want := map[string]uint64{
		`GET "/things/{id}" 200`: 4, `HEAD "/things/{id}" 200`: 2, `POST "" 405`: 2, `GET "" 404`: 2,
		`POST "/any" 200`: 2, `_OTHER "/any" 200`: 2, `GET "/silent" 200`: 2, `GET "/tea" 418`: 2, `GET "/broken" 502 502`: 2,
		`GET "/panic" 500 500`: 2, `GET "/late-panic" 500 500`: 2, `GET "/abort" 500 500`: 2,
		`GET "/inner/" 200`: 2, `GET "/inner/" 307`: 2, `GET "/file" 200`: 2, `GET "/no-file" 500 500`: 2,
	}
	until(t, "the end of all requests", func() bool { return s.active() == 0 })
	if got := s.counted(); !maps.Equal(got, want) {
		t.Errorf("counted %v\nwant    %v", got, want)
	}
	register, err := names.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, wrong := range register.Check(s.families()) {
		t.Error(wrong)
	}
}

// A panic is counted where it happened, like one in a call, from the first one on; that
// an answer is given up on purpose is none.
func TestPanicsOfPlainHTTPAreCounted(t *testing.T) {
	s := newSite(t, telemetry.Options{})
	s.on("GET /well", says("well"))
	s.on("GET /things/{id}", func(http.ResponseWriter, *http.Request) { panic("a bug") })
	s.on("GET /abort", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	s.on("GET /healthz", func(http.ResponseWriter, *http.Request) { panic("another") })
	counted := func() map[string]float64 {
		out := map[string]float64{}
		for _, f := range s.families() {
			for _, m := range f.GetMetric() {
				if f.GetName() == "warren_http_panics_total" {
					out[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
				}
			}
		}
		return out
	}
	want := map[string]float64{"": 0, "/well": 0, "/things/{id}": 0, "/abort": 0, "/healthz": 0}
	if got := counted(); !maps.Equal(got, want) {
		t.Errorf("before anybody came: %v, want %v", got, want)
	}
	url := s.listens()
	for _, path := range []string{"/well", "/things/7", "/things/8", "/abort", "/healthz", "/missing"} {
		ask(t, http.MethodGet, url+path)
	}
	until(t, "the end of all requests", func() bool { return s.active() == 0 })
	want["/things/{id}"], want["/healthz"] = 2, 1
	if got := counted(); !maps.Equal(got, want) {
		t.Errorf("counted %v, want %v", got, want)
	}
}

// An answer that goes on for as long as somebody listens takes until it begins.
func TestStreamsOfPlainHTTPTakeUntilTheyBegin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, telemetry.Options{})
		for path, kind := range map[string]string{"/live": "text/event-stream; charset=utf-8", "/lines": "application/x-ndjson", "/page": "text/html"} {
			s.on("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
				time.Sleep(time.Second)
				w.Header().Set("Content-Type", kind)
				w.WriteHeader(http.StatusOK)
				time.Sleep(time.Minute)
				_, _ = io.WriteString(w, "more")
			})
			s.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, path, nil))
		}
		took := map[string]float64{}
		for _, f := range s.families() {
			for _, m := range f.GetMetric() {
				for _, l := range m.GetLabel() {
					if f.GetName() == "http_server_request_duration_seconds" && l.GetName() == "http_route" {
						took[l.GetValue()] = m.GetHistogram().GetSampleSum()
					}
				}
			}
		}
		if want := map[string]float64{"/live": 1, "/lines": 1, "/page": 61}; !maps.Equal(took, want) {
			t.Errorf("they took %v, want %v", took, want)
		}
	})
}

// What clients make up becomes no series: not their paths, also where net/http
// gives them out as patterns, nor their methods.
func TestAFloodOfPathsIsOneSeries(t *testing.T) {
	s := newSite(t, telemetry.Options{})
	s.on("/tree/{name}/", says("a tree"))
	const many = 500
	for i := range many {
		for _, path := range []string{"/unknown/%d", "/tree/%d", "/tree/%d//twice"} {
			path = fmt.Sprintf(path, i)
			for _, method := range []string{http.MethodGet, http.MethodConnect, fmt.Sprint("METHOD", i)} {
				s.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(method, path, nil))
			}
		}
	}
	var sum uint64
	for name, n := range s.counted() {
		sum += n
		if strings.ContainsAny(name[strings.Index(name, `"`):strings.LastIndex(name, `"`)], "0123456789") {
			t.Errorf("a path became a label: %s", name)
		}
	}
	if series := len(s.counted()); series > 8 || sum != 9*many {
		t.Errorf("%d requests in %d series: %v", sum, series, s.counted())
	}
}

func TestEventsAreSentAsTheyHappen(t *testing.T) {
	s := newSite(t, telemetry.Options{})
	next := make(chan string)
	for pattern, flush := range map[string]func(http.ResponseWriter) error{
		"GET /controller": func(w http.ResponseWriter) error { return http.NewResponseController(w).Flush() },
		"GET /flusher": func(w http.ResponseWriter) error {
			w.(http.Flusher).Flush()
			return nil
		},
	} {
		s.on(pattern, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			for event := range next {
				if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(time.Minute)); err != nil {
					t.Errorf("set the deadline: %v", err)
				}
				_, _ = fmt.Fprintf(w, "data: %s\n\n", event)
				if err := flush(w); err != nil {
					t.Errorf("flush: %v", err)
				}
				if event == "last" {
					return
				}
			}
		})
	}
	url := s.listens()
	for _, path := range []string{"/controller", "/flusher"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		go func() { next <- "first" }()
		resp, err := http.DefaultClient.Do(r) // there is an answer before the end
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(resp.Body)
		if line, err := lines.ReadString('\n'); err != nil || line != "data: first\n" {
			t.Fatalf("%s: %q, %v", path, line, err)
		}
		if n := s.active(); n != 1 {
			t.Errorf("%s: %v requests are under way", path, n)
		}
		next <- "last"
		if rest, err := io.ReadAll(lines); err != nil || !strings.Contains(string(rest), "data: last") {
			t.Errorf("%s: %q, %v", path, rest, err)
		}
		_ = resp.Body.Close()
	}
	until(t, "the end of the streams", func() bool { return s.active() == 0 })
	if got := s.counted(); got[`GET "/controller" 200`] != 1 || got[`GET "/flusher" 200`] != 1 {
		t.Errorf("counted %v", got)
	}
}

func TestAConnectionCanBeTakenOver(t *testing.T) {
	s := newSite(t, telemetry.Options{})
	s.on("GET /talk", func(w http.ResponseWriter, _ *http.Request) {
		conn, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: talk\r\n\r\nhello")
		_ = rw.Flush()
	})
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.listens()+"/talk", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "talk")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if text, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != 101 || string(text) != "hello" {
		t.Errorf("%d %q, %v", resp.StatusCode, text, err)
	}
	until(t, "the request's end", func() bool { return s.counted()[`GET "/talk" 101`] == 1 })
}

// Who does not wait for the answer is no error of the service.
func TestWhoLeavesIsNoError(t *testing.T) {
	s := newSite(t, telemetry.Options{Sample: func() float64 { return 0 }})
	begun := make(chan struct{})
	s.on("GET /slow", func(_ http.ResponseWriter, r *http.Request) {
		close(begun)
		<-r.Context().Done()
	})
	ctx, leave := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.listens()+"/slow", nil)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		<-begun
		leave()
	}()
	if resp, err := http.DefaultClient.Do(r); err == nil {
		_ = resp.Body.Close()
		t.Error("there was an answer")
	}
	until(t, "the request's end", func() bool { return s.counted()[`GET "/slow" 499`] == 1 })
	if n := len(s.recorded()); n != 0 {
		t.Errorf("%d spans were recorded", n)
	}
}

const (
	callersTrace = "0af7651916cd43dd8448eb211c80319c"
	callersSpan  = "b7ad6b7169203331"
)

func TestPlainHTTPGoesOnWithTheTraceOfTheSystem(t *testing.T) {
	for name, sender := range map[string]struct {
		signed   func(*auth.ServiceKey) string
		keyless  bool
		recorded bool
	}{
		"the gateway":                   {signed: func(k *auth.ServiceKey) string { s, _ := k.Sign("gateway"); return s }, recorded: true},
		"a stranger":                    {signed: func(*auth.ServiceKey) string { return "" }},
		"a forger":                      {signed: func(*auth.ServiceKey) string { return "e30.e30.e30" }},
		"anybody, without a secret yet": {signed: func(*auth.ServiceKey) string { return "" }, keyless: true, recorded: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, telemetry.Options{Sample: func() float64 { return 0 }})
			header := []string{"Traceparent", "00-" + callersTrace + "-" + callersSpan + "-01", "X-Request-Id", "a-request"}
			if signed := sender.signed(s.key); signed != "" {
				header = append(header, "Warren-Service", signed)
			}
			if sender.keyless {
				s.key = nil
			}
			s.on("GET /page/{n}", func(_ http.ResponseWriter, r *http.Request) {
				if got := telemetry.TraceID(r.Context()); got != callersTrace {
					t.Errorf("the trace is %s", got)
				}
				if r.Header.Get("Warren-Service") != "" {
					t.Error("a handler is shown what others could be deceived with")
				}
			})
			if got := ask(t, "GET", s.listens()+"/page/7", header...); got != 200 {
				t.Fatal(got)
			}
			spans := s.recorded()
			if !sender.recorded {
				if len(spans) != 0 {
					t.Errorf("a stranger had %d spans recorded", len(spans))
				}
				return
			}
			if len(spans) != 1 {
				t.Fatalf("%d spans", len(spans))
			}
			one := spans[0]
			if one.Name != "GET /page/{n}" || one.Parent.SpanID().String() != callersSpan || one.Parent.TraceID().String() != callersTrace || !one.Parent.IsRemote() {
				t.Errorf("%s is a child of %v", one.Name, one.Parent)
			}
			wantAttributes(t, one, map[string]string{
				"http.request.method": "GET", "http.route": "/page/{n}", "http.response.status_code": "200", "url.path": "/page/7", "url.scheme": "http",
				"warren.request.id": "a-request",
			})
		})
	}
}

func wantAttributes(t *testing.T, span tracetest.SpanStub, want map[string]string) {
	t.Helper()
	got := map[string]string{}
	for _, a := range span.Attributes {
		got[string(a.Key)] = a.Value.String()
	}
	for key, value := range want {
		if got[key] != value {
			t.Errorf("%s of %s is %q, want %q", key, span.Name, got[key], value)
		}
	}
}

// What goes wrong is recorded although nobody chose it, under its own name.
func TestPlainHTTPIsRecordedLate(t *testing.T) {
	s := newSite(t, telemetry.Options{Sample: func() float64 { return 0 }})
	s.on("GET /well", says("well"))
	s.on("GET /missing", func(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) })
	s.on("GET /broken", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	s.on("GET /panic", func(http.ResponseWriter, *http.Request) { panic("a bug") })
	url := s.listens()
	for _, path := range []string{"/well", "/missing", "/broken", "/panic"} {
		ask(t, "GET", url+path)
	}
	until(t, "the end of all requests", func() bool { return s.active() == 0 })
	want := map[string][2]string{"GET /broken": {"answered 503", "503"}, "GET /panic": {"panic: a bug", "500"}}
	spans := s.recorded()
	if len(spans) != len(want) {
		t.Fatalf("%d spans were recorded, want %d", len(spans), len(want))
	}
	for _, one := range spans {
		if one.Status.Code != codes.Error || one.Status.Description != want[one.Name][0] {
			t.Errorf("%s ended %+v", one.Name, one.Status)
		}
		wantAttributes(t, one, map[string]string{"http.response.status_code": want[one.Name][1], "warren.sampled.reason": "error", "http.route": strings.TrimPrefix(one.Name, "GET ")})
	}
}

// nowhere is where a benchmark's answers go.
type nowhere struct{ header http.Header }

func (w *nowhere) Header() http.Header               { return w.header }
func (w *nowhere) Write(b []byte) (int, error)       { return len(b), nil }
func (w *nowhere) WriteString(s string) (int, error) { return len(s), nil }
func (w *nowhere) WriteHeader(int)                   {}

// BenchmarkPlainHTTP is what a request costs beside its handler: the ServeMux
// alone, and with all that is seen.
func BenchmarkPlainHTTP(b *testing.B) {
	tel, err := telemetry.Open(context.Background(), telemetry.Options{Service: "site", Output: io.Discard})
	if err != nil {
		b.Fatal(err)
	}
	seen := newHTTPServer(tel, nil)
	page := says("a page")
	seen.handle("GET /page/{n}", page)
	bare := http.NewServeMux()
	bare.Handle("GET /page/{n}", page)
	for _, one := range []struct {
		name    string
		handler http.Handler
	}{{"mux", bare}, {"seen", seen}} {
		b.Run(one.name, func(b *testing.B) {
			r := httptest.NewRequest(http.MethodGet, "/page/7", nil)
			w := &nowhere{header: http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				one.handler.ServeHTTP(w, r)
			}
		})
	}
}
