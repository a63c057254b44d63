package staticregistry_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gowarren/warren/internal/openurl"
	"github.com/gowarren/warren/registry"
	"github.com/gowarren/warren/registry/driver"
	"github.com/gowarren/warren/registry/registrytest"
	"github.com/gowarren/warren/registry/staticregistry"
)

const list = `
instances:
  - service: catalog
    address: 10.0.0.7:9000
    contracts: [shop.catalog.v1.CatalogService]
    zone: eu-1
    settings_revision: 7
    started: 2026-02-03T04:05:06Z
  - service: catalog
    address: 10.0.0.8:9000
    contracts: [shop.catalog.v1.CatalogService]
    state: draining
    weight: 5
`

func listed() []driver.Instance {
	contracts := []string{"shop.catalog.v1.CatalogService"}
	return []driver.Instance{
		{
			ID: "catalog/1", Service: "catalog", Address: "10.0.0.7:9000", Contracts: contracts, Zone: "eu-1", Weight: 100,
			State: driver.Ready, SettingsRevision: 7, Started: time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC),
		},
		{ID: "catalog/2", Service: "catalog", Address: "10.0.0.8:9000", Contracts: contracts, Weight: 5, State: driver.Draining},
	}
}

func TestConformance(t *testing.T) {
	registrytest.Run(t, func(tb testing.TB) registrytest.Harness {
		path := write(tb, list)
		return registrytest.Harness{
			Listed: listed(),
			Open: func(tb testing.TB) registrytest.Connection {
				d, err := open(tb, "static://"+path)
				if err != nil {
					tb.Fatal(err)
				}
				return registrytest.Connection{Driver: d}
			},
		}
	})
}

func TestInline(t *testing.T) {
	d, err := open(t, "static:?instance=catalog@10.0.0.7:9000=a.v1.A,b.v1.B&instance=order@[::1]:9=c.v1.C")
	if err != nil {
		t.Fatal(err)
	}
	r := registry.New(d, registry.Options{})
	defer r.Close()
	if err := r.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	for contract, want := range map[string]string{"a.v1.A": "10.0.0.7:9000", "b.v1.B": "10.0.0.7:9000", "c.v1.C": "[::1]:9"} {
		if got := r.Contract(contract); len(got) != 1 || got[0].Address != want {
			t.Errorf("%s is served by %+v; want %s", contract, got, want)
		}
	}
}

func TestFileIsReadAgain(t *testing.T) {
	path := write(t, list)
	d, err := open(t, "static://"+path+"?reload=10ms")
	if err != nil {
		t.Fatal(err)
	}
	r := registry.New(d, registry.Options{Logger: slog.New(slog.DiscardHandler)})
	changes, stop := r.Watch()
	defer stop()
	replace(t, path, "instances: [{service: catalog}]") // no address: refused
	replace(t, path, strings.ReplaceAll(list, "draining", "ready"))
	deadline := time.After(10 * time.Second)
	for len(r.Contract("shop.catalog.v1.CatalogService")) != 2 {
		select {
		case <-changes:
		case <-deadline:
			t.Fatal("the new list was not read")
		}
	}
	// Whoever is taken from the list is gone at once, however many they are.
	replace(t, path, "instances: []")
	for len(r.Snapshot().Instances) != 0 {
		select {
		case <-changes:
		case <-deadline:
			t.Fatal("the list was not emptied")
		}
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

func TestErrorsNameTheEntry(t *testing.T) {
	for raw, want := range map[string]string{
		"static:?instance=catalog":                                       `instance "catalog" is not service@address=contract`,
		"static:?instance=@h:1=a.A":                                      "instance 1 ( h:1): it has no service",
		"static:?instances=x":                                            `unknown parameter "instances"; known: instance, reload`,
		"static://instances.yaml":                                        "has no host",
		"static:///no/such/file":                                         "no such file",
		"static:/x?instance=catalog@h:1=a.A":                             "listed twice",
		file(t, "instances: [{service: a, address: h:1}, {service: b}]"): "instance 2 (b ): it has no address",
		file(t, "instances: [{id: x, service: a, address: h:1}, {id: x, service: a, address: h:2}]"): "instance 2 has the id x of instance 1",
		file(t, "instances: [{service: a, adress: h:1}]"):                                            "adress",
		file(t, "instances: ["): "read list of instances",
	} {
		_, err := open(t, raw)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("open %s: error %v; want %q", raw, err, want)
		}
	}
}

func open(tb testing.TB, raw string) (driver.Driver, error) {
	return openurl.Open(tb.Context(), "registry", raw, map[string]openurl.Opener[driver.Driver]{"static": staticregistry.Open})
}

func file(tb testing.TB, content string) string { return "static://" + write(tb, content) }

func write(tb testing.TB, content string) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "instances.yaml")
	replace(tb, path, content)
	return path
}

// replace puts a new file in place of the old one whole, as an editor does.
func replace(tb testing.TB, path, content string) {
	tb.Helper()
	if err := os.WriteFile(path+".new", []byte(content), 0o600); err != nil {
		tb.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		tb.Fatal(err)
	}
}
