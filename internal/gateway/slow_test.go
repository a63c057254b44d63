package gateway

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// Whatever a client holds back, it does not hold the gateway for longer than
// gateway.body.timeout.
func TestClientsThatHoldTheirBodyBack(t *testing.T) {
	w := up(t, map[string]string{"gateway.body.timeout": "50ms"})
	post := func(path, header string) string {
		return "POST " + path + " HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 10\r\n" + header + "\r\n"
	}
	for _, c := range []struct{ name, request, status string }{
		{"compressed, nothing sent", post("/v1/echo", "Content-Encoding: gzip\r\n"), "408"},
		{"no such route", post("/v1/nowhere", ""), "404"},
		{"not allowed", post("/v1/books/1", ""), "405"},
		{"not signed in", post("/v1/books/1:borrow", ""), "401"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := raw(t, w, c.request); !strings.HasPrefix(got, "HTTP/1.1 "+c.status) {
				t.Errorf("%.200q", got)
			}
		})
	}
}

func TestStreamsThatHoldTheirRequestBack(t *testing.T) {
	w := up(t, map[string]string{"gateway.body.timeout": "50ms"})
	for _, method := range []string{"WatchBooks", "ImportBooks"} {
		t.Run(method, func(t *testing.T) {
			body, hold := io.Pipe()
			defer func() { _ = hold.Close() }()
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url+"/library.v1.LibraryService/"+method, body)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", "application/grpc")
			r.Header.Set("Te", "trailers")
			protocols := new(http.Protocols)
			protocols.SetUnencryptedHTTP2(true)
			transport := &http.Transport{Protocols: protocols}
			defer transport.CloseIdleConnections()
			resp, err := transport.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
			if got := resp.Header.Get("Grpc-Status") + resp.Trailer.Get("Grpc-Status"); got == "" || got == "0" {
				t.Errorf("status %q", got)
			}
		})
	}
}

func TestMetadataThatCannotTravelIsTheClientsMistake(t *testing.T) {
	w := up(t, nil)
	r, err := http.NewRequest(http.MethodPost, w.url+"/library.v1.LibraryService/GetBook", strings.NewReader("\x00\x00\x00\x00\x00"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/grpc-web")
	r.Header.Set("Name", "caf\xc3\xa9")
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if got := resp.Header.Get("Grpc-Status"); got != "3" {
		t.Errorf("status %s %s, want INVALID_ARGUMENT", got, resp.Header.Get("Grpc-Message"))
	}
}

func TestNamesOfMethodsAreBounded(t *testing.T) {
	w := up(t, nil)
	got := raw(t, w, strings.Repeat("A", 100_000)+" / HTTP/1.1\r\nHost: a\r\n\r\n")
	if !strings.HasPrefix(got, "HTTP/1.1 501") {
		t.Errorf("%.200q", got)
	}
	w.eventually("the request is logged", func() bool { return strings.Contains(w.log.String(), `"status":501`) })
	for line := range strings.Lines(w.log.String()) {
		if len(line) > 2000 {
			t.Errorf("a line of the access log has %d bytes", len(line))
		}
	}
}
