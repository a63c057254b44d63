package etcdconfig_test

import (
	"testing"

	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/config/configtest"
	"github.com/gowarren/warren/config/driver"
	"github.com/gowarren/warren/internal/engines/enginestest"
)

var secured = enginestest.ClusterOptions{TLS: true, User: "warren", Password: "correct-horse", System: "shop"}

// A cluster is away when two of its three members are. Members that come back
// have forgotten who was let in.
func TestClusterConformance(t *testing.T) {
	t.Parallel()
	configtest.Run(t, func(t *testing.T) configtest.Harness {
		cluster := enginestest.StartCluster(t, secured)
		return configtest.Harness{
			Open: func(t *testing.T) driver.Driver { return open(t, cluster.URL("shop")) },
			Stop: func(t *testing.T) {
				leader := cluster.Leader(t)
				cluster.Kill(t, leader, (leader+1)%3)
			},
			Start: func(t *testing.T) { cluster.Start(t) },
		}
	}, "the centre goes and comes back")
}

// One member less, be it the leader, is noticed by no process, and a change is
// made and heard as before.
func TestClusterLosesAMember(t *testing.T) {
	t.Parallel()
	cluster := enginestest.StartCluster(t, enginestest.ClusterOptions{})
	log := &configtest.Log{}
	s, err := config.New(config.Options{Driver: open(t, cluster.URL("shop")), Logger: log.Logger()})
	check(t, err)
	t.Cleanup(s.Close)
	check(t, s.Ready(t.Context()))
	v := config.Watch(s, limit, config.Scope{})
	centre, err := config.NewCentre(open(t, cluster.URL("shop")), "local")
	check(t, err)
	check(t, centre.Define(t.Context(), "shop", []config.Definition{limit.Definition()}))
	for number, value := range []string{"7", "8"} {
		cluster.Kill(t, (cluster.Leader(t)+number)%3)
		until(t, "a change is made", func() bool {
			_, err := centre.Set(t.Context(), []config.Edit{{Name: "shop.limit", New: &value}}, "ann", "a test")
			return err == nil
		})
		until(t, "it is in force", func() bool { return v.Get() == number+7 })
		cluster.Start(t)
	}
	if s.Stale() || log.String() != "" {
		t.Errorf("the loss of one member was noticed: stale %v\n%s", s.Stale(), log)
	}
}
