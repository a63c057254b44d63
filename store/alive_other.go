//go:build !unix

package store

import "net"

// hungUp can't be told here; the driver asks connections that were idle for long.
func hungUp(net.Conn) bool { return false }
