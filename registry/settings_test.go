package registry_test

import (
	"net/url"
	"path/filepath"
	"testing"
	"time"

	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/config/fileconfig"
	"github.com/gowarren/warren/registry"
	"github.com/gowarren/warren/registry/registrytest"
)

// Whoever doubts a registry for too long, or not enough, says so while it lasts.
func TestDoubtObeysSettingsLive(t *testing.T) {
	d, err := fileconfig.Open(t.Context(), &url.URL{Scheme: "file", Path: filepath.Join(t.TempDir(), "settings.json")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	settings, err := config.New(config.Options{Service: "catalog", Driver: d, Definitions: registry.Definitions()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(settings.Close)
	centre, err := config.NewCentre(d, "local")
	if err != nil {
		t.Fatal(err)
	}
	set := func(name, value string) {
		t.Helper()
		if _, err := centre.Set(t.Context(), []config.Edit{{Name: name, New: &value}}, "ann", "a test"); err != nil {
			t.Fatal(err)
		}
	}
	await(t, "the definitions to be published", make(chan struct{}), func() bool {
		published, err := centre.Definitions(t.Context())
		return err == nil && len(published) == len(registry.Definitions())
	})

	hub := registrytest.NewHub()
	reader := registry.New(hub.Open(), registry.Options{Settings: settings})
	t.Cleanup(func() { reader.Close() })
	changes, stop := reader.Watch()
	t.Cleanup(stop)
	suspects := func() (n int) {
		for _, instance := range reader.Snapshot().Instances {
			if instance.Suspect {
				n++
			}
		}
		return n
	}
	var conns []*registrytest.HubConn
	for _, id := range []string{"1", "2", "3"} {
		conn := hub.Open()
		r := registry.New(conn, registry.Options{})
		t.Cleanup(func() { r.Close() })
		announce(t, r, id)
		conns = append(conns, conn)
	}
	await(t, "all to be known", changes, func() bool { return len(reader.Contract(contract)) == 3 })
	for _, conn := range conns[:2] {
		conn.Cut()
		conn.Expire()
	}
	await(t, "most to be suspects", changes, func() bool { return suspects() == 2 })

	set("registry.panic.hold", "1ms") // a minute would be longer than this test waits
	await(t, "the suspects to be given up", changes, func() bool { return suspects() == 0 && len(reader.Contract(contract)) == 1 })

	set("registry.panic.threshold", "1")
	set("registry.panic.hold", "1h")
	applied := config.Watch(settings, config.Duration("registry.panic.hold", time.Minute, 0, 24*time.Hour, ""), config.Scope{})
	await(t, "the last setting to be in force", make(chan struct{}), func() bool { return applied.Get() == time.Hour })
	conns[2].Cut()
	conns[2].Expire()
	await(t, "the last to be gone", changes, func() bool { return len(reader.Snapshot().Instances) == 0 })
}

// await waits until something holds, and looks again at each change.
func await(t *testing.T, what string, changes <-chan struct{}, holds func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	look := time.NewTicker(10 * time.Millisecond) // for what announces no changes
	defer look.Stop()
	for !holds() {
		select {
		case <-changes:
		case <-look.C:
		case <-deadline:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}
