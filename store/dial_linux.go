package store

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// limitSilence bounds how long what was sent may stay without a sign that it arrived. A
// socket of another kind than TCP has nobody who could vanish.
func limitSilence(_, _ string, raw syscall.RawConn) error {
	return raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(silence.Milliseconds()))
	})
}
