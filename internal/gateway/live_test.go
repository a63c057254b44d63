package gateway

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/config/fileconfig"
	"github.com/gowarren/warren/rpc"
)

// centre gives the world settings that can be changed while it runs.
func (w *world) centre() *config.Centre {
	w.t.Helper()
	ctx := context.Background()
	d, err := fileconfig.Open(ctx, &url.URL{Scheme: "file", Path: filepath.Join(w.t.TempDir(), "settings.json")})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = d.Close() })
	s, err := config.New(config.Options{Driver: d, Service: "gateway", Definitions: append(Definitions(), rpc.Definitions()...)})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(s.Close)
	if err := s.Ready(ctx); err != nil {
		w.t.Fatal(err)
	}
	c, err := config.NewCentre(d, "local")
	if err != nil {
		w.t.Fatal(err)
	}
	w.opts.Client.Settings, w.opts.Client.Metrics = s, nil
	return c
}

func TestLimitsAreLive(t *testing.T) {
	w := newWorld(t, nil)
	c := w.centre()
	w.start()
	w.serve("a", w.library)
	w.eventually("the route works", func() bool { return w.get("/v1/books/1").status == 200 })
	set := func(scope config.Scope, name, value string) error {
		_, err := c.Set(context.Background(), []config.Edit{{Name: name, Scope: scope, New: &value}}, "ann", "a test")
		return err
	}
	method := config.Scope{Method: "/library.v1.LibraryService/GetBook"}
	if err := set(method, "gateway.rate.address.requests", "1"); err != nil {
		t.Fatal(err)
	}
	if err := set(method, "gateway.rate.address.per", "1h"); err != nil {
		t.Fatal(err)
	}
	w.eventually("limited", func() bool { return w.get("/v1/books/1").status == 429 })
	if got := w.get("/v1/books"); got.status != 200 {
		t.Errorf("another method is limited too: %d", got.status)
	}
	if err := set(method, "gateway.rate.address.requests", "0"); err != nil {
		t.Fatal(err)
	}
	w.eventually("not limited", func() bool { return w.get("/v1/books/1").status == 200 })
	if err := set(config.Scope{}, "gateway.limit.body", "10"); err != nil {
		t.Fatal(err)
	}
	w.eventually("small bodies only", func() bool { return w.do("POST", "/v1/echo", `{"text":"long enough"}`).status == 413 })
	if err := set(config.Scope{}, "gateway.limit.body", "none"); err == nil {
		t.Error("a wrong value was published")
	}
	if err := set(config.Scope{}, "rpc.timeout", "60ms"); err != nil {
		t.Fatal(err)
	}
	if err := set(method, "rpc.timeout", "50ms"); err != nil {
		t.Fatal(err)
	}
	w.eventually("short deadlines", func() bool { return w.get("/v1/books/slow").status == 504 })
}

func TestSlowClients(t *testing.T) {
	w := up(t, map[string]string{"gateway.body.timeout": "50ms"})
	got := raw(t, w, "POST /v1/echo HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{")
	if !strings.HasPrefix(got, "HTTP/1.1 408") || !strings.Contains(got, "Connection: close") {
		t.Errorf("slow body: %q", got)
	}
	w.serve("b", &library{name: "b"})
	if got := w.get("/v1/books/1"); got.status != 200 { // others do not feel it
		t.Errorf("%d", got.status)
	}
}

func TestOneConnectionManyRequests(t *testing.T) {
	w := up(t, map[string]string{"gateway.body.timeout": "50ms", "gateway.write.timeout": "50ms"})
	conn, err := net.Dial("tcp", strings.TrimPrefix(w.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	in := bufio.NewReader(conn)
	tick := time.NewTicker(30 * time.Millisecond) // idle for longer than the deadlines of bodies and answers
	defer tick.Stop()
	for i := range 5 {
		body := `{"text":"a"}`
		_, _ = fmt.Fprintf(conn, "POST /v1/echo HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatalf("request %d: %v", i, err)
		}
		raw, err := io.ReadAll(resp.Body)
		if err != nil || string(raw) != `{"request":{"text":"a"}}` {
			t.Fatalf("request %d: %s %v", i, raw, err)
		}
		for range 3 {
			<-tick.C
		}
	}
}

func TestHTTP2(t *testing.T) {
	w := up(t, nil)
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Get(w.url + "/v1/books/1")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.ProtoMajor != 2 || resp.StatusCode != 200 {
		t.Errorf("%s %s", resp.Proto, resp.Status)
	}
}

func TestOverload(t *testing.T) {
	w := up(t, map[string]string{"gateway.limit.concurrent": "1"})
	busy := make(chan int, 1)
	go func() { busy <- w.get("/v1/books/slow").status }()
	<-w.library.entered
	if got := w.get("/v1/books/1"); got.status != 503 || got.header.Get("Retry-After") == "" || got.json(t)["reason"] != "OVERLOADED" {
		t.Errorf("%d %s", got.status, got.body)
	}
	close(w.library.block)
	if status := <-busy; status != 200 {
		t.Errorf("%d", status)
	}
}

// Two instances with -9, one after the other, under load: what is idempotent
// does not notice.
func TestInstancesDieUnderLoad(t *testing.T) {
	w := up(t, nil)
	stopped := make(chan struct{})
	results := make(chan answer, 100_000)
	go func() {
		defer close(results)
		for {
			select {
			case <-stopped:
				return
			default:
				results <- w.get("/v1/books/1")
			}
		}
	}()
	stop := w.serve("b", &library{name: "b"})
	for i := range 3 {
		name := fmt.Sprint("c", i)
		next := w.serve(name, &library{name: name})
		w.eventually(name+" takes calls", func() bool { return strings.Contains(w.get("/v1/books/1").body, name) })
		stop()
		stop = next
	}
	close(stopped)
	n := 0
	for got := range results {
		if n++; got.status != 200 {
			t.Errorf("%d %s", got.status, got.body)
		}
	}
	if n == 0 {
		t.Error("there was no load")
	}
}
