package etcdconfig_test

import (
	"testing"
	"time"

	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/config/configtest"
	"github.com/gowarren/warren/internal/engines/enginestest"
)

var limit = config.Int("shop.limit", 1, 1, 100, "")

// A network that swallows everything without a word is noticed, and the
// settings are followed again when it speaks.
func TestSilentNetwork(t *testing.T) {
	t.Parallel()
	proxy := enginestest.StartProxy(t, enginestest.StartEtcd(t).Endpoint())
	s := follow(t, "etcd://"+proxy.Address()+"/shop?dial_timeout=500ms")
	proxy.Swallow()
	until(t, "the silence is noticed", s.Stale)
	proxy.Heal()
	until(t, "the centre is followed again", func() bool { return !s.Stale() })
}

// A centre that lost its data takes nothing from the processes that run; what
// is set in it from then on counts.
func TestWipedCentre(t *testing.T) {
	server := enginestest.StartEtcd(t)
	s := follow(t, server.URL("shop"))
	v := config.Watch(s, limit, config.Scope{})
	set(t, server, "7")
	set(t, server, "8")
	until(t, "8 is in force", func() bool { return v.Get() == 8 })
	server.Wipe(t)
	server.Start(t)
	until(t, "the centre is there again, without what is in force", func() bool {
		return s.Stale() && s.Revision() == 2 && v.Get() == 8 && reachable(t, server)
	})
	set(t, server, "9")
	until(t, "9 is in force", func() bool { return v.Get() == 9 && s.Revision() == 1 && !s.Stale() })
}

func follow(t *testing.T, address string) *config.Settings {
	t.Helper()
	s, err := config.New(config.Options{Driver: open(t, address), Logger: configtest.Quiet()})
	check(t, err)
	t.Cleanup(s.Close)
	check(t, s.Ready(t.Context()))
	return s
}

func reachable(t *testing.T, server *enginestest.Etcd) bool {
	t.Helper()
	_, err := open(t, server.URL("shop")).Load(t.Context(), "local")
	return err == nil
}

func set(t *testing.T, server *enginestest.Etcd, value string) {
	t.Helper()
	centre, err := config.NewCentre(open(t, server.URL("shop")), "local")
	check(t, err)
	check(t, centre.Define(t.Context(), "shop", []config.Definition{limit.Definition()}))
	_, err = centre.Set(t.Context(), []config.Edit{{Name: "shop.limit", New: &value}}, "ann", "a test")
	check(t, err)
}

func until(t *testing.T, what string, met func() bool) {
	t.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	end := time.After(30 * time.Second)
	for !met() {
		select {
		case <-ticker.C:
		case <-end:
			t.Fatalf("not within 30 s: %s", what)
		}
	}
}
