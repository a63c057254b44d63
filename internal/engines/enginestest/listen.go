package enginestest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
)

// listen takes a port that is still free when a server that was stopped wants
// it again: one below the range from which systems give ports to whoever asks
// for any.
func listen(tb testing.TB) net.Listener {
	tb.Helper()
	var err error
	for range 100 {
		var l net.Listener
		if l, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 10_000+rand.IntN(10_000))); err == nil {
			return l
		}
	}
	tb.Fatal(err)
	return nil
}
