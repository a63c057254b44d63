package store

import (
	"net"
	"time"
)

// When a server is given up that vanished without a word: its machine is dead, or the
// network to it. Left to itself a system asks for an answer after minutes, and goes on
// for a quarter of an hour to send what nobody receives, while who has no deadline, such
// as what works in the background, waits.
const (
	probeAfter = 10 * time.Second
	probeEvery = 5 * time.Second
	probes     = 4
	silence    = probeAfter + probes*probeEvery
)

// dialer connects to servers. How long connecting may take is for the driver to say.
func dialer() *net.Dialer {
	return &net.Dialer{
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: probeAfter, Interval: probeEvery, Count: probes},
		Control:         limitSilence,
	}
}
