package warren_test

import (
	"context"
	"io"
	"net/http"
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
