package warren_test

import (
	"context"
	"io"
	"net/http"
	"testing"
	"testing/fstest"
	"time"

	"github.com/gowarren/warren/registry"
	"github.com/gowarren/warren/warrentest"
)

// eventually polls until there is an answer, and returns it.
func eventually[T any](t *testing.T, what string, poll func() (T, bool)) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		if v, ok := poll(); ok {
			return v
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			t.Fatalf("waited for %s", what)
		}
	}
}

func find(sys *warrentest.System, id string) (registry.Instance, bool) {
	for _, i := range sys.Registry().Snapshot().Instances {
		if i.ID == id {
			return i, true
		}
	}
	return registry.Instance{}, false
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// migrations are the schema of a service that keeps nothing.
var migrations = fstest.MapFS{"migrations/0001_nothing.sql": {Data: []byte("CREATE TABLE nothing (id INTEGER PRIMARY KEY)")}}
