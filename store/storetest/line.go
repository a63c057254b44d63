package storetest

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
)

// line is the way to a server, which can be cut and connected again.
type line struct {
	b      *bench
	server string
	here   string

	mu       sync.Mutex
	listener net.Listener // nil while cut
	open     map[net.Conn]bool
}

// newLine returns a line that is cut: its port is known, and nobody listens.
func newLine(b *bench, server string) *line {
	l := &line{b: b, server: server, open: map[net.Conn]bool{}}
	// Nobody who asks for any port may be given this one while the line is cut:
	// it is below the range of those.
	err := errors.New("no port is free")
	for tries := 0; err != nil && tries < 100; tries++ {
		var free net.Listener
		if free, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 10_000+rand.IntN(10_000))); err == nil {
			l.here, err = free.Addr().String(), free.Close()
		}
	}
	b.must(err)
	b.Cleanup(l.cut)
	return l
}

func (l *line) address() string { return l.here }

func (l *line) connect() {
	l.b.Helper()
	listener, err := net.Listen("tcp", l.here)
	l.b.must(err)
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

func (l *line) carry(client net.Conn) {
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

func (l *line) cut() {
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
