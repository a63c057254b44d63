package registrytest_test

import (
	"testing"
	"time"

	"github.com/gowarren/warren/registry/registrytest"
)

func TestHub(t *testing.T) {
	registrytest.Run(t, func(testing.TB) registrytest.Harness {
		hub := registrytest.NewHub()
		return registrytest.Harness{
			Session: 100 * time.Millisecond,
			Open: func(testing.TB) registrytest.Connection {
				conn := hub.Open()
				return registrytest.Connection{Driver: conn, Network: conn}
			},
			Stop:  func(testing.TB) { hub.Stop() },
			Start: func(testing.TB) { hub.Start() },
			Wipe:  func(testing.TB) { hub.Lapse() },
			Lapse: func(testing.TB) { hub.Lapse() },
		}
	})
}
