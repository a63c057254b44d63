package e2e

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/internal/engines/enginestest"
	"github.com/gowarren/warren/registry"
	"github.com/gowarren/warren/registry/etcdregistry"
)

const listProducts = "/shop.catalog.v1.CatalogService/ListProducts"

// TestNumbersAreLive sets a timeout, a limit and a breaker's number, and wants
// them in force on every process within a second.
func TestNumbersAreLive(t *testing.T) {
	s := up(t)
	edits := []struct {
		name, on, value string
		service         string // whose instances obey it
	}{
		{"rpc.timeout", listProducts, "1.5s", "gateway"},
		{"rpc.admission.max", "", "777", "catalog"},
		{"rpc.breaker.calls", listProducts, "33", "gateway"},
		{"gateway.limit.body", "", "2048", "gateway"},
	}
	s.call("GET", "/v1/products", "", "") // so that the client has a policy for the method
	for _, e := range edits {
		s.must("config", "set", e.name+"="+e.value, "--on", e.on, "--reason", "test")
		took := until(t, 5*time.Second, e.name+" to be in force everywhere", func() bool { return s.inForce(e.service, e.name, e.value) })
		if took > time.Second {
			t.Errorf("%s was in force after %s, want less than 1 s", e.name, took)
		}
		t.Logf("%s was in force after %s", e.name, took.Round(time.Millisecond))
	}
	big := `{"email": "ada@example.com", "password": "correct horse battery", "display_name": "` + strings.Repeat("x", 3000) + `"}`
	if got := s.call("POST", "/v1/users", "", big); got.status != http.StatusRequestEntityTooLarge {
		t.Errorf("a body over the new limit: %d %s", got.status, got.body)
	}
	until(t, 5*time.Second, "every instance to report the revision it runs", func() bool {
		for _, i := range s.list().GetInstances() {
			if i.GetSettingsRevision() != int64(len(edits)) {
				return false
			}
		}
		return true
	})
	for _, wrong := range [][2]string{
		{"rpc.timeout=fast", "not a duration"},
		{"rpc.timeout=1000h", "largest allowed"},
		{"rpc.timeuot=1s", "rpc.timeout"},
	} {
		out, err := s.ctl("config", "set", wrong[0], "--reason", "test")
		if err == nil || !strings.Contains(out, wrong[1]) {
			t.Errorf("config set %s: %v %s, want a refusal that says %q", wrong[0], err, out, wrong[1])
		}
	}
	s.must("config", "rollback", "0", "--reason", "test")
	until(t, 5*time.Second, "the default to be in force again", func() bool { return s.inForce("gateway", "gateway.limit.body", "4194304") })
}

// inForce asks every process of a service for a value.
func (s *system) inForce(service, name, value string) bool {
	s.t.Helper()
	asked := 0
	for _, i := range s.list().GetInstances() {
		if i.GetService() != service {
			continue
		}
		asked++
		found := false
		for _, e := range s.policies(i.GetAdmin()) {
			found = found || e.Name == name && e.Value == value
		}
		if !found {
			return false
		}
	}
	return asked > 0
}

func (s *system) policies(admin string) []config.Entry {
	s.t.Helper()
	resp, err := http.Get("http://" + admin + "/debug/policies")
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	var shown struct{ Policies []config.Entry }
	if err := json.Unmarshal(text, &shown); err != nil {
		s.t.Fatal(err)
	}
	return shown.Policies
}

// TestRegistryIsAway takes the registry away for 30 s under load: nobody
// notices, and afterwards everybody is in it again by themselves.
func TestRegistryIsAway(t *testing.T) {
	etcd := enginestest.StartEtcd(t)
	file := variant(t, func(text string) string {
		for _, engine := range []string{"registry", "config", "locks"} {
			text = strings.Replace(text, engine+": embedded", engine+": "+etcd.URL("shop"), 1)
		}
		return text
	})
	s := upWith(t, t.TempDir(), file)
	before := registered(t, etcd.URL("shop"))
	if len(before) == 0 {
		t.Fatal("nobody is registered")
	}
	l := startLoad(t, s.url, 100)
	etcd.Stop(t)
	<-time.NewTimer(30 * time.Second).C
	etcd.Start(t)
	// What was registered before the outage comes back with the registry, and
	// goes again when its leases end: only who registers anew stays.
	<-time.NewTimer(3 * lease).C
	until(t, 30*time.Second, "all instances to be registered again", func() bool {
		return slices.Equal(registered(t, etcd.URL("shop")), before)
	})
	l.finish(t, 1500)
	for _, i := range s.list().GetInstances() {
		if i.GetRestarts() != 0 {
			t.Errorf("%s was started again: %s", i.GetId(), i.GetLastExit().GetHow())
		}
	}
}

// lease is how long the registry keeps who says nothing.
const lease = 5 * time.Second

// registered lists the ready instances that the registry holds, as a stranger
// sees it, who knows nothing from before.
func registered(t *testing.T, address string) []string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	driver, err := etcdregistry.Open(t.Context(), u)
	if err != nil {
		t.Fatal(err)
	}
	r := registry.New(driver, registry.Options{Logger: slog.New(slog.DiscardHandler)})
	defer r.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := r.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, i := range r.Snapshot().Instances {
		if i.State == registry.Ready {
			ids = append(ids, i.Service+" "+i.ID)
		}
	}
	return ids
}
