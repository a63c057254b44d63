package warren_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gowarren/warren"
	"github.com/gowarren/warren/registry"
	"github.com/gowarren/warren/warrentest"
)

// Whoever does not know yet that an instance ends is still answered, and told
// to go elsewhere.
func TestPlainHTTPIsServedUntilCallersHaveMovedOn(t *testing.T) {
	sys := warrentest.New(t)
	i := sys.Run("web", func(_ context.Context, app *warren.App) error {
		app.Handle("GET /hello", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }))
		app.Handle("GET /panic", http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("a bug") }))
		return nil
	})
	find := func() (registry.Instance, bool) {
		for _, in := range sys.Registry().Snapshot().Instances {
			if in.ID == i.ID+".http" {
				return in, true
			}
		}
		return registry.Instance{}, false
	}
	in := eventually(t, "the routes to be announced", find)
	get := func(path string) (told bool, err error) {
		resp, err := http.Get("http://" + in.Address + path)
		if err != nil {
			return false, err
		}
		defer func() { _ = resp.Body.Close() }()
		_, err = io.ReadAll(resp.Body)
		return resp.Close, err
	}
	if _, err := get("/panic"); err == nil {
		t.Error("a panic was answered as if nothing had happened")
	}
	if told, err := get("/hello"); err != nil || told {
		t.Fatalf("told to go: %v; %v", told, err)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- i.Stop() }()
	deadline := time.Now().Add(10 * time.Second)
	for told := false; !told; {
		var err error
		if told, err = get("/hello"); err != nil {
			t.Fatal(err)
		}
		if time.Now().After(deadline) {
			t.Fatal("nobody was told to go")
		}
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// What the system has decided of a trace holds at a site behind the gateway.
// What a stranger sends does not, wherever he sends it to.
func TestATraceOfTheSystemGoesOnBehindTheGateway(t *testing.T) {
	const trace, sampled = "0af7651916cd43dd8448eb211c80319c", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	sys := warrentest.New(t)
	var app *warren.App
	i := sys.Run("site", func(_ context.Context, a *warren.App) error {
		app = a
		app.Handle("GET /trace", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			app.Tracer().Inject(r.Context(), func(key, value string) { w.Header().Set(key, value) })
			_, _ = io.WriteString(w, r.Header.Get("Warren-Service"))
		}))
		return nil
	})
	ask := func(through http.RoundTripper, url, sent string) (string, bool) {
		ctx := app.Tracer().Extract(t.Context(), func(key string) string { return map[string]string{"traceparent": sampled}[key] })
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/trace", nil)
		if err != nil {
			t.Fatal(err)
		}
		if sent != "" {
			r.Header.Set("Traceparent", sent)
		}
		resp, err := through.RoundTrip(r)
		if err != nil {
			return err.Error(), false
		}
		defer func() { _ = resp.Body.Close() }()
		if text, err := io.ReadAll(resp.Body); err == nil && resp.StatusCode == http.StatusOK && len(text) > 0 {
			t.Errorf("the handler is shown the signed name %q", text)
		}
		return resp.Header.Get("Traceparent"), resp.StatusCode == http.StatusOK
	}
	gateway := sys.Gateway()
	in := eventually(t, "the routes to be announced", func() (registry.Instance, bool) { return find(sys, i.ID+".http") })
	transport := app.Gateway()
	for name, one := range map[string]struct {
		through         http.RoundTripper
		url, sent, want string
	}{
		"a site of the system":              {transport, "http://gateway", "", "-01"},
		"a stranger at the gateway":         {http.DefaultTransport, gateway, sampled, "-00"},
		"a stranger at the site's own door": {http.DefaultTransport, "http://" + in.Address, sampled, "-00"},
	} {
		got := eventually(t, "an answer to "+name, func() (string, bool) { return ask(one.through, one.url, one.sent) })
		if !strings.HasPrefix(got, "00-"+trace+"-") || !strings.HasSuffix(got, one.want) {
			t.Errorf("%s: the trace goes on as %q, want one that ends in %s", name, got, one.want)
		}
	}
}
