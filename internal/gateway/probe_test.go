package gateway

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"context"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

func counted(t *testing.T, c prometheus.Counter) float64 {
	t.Helper()
	var m dto.Metric
	if err := c.Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetCounter().GetValue()
}

// raw sends bytes and returns all that comes back. Later parts are sent one by
// one, each after something was received.
func raw(t *testing.T, w *world, parts ...string) string {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(w.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	var got []byte
	buffer := make([]byte, 64<<10)
	for _, part := range parts {
		if _, err := io.WriteString(conn, part); err != nil {
			return string(got)
		}
		n, err := conn.Read(buffer)
		got = append(got, buffer[:n]...)
		if err != nil {
			return string(got)
		}
	}
	return string(got)
}

func TestRequestsWithTwoMeaningsAreRefused(t *testing.T) {
	w := up(t, nil)
	const host = "Host: a\r\n"
	get := func(path string) string { return "GET " + path + " HTTP/1.1\r\n" + host + "\r\n" }
	post := func(headers, body string) string {
		return "POST /v1/echo HTTP/1.1\r\n" + host + "Content-Type: application/json\r\n" + headers + "\r\n" + body
	}
	probes := []struct {
		name, request string
		status        string // allowed ones, separated by spaces
	}{
		{"as it should", get("/v1/books/1"), "200"},
		{"encoded slash", get("/v1/books/..%2fadmin"), "400"},
		{"encoded slash, upper case", get("/v1/books/a%2Fb"), "400"},
		{"encoded twice", get("/v1/books/a%252fb"), "400"},
		{"encoded three times", get("/v1/books/a%25252fb"), "400"},
		{"encoded backslash", get("/v1/books/a%5cb"), "400"},
		{"backslash", get(`/v1/books/a\b`), "400"},
		{"dot segment", get("/v1/books/../admin"), "400"},
		{"encoded dots", get("/v1/%2e%2e/admin"), "400"},
		{"single dot", get("/v1/./books/1"), "400"},
		{"double slash", get("//v1/books/1"), "400"},
		{"empty segment", get("/v1//books"), "400"},
		{"NUL", get("/v1/books/a%00"), "400"},
		{"control character", get("/v1/books/a%0d"), "400"},
		{"parameter", get("/v1/books/1;x=y"), "400"},
		{"overlong UTF-8", get("/v1/books/%c0%af"), "400"},
		{"semicolon in the query", get("/v1/books?genre=1;tags=2"), "400"},
		{"whole URL", "GET http://b/v1/books/1 HTTP/1.1\r\n" + host + "\r\n", "400"},
		{"two hosts", "GET /v1/books/1 HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "400"},
		{"no host", "GET /v1/books/1 HTTP/1.1\r\n\r\n", "400"},
		{"CONNECT", "CONNECT a:80 HTTP/1.1\r\n" + host + "\r\n", "400 405"},
		{"TRACE", "TRACE /v1/books/1 HTTP/1.1\r\n" + host + "\r\n", "405"},
		{"unknown method", "FROB /v1/books/1 HTTP/1.1\r\n" + host + "\r\n", "405"},
		{"HTTP/0.9", "GET /v1/books/1\r\n\r\n", "400"},
		{"two content lengths", post("Content-Length: 2\r\nContent-Length: 3\r\n", "{}"), "400"},
		{"signed content length", post("Content-Length: +2\r\n", "{}"), "400"},
		{"unknown transfer encoding", post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"), "400 501"},
		{"two transfer encodings", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), "400 501"},
		{"space before the colon", post("Content-Length : 2\r\n", "{}"), "400"},
		{"bad chunk size", post("Transfer-Encoding: chunked\r\n", "0x2\r\n{}\r\n0\r\n\r\n"), "400"},
		{"chunk of another length", post("Transfer-Encoding: chunked\r\n", "2\r\n{}}\r\n0\r\n\r\n"), "400"},
		{"overflowing chunk size", post("Transfer-Encoding: chunked\r\n", "fffffffffffffffff\r\n{}\r\n0\r\n\r\n"), "400"},
		{"obfuscated expectation", post("Content-Length: 2\r\nExpect: y 100-continue\r\n", "{}"), "417"},
		{"two content types", post("Content-Length: 2\r\nContent-Type: text/plain\r\n", "{}"), "400"},
		{"two idempotency keys", post("Content-Length: 2\r\nIdempotency-Key: a\r\nIdempotency-Key: b\r\n", "{}"), "400"},
		{"NUL in a header", "GET /v1/books/1 HTTP/1.1\r\n" + host + "X-A: a\x00b\r\n\r\n", "400"},
		{"many headers", "GET /v1/books/1 HTTP/1.1\r\n" + host + strings.Repeat("X-A: a\r\n", 200) + "\r\n", "431"},
		{"huge header", "GET /v1/books/1 HTTP/1.1\r\n" + host + "X-A: " + strings.Repeat("a", 2<<20) + "\r\n\r\n", "431"},
	}
	for _, p := range probes {
		t.Run(p.name, func(t *testing.T) {
			got := raw(t, w, p.request)
			if !strings.HasPrefix(got, "HTTP/1.1 100") {
				status, _, _ := strings.Cut(strings.TrimPrefix(got, "HTTP/1.1 "), " ")
				if !strings.Contains(p.status, status) || status == "" {
					t.Errorf("%.300q", got)
				}
				return
			}
			if !strings.Contains(got, "HTTP/1.1 "+p.status) { // Go promises to read before it lets us look
				t.Errorf("%.300q", got)
			}
		})
	}
}

func TestForgedIdentityIsStripped(t *testing.T) {
	h := http.Header{}
	for _, name := range []string{"X-User-Id", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "X-Original-Url", "X-Auth-User", "Forwarded",
		"Grpc-Metadata-Role", "Warren-Service", "Warren-Attempt", "Warren-Client-Address", "X_user_id", "Proxy-Authorization", "X-Spiffe-Id"} {
		h.Set(name, "forged")
	}
	h.Set("Authorization", "kept")
	h.Set("X-Request-Id", "kept")
	h.Set("X-Requested-With", "kept")
	strip(h)
	if len(h) != 3 {
		t.Errorf("%v", h)
	}
}

func TestClientAddress(t *testing.T) {
	trusted := parseNetworks("10.0.0.0/8, 192.0.2.1, nonsense")
	for _, c := range []struct{ peer, forwarded, want string }{
		{"203.0.113.9:1", "1.2.3.4", "203.0.113.9"},
		{"10.1.1.1:1", "1.2.3.4", "1.2.3.4"},
		{"10.1.1.1:1", "6.6.6.6, 1.2.3.4, 192.0.2.1", "1.2.3.4"},
		{"10.1.1.1:1", "6.6.6.6, nonsense", "10.1.1.1"},
		{"10.1.1.1:1", "", "10.1.1.1"},
		{"[2001:db8::1]:1", "", "2001:db8::1"},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = c.peer
		r.Header.Set("X-Forwarded-For", c.forwarded)
		if got := clientAddress(r, trusted); got != netip.MustParseAddr(c.want) {
			t.Errorf("%+v: %s", c, got)
		}
	}
}

func FuzzAmbiguousPath(f *testing.F) {
	f.Add("/v1/books/1")
	f.Add("/a%252e%252e/b")
	f.Fuzz(func(t *testing.T, path string) {
		r := httptest.NewRequest("GET", "/", nil)
		u, err := r.URL.Parse(path)
		if err != nil || !strings.HasPrefix(path, "/") || ambiguousPath(u.EscapedPath(), u.Path) != "" {
			return
		}
		for segment := range strings.SplitSeq(strings.TrimPrefix(u.Path, "/"), "/") {
			if segment == ".." || segment == "." || strings.ContainsAny(segment, "\\;\x00") {
				t.Fatalf("%q was let through as %q", path, u.Path)
			}
		}
	})
}

func descriptors() int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(entries)
}

func TestNothingIsLeftOfRequestsThatWereGivenUp(t *testing.T) {
	w := up(t, map[string]string{"gateway.rate.address.requests": "0"})
	transport := &http.Transport{MaxIdleConnsPerHost: 16}
	client := &http.Client{Transport: transport}
	settle := func() (int, int) {
		transport.CloseIdleConnections()
		runtime.GC()
		return runtime.NumGoroutine(), descriptors()
	}
	abort := func(requests int) {
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				for range requests / 16 {
					w.abortOne(client)
				}
			})
		}
		wg.Wait()
	}
	abort(320) // connections and pools are there from now on
	goroutines, fds := settle()
	abort(3200)
	w.eventually("goroutines and descriptors are back", func() bool {
		g, f := settle()
		return g <= goroutines+5 && f <= fds+5
	})
	if n := w.gateway.inFlight.Load(); n != 0 {
		t.Errorf("%d requests are still counted", n)
	}
}

// abortOne starts one of several kinds of requests and leaves at any moment.
func (w *world) abortOne(client *http.Client) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rand.Int64N(int64(3*time.Millisecond))))
	defer cancel()
	paths := []string{"/v1/books/1", "/v1/books:watch?count=100", "/v1/books/long", "/v1/books:watch?fail_with=never", "/v1/books/slow"}
	method, path, body := "GET", paths[rand.IntN(len(paths))], io.Reader(nil)
	if rand.IntN(4) == 0 {
		method, path, body = "POST", "/v1/echo", strings.NewReader(fmt.Sprintf(`{"text":%q}`, strings.Repeat("x", rand.IntN(100_000))))
	}
	r, err := http.NewRequestWithContext(ctx, method, w.url+path, body)
	if err != nil {
		w.t.Error(err)
		return
	}
	resp, err := client.Do(r)
	if err != nil {
		return
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
}
