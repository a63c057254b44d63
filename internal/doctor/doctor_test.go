package doctor_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gowarren/warren/internal/doctor"
)

const contract = `syntax = "proto3";
package shop.v1;
import "google/api/annotations.proto";
import "warren/v1/options.proto";
option go_package = "example.com/shop/v1;shopv1";
service ShopService {
  rpc Get(GetRequest) returns (GetResponse) {
    option idempotency_level = NO_SIDE_EFFECTS;
    option (google.api.http) = {get: "/v1/shop"};
    option (warren.v1.method) = {access: ACCESS_PUBLIC};
  }
}
message GetRequest {}
message GetResponse {}
`

// system writes a system file and, below api, a contract.
func system(t *testing.T, file, proto string) doctor.Options {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"warren.yaml": file, "api/shop/v1/shop.proto": proto} {
		if text == "" {
			continue
		}
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return doctor.Options{File: filepath.Join(dir, "warren.yaml"), Data: filepath.Join(dir, "not", "there", "yet")}
}

// listen holds a port; what listens there may be an engine, or in the way.
func listen(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}

// unused is an address where nobody listens.
func unused(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func examine(t *testing.T, opts doctor.Options) doctor.Findings {
	t.Helper()
	found, err := doctor.Examine(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// want looks for a finding of a level whose line has the words.
func want(t *testing.T, found doctor.Findings, level doctor.Level, words ...string) {
	t.Helper()
	var all []string
	for _, f := range found {
		line := f.String()
		all = append(all, line)
		fits := f.Level == level
		for _, w := range words {
			fits = fits && strings.Contains(line, w)
		}
		if fits {
			return
		}
	}
	t.Errorf("no finding %s with %q in:\n%s", level, words, strings.Join(all, "\n"))
}

const local = "system: shop\nservices:\n  shop: {path: ./shop}\n"

func TestAHealthySystem(t *testing.T) {
	found := examine(t, system(t, local+"gateway: {address: \""+unused(t)+"\"}\n", contract))
	if found.Worst() != doctor.Fine && found.Worst() != doctor.Warning { // a small machine may warn
		t.Errorf("worst: %s in %v", found.Worst(), found)
	}
	want(t, found, doctor.Fine, "machine", "go: go1.")
	want(t, found, doctor.Fine, "gateway", "is free")
	want(t, found, doctor.Fine, "registry", "etcd inside the supervisor")
	want(t, found, doctor.Fine, "database", "SQLite")
	want(t, found, doctor.Fine, "contracts: 1 methods in 1 files")
}

func TestPortsInUse(t *testing.T) {
	busy := listen(t)
	opts := system(t, "system: shop\nservices:\n  shop: {path: ./shop, address: \""+busy+"\"}\ngateway: {address: \""+busy+"\"}\n", contract)
	found := examine(t, opts)
	if found.Worst() != doctor.Broken {
		t.Errorf("worst: %s", found.Worst())
	}
	want(t, found, doctor.Broken, "gateway", busy, "address already in use", "stop what uses the port")
	want(t, found, doctor.Broken, "shop", busy, "address already in use")
	opts.Running = true
	want(t, examine(t, opts), doctor.Fine, "the system runs already")
}

func TestEnginesThatDoNotAnswer(t *testing.T) {
	up, down := listen(t), unused(t)
	found := examine(t, system(t, local+"engines: {registry: \"etcd://"+up+","+down+"/{system}\", config: \"etcd://"+up+"/{system}\", database: \"postgres://u:secret@"+down+"/{service}\"}\n", contract))
	want(t, found, doctor.Fine, "registry", "etcd at "+up+" answers")
	want(t, found, doctor.Broken, "registry", "etcd at "+down+" does not answer", "start it, or correct the URL")
	want(t, found, doctor.Broken, "database", "postgres at "+down+" does not answer")
	for _, f := range found {
		if strings.Contains(f.String(), "secret") {
			t.Errorf("a password is told: %s", f)
		}
	}
}

func TestContracts(t *testing.T) {
	broken := strings.Replace(contract, "access: ACCESS_PUBLIC", "access: ACCESS_PUBLIC, idempotency_key: IDEMPOTENCY_KEY_REQUIRED", 1)
	found := examine(t, system(t, local, broken))
	want(t, found, doctor.Broken, "contract", "shop.proto:", ";")
	found = examine(t, system(t, local, strings.Replace(contract, "message GetRequest {}", "message GetRequest {", 1)))
	want(t, found, doctor.Broken, "contract", "shop.proto:")
	want(t, examine(t, system(t, local, "")), doctor.Warning, "no folder named api", "warren lint FOLDER")
}

func TestWhatAnotherEnvironmentChanges(t *testing.T) {
	opts := system(t, local+`environments:
  production:
    engines: {registry: "etcd://a,b,c/{system}", config: "etcd://a/{system}", database: "postgres://db/{service}"}
  staging:
    engines: {database: "mysql://db/{service}"}
`, contract)
	opts.Against = "production"
	found := examine(t, opts)
	want(t, found, doctor.Differs, "registry", "it survives, in local", "in production (an etcd cluster): the loss of a minority")
	want(t, found, doctor.Differs, "config", "in production (one etcd)")
	want(t, found, doctor.Differs, "database", "PostgreSQL", "they are repeated")
	opts.Against = "staging"
	found = examine(t, opts)
	want(t, found, doctor.Fine, "registry: etcd inside the supervisor in both environments")
	want(t, found, doctor.Differs, "database", "MariaDB", "half applied")
	opts.Against = "prodution"
	if _, err := doctor.Examine(t.Context(), opts); err == nil || !strings.Contains(err.Error(), "did you mean production?") {
		t.Errorf("unknown environment: %v", err)
	}
}

func TestAFileThatIsNotThere(t *testing.T) {
	if _, err := doctor.Examine(context.Background(), doctor.Options{File: filepath.Join(t.TempDir(), "warren.yaml")}); err == nil {
		t.Error("no error")
	}
}
