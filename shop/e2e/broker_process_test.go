package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/gowarren/warren/internal/engines"
)

// brokerVariable has this program be a broker, with its data in the folder that it
// names, at the address that is the only argument.
const brokerVariable = "WARREN_E2E_BROKER"

// broker is a NATS server, the same as the one inside `warren up`, as a process of
// its own: one that can be killed alone. It keeps its address and its data.
type broker struct {
	t            *testing.T
	dir, address string
	log          *output
	cmd          *exec.Cmd // nil: it is dead
	lives        io.Closer // while this is open
}

// startBroker starts a broker that ends with the test.
func startBroker(t *testing.T) *broker {
	t.Helper()
	b := &broker{t: t, dir: t.TempDir(), address: freeAddress(t), log: &output{}}
	t.Cleanup(func() {
		b.kill()
		if t.Failed() {
			t.Logf("the broker said:\n%s", b.log)
		}
	})
	b.start()
	return b
}

// start starts it, for the first time or once more, and waits until it listens.
func (b *broker) start() {
	b.t.Helper()
	b.cmd = exec.Command(os.Args[0], b.address)
	b.cmd.Env = append(os.Environ(), brokerVariable+"="+b.dir)
	b.cmd.Stderr = b.log
	lives, err := b.cmd.StdinPipe()
	if err != nil {
		b.t.Fatal(err)
	}
	b.lives = lives
	if err := b.cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	until(b.t, time.Minute, "the broker to listen", func() bool {
		c, err := net.Dial("tcp", b.address)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

// kill ends it with -9.
func (b *broker) kill() {
	if b.cmd == nil {
		return
	}
	_ = b.cmd.Process.Kill()
	_ = b.cmd.Wait() // it says that it was killed
	_ = b.lives.Close()
	b.cmd = nil
}

// beBroker is what the broker's process does, until who started it is gone.
func beBroker(dir, address string) int {
	server, err := engines.StartNATS(context.Background(), engines.NATSOptions{Dir: dir, Address: address})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	if err := server.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// openWithBroker starts the shop with that broker instead of the one inside it.
func openWithBroker(t *testing.T, b *broker) *shop {
	t.Helper()
	s := openWith(t, variant(t, func(text string) string {
		return strings.Replace(text, "events: embedded", "events: nats://"+b.address+"/{system}", 1)
	}))
	s.broker = b
	return s
}
