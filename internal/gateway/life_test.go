package gateway

import (
	"context"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/registry"
)

func TestRoutesAppearVanishAndHeal(t *testing.T) {
	w := newWorld(t, map[string]string{"rpc.wait": "10ms"})
	w.eventually("ready without services", func() bool { return w.gateway.Ready(context.Background()) == nil })
	if got := w.get("/v1/books/1"); got.status != 404 {
		t.Fatalf("%d", got.status)
	}
	stop := w.serve("a", w.library)
	w.eventually("the route works", func() bool { return w.get("/v1/books/1").status == 200 })
	stop()
	var gone answer
	w.eventually("the route says 503", func() bool { gone = w.get("/v1/books/1"); return gone.status == 503 })
	if gone.header.Get("Retry-After") == "" || gone.json(t)["reason"] == "" {
		t.Errorf("%v %s", gone.header, gone.body)
	}
	w.eventually("seen as not available", func() bool { r := w.gateway.Routes(); return len(r) > 0 && !r[0].Available })
	w.serve("b", &library{name: "b"})
	w.eventually("healed", func() bool { return w.get("/v1/books/1").status == 200 })
}

func TestAServiceThatNeverStarted(t *testing.T) {
	w := newWorld(t, nil)
	w.opts.Expected, w.opts.Client.Metrics = []string{"library", "shop"}, nil
	w.start()
	w.serve("a", w.library)
	w.eventually("the rest works", func() bool { return w.get("/v1/books/1").status == 200 })
	got := w.get("/v1/orders")
	if got.status != 503 || got.header.Get("Retry-After") == "" || !strings.Contains(got.body, "shop has not started") {
		t.Errorf("%d %s", got.status, got.body)
	}
}

func TestContractsSurviveARestart(t *testing.T) {
	w := newWorld(t, map[string]string{"rpc.wait": "10ms"})
	w.opts.Snapshot = filepath.Join(t.TempDir(), "contracts.json")
	w.opts.Client.Metrics = nil
	w.start()
	stop := w.serve("a", w.library)
	w.eventually("the route works", func() bool { return w.get("/v1/books/1").status == 200 })
	stop()
	w.start() // another gateway, before any service
	if got := w.get("/v1/books/1"); got.status != 503 || got.header.Get("Retry-After") == "" {
		t.Errorf("%d %s", got.status, got.body)
	}
	if got := w.get("/v1/nothing"); got.status != 404 {
		t.Errorf("%d", got.status)
	}
}

func TestPlainServices(t *testing.T) {
	w := newWorld(t, map[string]string{"gateway.limit.body": "1000"})
	backend := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "echo" {
			echo(rw)
			return
		}
		rw.Header().Set("X-Seen", strings.Join([]string{r.URL.Path, r.Header.Get("X-Forwarded-For"), r.Header.Get("X-User-Id"), r.Header.Get("X-Request-Id")}, "|"))
		_, _ = rw.Write([]byte("page"))
	}))
	defer backend.Close()
	in := registry.Instance{ID: "web", Service: "web", Weight: 1, Address: strings.TrimPrefix(backend.URL, "http://"), State: registry.Ready,
		Routes: []registry.Route{{Method: "GET", Pattern: "/pages/{name...}"}, {Method: "POST", Pattern: "/pages/{$}"}}}
	_ = w.engine.Put(context.Background(), in)
	w.eventually("the page is there", func() bool { return w.get("/pages/x").status == 200 })
	got := w.get("/pages/x", "X-User-Id", "root", "X-Forwarded-For", "6.6.6.6", "X-Request-Id", "r7")
	if got.body != "page" || got.header.Get("X-Seen") != "/pages/x|127.0.0.1||r7" {
		t.Errorf("%q %v", got.body, got.header)
	}
	if got := w.do("POST", "/pages/x", ""); got.status != 405 {
		t.Errorf("%d", got.status)
	}
	if got := w.do("POST", "/pages/", strings.Repeat("x", 2000)); got.status != 413 {
		t.Errorf("%d", got.status)
	}
	if got := raw(t, w, "GET /pages/x HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n", "ping"); !strings.HasPrefix(got, "HTTP/1.1 101") || !strings.HasSuffix(got, "ping") {
		t.Errorf("upgrade: %q", got)
	}
	_ = w.engine.Remove(context.Background(), "web", "web")
	w.eventually("503", func() bool { r := w.get("/pages/x"); return r.status == 503 && r.header.Get("Retry-After") != "" })
}

func TestPlainServicesMustBeginToAnswerInTime(t *testing.T) {
	w := newWorld(t, nil)
	c := w.centre()
	w.start()
	backend := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/pages/never" {
			<-r.Context().Done()
			return
		}
		_, _ = rw.Write([]byte("page"))
	}))
	defer backend.Close()
	_ = w.engine.Put(context.Background(), registry.Instance{ID: "web", Service: "web", Weight: 1, Address: strings.TrimPrefix(backend.URL, "http://"),
		State: registry.Ready, Routes: []registry.Route{{Method: "GET", Pattern: "/pages/{name...}"}}})
	w.eventually("the page is there", func() bool { return w.get("/pages/x").status == 200 })
	soon := "50ms" // the default, a minute, is longer than this test waits
	if _, err := c.Set(context.Background(), []config.Edit{{Name: "gateway.proxy.timeout", New: &soon}}, "ann", "a test"); err != nil {
		t.Fatal(err)
	}
	w.eventually("the setting is in force", func() bool { return w.gateway.proxy.transport.Load().ResponseHeaderTimeout == 50*time.Millisecond })
	if got := w.get("/pages/never"); got.status != 504 || got.json(t)["reason"] != "DEADLINE_EXCEEDED" {
		t.Errorf("%d %s", got.status, got.body)
	}
}

// echo speaks a protocol of its own: it sends back what it gets.
func echo(rw http.ResponseWriter) {
	conn, buffered, err := http.NewResponseController(rw).Hijack()
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }()
	_, _ = conn.Write([]byte("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"))
	var in [4]byte
	if _, err := buffered.Read(in[:]); err == nil {
		_, _ = conn.Write(in[:])
	}
}

func TestCORS(t *testing.T) {
	w := up(t, map[string]string{"gateway.cors.origins": "https://shop.example, http://localhost:3000"})
	get := func(origin string) http.Header { return w.get("/v1/books/1", "Origin", origin).header }
	if h := get("https://shop.example"); h.Get("Access-Control-Allow-Origin") != "https://shop.example" || h.Get("Vary") != "Origin" || h.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("%v", h)
	}
	for _, origin := range []string{"https://evil.example", "https://shop.example.evil.example", "http://shop.example", "null"} {
		if h := get(origin); h.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %v", origin, h)
		}
	}
	web := w.do("OPTIONS", "/library.v1.LibraryService/GetBook", "", "Origin", "https://shop.example", "Access-Control-Request-Method", "POST")
	if web.status != 204 || web.header.Get("Access-Control-Allow-Methods") != "OPTIONS, POST" {
		t.Errorf("%d %v", web.status, web.header)
	}
	if internal := w.do("OPTIONS", "/library.v1.LibraryService/Audit", ""); internal.status != 404 {
		t.Errorf("%d", internal.status)
	}
	pre := w.do("OPTIONS", "/v1/books", "", "Origin", "https://shop.example", "Access-Control-Request-Method", "POST")
	if pre.status != 204 || pre.header.Get("Access-Control-Allow-Methods") != "GET, HEAD, OPTIONS, POST" || pre.header.Get("Access-Control-Max-Age") != "600" {
		t.Errorf("%d %v", pre.status, pre.header)
	}
}

func TestAccessLogAndMetrics(t *testing.T) {
	w := up(t, nil)
	before := w.count("", "404")
	w.get("/v1/books/%22%0A", "User-Agent", "evil\"agent", "X-Request-Id", "bad id")
	w.get("/v1/books/42?secret=1")
	w.get("/random/path")
	w.eventually("logged", func() bool { return strings.Contains(w.log.String(), "/random/path") })
	lines := strings.Split(strings.TrimSpace(w.log.String()), "\n")
	last := lines[len(lines)-2]
	for _, want := range []string{`"route":"/v1/books/{isbn}"`, `"target":"/library.v1.LibraryService/GetBook"`, `"status":400`, `"method":"GET"`, `"client":"127.0.0.1"`, `"reason":"INVALID_REQUEST"`} {
		if !strings.Contains(last, want) {
			t.Errorf("%s is not in %s", want, last)
		}
	}
	if strings.Contains(w.log.String(), "secret=1") || strings.Contains(w.log.String(), "bad id") {
		t.Error("the query or a made-up id is in the log")
	}
	if w.count("", "404") != before+1 || w.count("/random/path", "404") != 0 {
		t.Error("a path without a route became a label")
	}
}

func TestALogThatCannotKeepUpCostsLines(t *testing.T) {
	m, err := newMetrics(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	stuck := make(chan struct{})
	l := newAccessLog(writerFunc(func(p []byte) (int, error) { <-stuck; return len(p), nil }), m.dropped)
	for i := range 2*accessQueue + 1000 { // of which the writer has taken a part at most once
		l.add(accessLine{path: strings.Repeat("x", 100) + strconv.Itoa(i)})
	}
	if n := counted(t, m.dropped); n == 0 {
		t.Error("no line was dropped, or none was counted")
	}
	close(stuck)
	l.close()
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestDocumentFollowsTheContracts(t *testing.T) {
	w := up(t, nil)
	got := w.get("/openapi.json")
	if got.status != 200 || got.json(t)["openapi"] != "3.1.0" || !strings.Contains(got.body, "/v1/books/{isbn}:borrow") || strings.Contains(got.body, "Audit") {
		t.Errorf("%d %.300s", got.status, got.body)
	}
	if again := w.get("/openapi.json", "If-None-Match", got.header.Get("ETag")); again.status != 304 {
		t.Errorf("%d", again.status)
	}
	if post := w.do("POST", "/openapi.json", "{}"); post.status != 405 {
		t.Errorf("%d", post.status)
	}
}
