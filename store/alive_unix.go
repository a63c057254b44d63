//go:build unix

package store

import (
	"errors"
	"net"
	"syscall"
)

// hungUp tells, without asking it, that a server has closed a connection or said
// farewell on it: something to read although nothing was asked, or the end. A
// statement sent there would be lost, and nobody would know whether it was run.
func hungUp(conn net.Conn) bool {
	if secured, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = secured.NetConn()
	}
	socket, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return true
	}
	gone := false
	// Control, not Read: the driver may have a reader of its own waiting there,
	// since a write that took long, and Read would wait for that one for ever.
	err = raw.Control(func(fd uintptr) {
		_, _, err := syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		gone = !errors.Is(err, syscall.EAGAIN)
	})
	return gone || err != nil
}
