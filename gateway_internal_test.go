package warren

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/gowarren/warren/registry"
	"github.com/gowarren/warren/registry/staticregistry"
)

// through is a way to gateways at the addresses.
func through(t *testing.T, addresses ...string) *gateways {
	t.Helper()
	var all []registry.Instance
	for _, address := range addresses {
		all = append(all, registry.Instance{Service: gatewayService, Address: address})
	}
	d, err := staticregistry.New(all...)
	if err != nil {
		t.Fatal(err)
	}
	r := registry.New(d, registry.Options{Logger: slog.New(slog.DiscardHandler)})
	t.Cleanup(func() { _ = r.Close() })
	if err := r.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &gateways{registry: r, transport: transport}
}

// closing is a body that counts how often it is closed.
type closing struct {
	io.Reader
	closed atomic.Int32
}

func (c *closing) Close() error { c.closed.Add(1); return nil }

func TestWhoAnswersEarlyGetsTheWholeRequest(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		if err := errors.Join(control.EnableFullDuplex(), control.Flush()); err != nil {
			t.Error(err)
		}
		_, _ = io.Copy(w, r.Body)
	}))
	defer server.Close()
	body, send := io.Pipe()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://gateway/", body)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := through(t, strings.TrimPrefix(server.URL, "http://")).RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	go func() {
		_, _ = io.WriteString(send, "what comes late")
		_ = send.Close()
	}()
	if text, err := io.ReadAll(resp.Body); err != nil || string(text) != "what comes late" {
		t.Errorf("%q, %v", text, err)
	}
}

// A connection that is refused does not cost the body, and whatever happens it is closed.
func TestABodyIsClosedByWhoTakesIt(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := l.Addr().String()
	_ = l.Close()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }))
	defer server.Close()
	for name, addresses := range map[string][]string{
		"nobody is known": nil, "nobody is there": {nobody}, "one of many": {nobody, nobody, nobody, strings.TrimPrefix(server.URL, "http://")},
	} {
		t.Run(name, func(t *testing.T) {
			body := &closing{Reader: strings.NewReader("a wish")}
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://gateway/", body)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := through(t, addresses...).RoundTrip(r)
			if (err == nil) != (len(addresses) > 1) {
				t.Fatal(err)
			}
			if err == nil {
				if text, err := io.ReadAll(resp.Body); err != nil || string(text) != "a wish" {
					t.Errorf("%q, %v", text, err)
				}
				_ = resp.Body.Close()
			}
			until(t, "the body's end", func() bool { return body.closed.Load() == 1 })
		})
	}
}
