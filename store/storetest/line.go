package storetest

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
)

// Line is the way to a server, which can be cut and connected again.
type Line struct {
	t      testing.TB
	server string
	here   string

	mu       sync.Mutex
	listener net.Listener // nil while cut
	open     map[net.Conn]bool
}

// NewLine returns a line to the server's host and port, which is cut: its port is
// known, and nobody listens.
func NewLine(t testing.TB, server string) *Line {
	t.Helper()
	l := &Line{t: t, server: server, open: map[net.Conn]bool{}}
	// Nobody who asks for any port may be given this one while the line is cut:
	// it is below the range of those.
	err := errors.New("no port is free")
	for tries := 0; err != nil && tries < 100; tries++ {
		var free net.Listener
		if free, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 10_000+rand.IntN(10_000))); err == nil {
			l.here, err = free.Addr().String(), free.Close()
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Cut)
	return l
}

// Address is the host and port at which the server is reached.
func (l *Line) Address() string { return l.here }

// Connect lets connections through.
func (l *Line) Connect() {
	l.t.Helper()
	listener, err := net.Listen("tcp", l.here)
	if err != nil {
		l.t.Fatal(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.listener = listener
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go l.carry(conn)
		}
	}()
}

func (l *Line) carry(client net.Conn) {
	server, err := net.Dial("tcp", l.server)
	if err != nil {
		_ = client.Close()
		return
	}
	l.mu.Lock()
	l.open[client], l.open[server] = true, true
	if l.listener == nil { // cut in the meantime
		_, _ = client.Close(), server.Close()
	}
	l.mu.Unlock()
	go func() { _, _ = io.Copy(server, client); _ = server.Close() }()
	_, _ = io.Copy(client, server)
	_ = client.Close()
}

// Cut ends all connections, and lets no more through.
func (l *Line) Cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.listener == nil {
		return
	}
	_ = l.listener.Close()
	l.listener = nil
	for conn := range l.open {
		_ = conn.Close()
	}
	clear(l.open)
}
