package etcdconfig_test

import (
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/config/configtest"
	"github.com/gowarren/warren/config/etcdconfig"
)

// A network that swallows everything without a word is noticed, and the
// settings are followed again when it speaks.
func TestSilentNetwork(t *testing.T) {
	t.Parallel()
	server := newServer(t)
	wire := newWire(t, server.options.Address)
	u, err := url.Parse("etcd://" + wire.address() + "/shop?dial_timeout=500ms")
	check(t, err)
	d, err := etcdconfig.Open(t.Context(), u)
	check(t, err)
	t.Cleanup(func() { _ = d.Close() })
	s, err := config.New(config.Options{Driver: d, Logger: configtest.Quiet()})
	check(t, err)
	t.Cleanup(s.Close)
	check(t, s.Ready(t.Context()))

	wire.silence(true)
	until(t, "the silence is noticed", s.Stale)
	wire.silence(false)
	until(t, "the centre is followed again", func() bool { return !s.Stale() })
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

// wire is a connection that can be made to swallow what it is given.
type wire struct {
	listener net.Listener
	mu       sync.Mutex
	speaks   *sync.Cond
	silent   bool
}

func newWire(t *testing.T, to string) *wire {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	w := &wire{listener: listener}
	w.speaks = sync.NewCond(&w.mu)
	t.Cleanup(func() { w.silence(false); _ = listener.Close() })
	go func() {
		for {
			in, err := listener.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil {
				_ = in.Close()
				continue
			}
			go w.carry(in, out)
			go w.carry(out, in)
		}
	}()
	return w
}

func (w *wire) address() string { return w.listener.Addr().String() }

func (w *wire) silence(on bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.silent = on
	w.speaks.Broadcast()
}

func (w *wire) carry(from, to net.Conn) {
	defer from.Close()
	defer to.Close()
	_, _ = io.Copy(writer{w, to}, from)
}

type writer struct {
	*wire
	to io.Writer
}

// Write holds everything back while the wire is silent.
func (w writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	for w.silent {
		w.speaks.Wait()
	}
	w.mu.Unlock()
	return w.to.Write(p)
}
