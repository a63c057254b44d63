package etcdurl_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gowarren/warren/internal/etcdurl"
	"github.com/gowarren/warren/internal/openurl"
)

func TestParse(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	target := parse(t, "etcd://warren@a:1,b,[::1]:3/shop?ttl=7s&tls=true&password_file="+file)
	if want := []string{"a:1", "b:2379", "[::1]:3"}; !slices.Equal(target.Config.Endpoints, want) {
		t.Errorf("endpoints %v; want %v", target.Config.Endpoints, want)
	}
	if target.Prefix != "/shop/" || target.Config.Username != "warren" || target.Config.Password != "hunter2" || target.Config.TLS == nil {
		t.Errorf("parsed %+v", target)
	}
	if ttl := target.Params.Duration("ttl", time.Second); ttl != 7*time.Second || target.Params.Err() != nil {
		t.Errorf("ttl %v, %v", ttl, target.Params.Err())
	}
}

func TestParseErrors(t *testing.T) {
	for raw, want := range map[string]string{
		"etcd:///shop":                              "no host",
		"etcd://a:1":                                "name of the system",
		"etcd://a:1/shop/eu":                        "name of the system",
		"etcd://a:1,:2/shop":                        `malformed host ":2"`,
		"etcd://u@a:1/shop":                         "a user needs a password",
		"etcd://a:1/shop?ca=/no/such/file":          "read ca",
		"etcd://u:hunter2@a:1/shop?password_file=x": "given twice",
	} {
		u, err := openurl.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		_, err = etcdurl.Parse(u)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("Parse(%q): error %v; want %q", raw, err, want)
		}
	}
}

// A cluster that is away costs a start nothing: no connection is awaited.
func TestClientDoesNotWait(t *testing.T) {
	client := etcdurl.NewClient(parse(t, "etcd://127.0.0.1:1/shop"))
	if _, err := client.Get(); err != nil {
		t.Error(err)
	}
	if err := client.Close(); err != nil {
		t.Error(err)
	}
	if _, err := client.Get(); err == nil {
		t.Error("a closed client was handed out")
	}
}

func parse(t *testing.T, raw string) etcdurl.Target {
	t.Helper()
	u, err := openurl.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	target, err := etcdurl.Parse(u)
	if err != nil {
		t.Fatal(err)
	}
	return target
}
