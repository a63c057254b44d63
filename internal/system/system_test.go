package system_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/internal/system"
)

const shop = `# the shop
system: shop
services:
  identity: {path: ./shop/identity, replicas: 1}
  catalog:
    path: ./shop/catalog
    replicas: 2
    env: {SEED: "yes", LIMIT: 007}
    settings: {rpc.timeout: 1s}
  legacy: {program: /usr/bin/legacy, args: [-v, --port, 80], address: ":9000"}
engines: {database: "sqlite:{data}/{service}.db"}
gateway: {address: ":8081"}
auth: {audience: everybody}
settings:
  rpc.timeout: 2s
  rpc.retry.budget: 0.10
methods:
  /shop.catalog.v1.CatalogService/ListProducts: {rpc.timeout: 500ms}
environments:
  production:
    services:
      catalog: {replicas: 6, env: {SEED: "no"}, settings: {rpc.timeout: 800ms}}
      search: {path: ./shop/search}
    engines:
      registry: etcd://etcd-0:2379,etcd-1:2379/{system}
      config: etcd://etcd-0:2379,etcd-1:2379/{system}
      database: postgres://db:5432/{system}_{service}
      traces: otlp://collector:4317
      events: kafka://kafka-0:9092,kafka-1:9092/{system}
      locks: rediss://redis?prefix={system}
      transactions: postgres://db:5432/{system}_coordinator
    gateway: {address: "0.0.0.0:443"}
    auth: {keys: https://login.example.com/jwks.json, issuer: https://login.example.com}
    settings: {rpc.timeout: 3s}
  staging: {}
`

func TestFile(t *testing.T) {
	got, err := system.Parse("warren.yaml", []byte(shop), "")
	if err != nil {
		t.Fatal(err)
	}
	want := &system.System{
		File: "warren.yaml", Name: "shop", Environment: "local", Environments: []string{"production", "staging"},
		Services: []system.Service{
			{Name: "identity", Path: "./shop/identity", Replicas: 1, Position: "warren.yaml:4:3"},
			{
				Name: "catalog", Path: "./shop/catalog", Replicas: 2, Position: "warren.yaml:5:3",
				Env: map[string]string{"SEED": "yes", "LIMIT": "007"},
			},
			{
				Name: "legacy", Program: "/usr/bin/legacy", Args: []string{"-v", "--port", "80"}, Replicas: 1,
				Address: "127.0.0.1:9000", Position: "warren.yaml:10:3",
			},
		},
		Engines: system.Engines{Registry: "embedded", Config: "embedded", Events: "embedded", Database: "sqlite:{data}/{service}.db", Metrics: "embedded"},
		Gateway: system.Listener{Address: "127.0.0.1:8081"},
		Console: system.Listener{Address: "127.0.0.1:7070"},
		Admin:   system.Listener{Address: "127.0.0.1:7071"},
		Auth:    system.Auth{Issuer: "shop", Audience: "everybody", Keys: "contract:"},
		Settings: config.FileLayer{Entries: []config.FileEntry{
			{Name: "rpc.timeout", Scope: config.Scope{Service: "catalog"}, Value: "1s", Position: "warren.yaml:9:29"},
			{Name: "rpc.timeout", Value: "2s", Position: "warren.yaml:15:16"},
			{Name: "rpc.retry.budget", Value: "0.10", Position: "warren.yaml:16:21"},
			{
				Name: "rpc.timeout", Scope: config.Scope{Method: "/shop.catalog.v1.CatalogService/ListProducts"},
				Value: "500ms", Position: "warren.yaml:18:63",
			},
		}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestEnvironmentLiesOverTheFile(t *testing.T) {
	s, err := system.Parse("warren.yaml", []byte(shop), "production")
	if err != nil {
		t.Fatal(err)
	}
	catalog, _ := s.Service("catalog")
	want := system.Service{
		Name: "catalog", Path: "./shop/catalog", Replicas: 6, Position: "warren.yaml:5:3",
		Env: map[string]string{"SEED": "no", "LIMIT": "007"},
	}
	if diff := cmp.Diff(want, catalog); diff != "" {
		t.Error(diff)
	}
	if _, ok := s.Service("search"); !ok || len(s.Services) != 4 {
		t.Errorf("services = %v, want search after those of the file", s.Services)
	}
	if s.Environment != "production" || s.Gateway.Address != "0.0.0.0:443" || s.Auth.Audience != "everybody" || s.Auth.Issuer != "https://login.example.com" {
		t.Errorf("got %+v", s)
	}
	values := make(map[string]string)
	for _, e := range s.Settings.Entries {
		values[e.Scope.String()+" "+e.Name] += e.Value
	}
	if diff := cmp.Diff(map[string]string{
		"all rpc.timeout": "3s", "all rpc.retry.budget": "0.10", "catalog rpc.timeout": "800ms",
		"/shop.catalog.v1.CatalogService/ListProducts rpc.timeout": "500ms",
	}, values); diff != "" {
		t.Error(diff)
	}
	at := system.Places{Service: "catalog", Data: "/var/lib/shop"}
	for template, want := range map[string]string{
		s.Engines.Database:                "postgres://db:5432/shop_catalog",
		s.Engines.Events:                  "kafka://kafka-0:9092,kafka-1:9092/shop",
		s.Engines.Locks:                   "rediss://redis?prefix=shop",
		s.Engines.Transactions:            "postgres://db:5432/shop_coordinator",
		s.Engines.Registry:                "etcd://etcd-0:2379,etcd-1:2379/shop",
		"sqlite:{data}/{service}.db":      "sqlite:/var/lib/shop/catalog.db",
		"etcd://h/{system}/{environment}": "etcd://h/shop/production",
	} {
		if got := s.Expand(template, at); got != want {
			t.Errorf("Expand(%q) = %q, want %q", template, got, want)
		}
	}
}

func TestFileNamesItsEnvironment(t *testing.T) {
	s, err := system.Parse("warren.yaml", []byte("system: shop\nenvironment: staging\nenvironments: {staging: {console: {address: \":1\"}}}"), "")
	if err != nil || s.Environment != "staging" || s.Console.Address != "127.0.0.1:1" {
		t.Errorf("Parse = %+v, %v", s, err)
	}
}

func TestSmallestFile(t *testing.T) {
	for _, text := range []string{"system: shop", "system: shop\nservices:\nengines:\n", "---\n\"system\": 'shop'\n...\n"} {
		if s, err := system.Parse("warren.yaml", []byte(text), ""); err != nil || s.Name != "shop" || s.Auth.Issuer != "shop" {
			t.Errorf("Parse(%q) = %+v, %v", text, s, err)
		}
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "warren.yaml")
	_, err := system.Load(path, "")
	if err == nil || !strings.Contains(err.Error(), "no such file or directory; name another with WARREN_SYSTEM_FILE") {
		t.Errorf("Load of a missing file: %v", err)
	}
	if err := os.WriteFile(path, []byte(shop), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := system.Load(path, "staging")
	if err != nil || s.Dir != dir || s.File != path || s.Environment != "staging" {
		t.Errorf("Load = %+v, %v", s, err)
	}
	t.Chdir(dir)
	if s, err := system.Load("warren.yaml", ""); err != nil || s.File != path || s.Dir != dir || s.Services[0].Position != "warren.yaml:4:3" {
		t.Errorf("Load of a relative path = %+v, %v", s, err)
	}
}
