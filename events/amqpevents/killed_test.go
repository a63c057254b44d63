package amqpevents_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/gowarren/warren/events"
	eventstestv1 "github.com/gowarren/warren/events/internal/testpb/eventstest/v1"
	"github.com/gowarren/warren/internal/openurl"
	"github.com/gowarren/warren/store"
	"github.com/gowarren/warren/store/storetest"
)

// TestServerKilled kills RabbitMQ itself, with SIGKILL, while events are published
// and handled, and starts it again with its data: each takes effect once, in order.
func TestServerKilled(t *testing.T) {
	server := startServer(t)
	const each = 100
	seen := make(chan int64, 4*each)
	publisher := newBus(t, server, "bank")
	subscriber := newBus(t, server, "audit")
	err := events.Subscribe(subscriber, func(_ context.Context, tx *store.Tx, e *eventstestv1.Moved) error {
		tx.AfterCommit(func() { seen <- e.GetNumber() })
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	// RabbitMQ keeps nothing for a group before it has subscribed.
	publisher.publish(t, -1)
	for arrived := false; !arrived; {
		select {
		case <-seen:
			arrived = true
		case <-time.After(200 * time.Millisecond):
			publisher.publish(t, -1)
		}
	}

	server.hasWritten(t, "killed.audit.eventstest.v1.Moved.0", "killed.audit.eventstest.v1.Moved.1")

	next := int64(0)
	expect := func(until int64) {
		t.Helper()
		for next < until {
			select {
			case got := <-seen:
				if got < 0 {
					continue
				}
				if got != next {
					t.Fatalf("event %d came when %d was due", got, next)
				}
				next++
			case <-time.After(30 * time.Second):
				t.Fatalf("event %d is missing: %s", next, server.output)
			}
		}
	}
	for round := range int64(2) {
		for n := round * each; n < (round+1)*each; n++ {
			if n%each == each/2 {
				server.kill(t)
			}
			publisher.publish(t, n)
		}
		server.start(t)
		expect((round + 1) * each)
	}
}

// member is a service with a bus.
type member struct {
	bus *events.Bus
	db  *store.DB
}

func (m member) Events() *events.Bus { return m.bus }

func (m member) publish(t *testing.T, n int64) {
	t.Helper()
	err := m.db.InTx(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		return events.Publish(ctx, tx, &eventstestv1.Moved{Account: "ada", Number: n})
	})
	if err != nil {
		t.Fatal(err)
	}
}

func newBus(t *testing.T, server *rabbit, service string) member {
	t.Helper()
	db, err := store.Open(t.Context(), storetest.SQLite(t), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	d, err := openurl.Open(t.Context(), "events", "amqp://guest:guest@"+server.address+"/killed?lanes=2", openers)
	if err != nil {
		t.Fatal(err)
	}
	bus := events.New(d, db, events.Options{Service: service, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- bus.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		_ = bus.Close() // the server may have ended before
	})
	if err := bus.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	return member{bus, db}
}

// rabbit is a RabbitMQ of one test's own.
type rabbit struct {
	dir, address string
	command      *exec.Cmd
	ended        chan struct{}
	output       *bytes.Buffer
}

const program = "/usr/lib/rabbitmq/bin/rabbitmq-server"

func startServer(t *testing.T) *rabbit {
	t.Helper()
	if _, err := os.Stat(program); err != nil {
		t.Fatalf("RabbitMQ is not installed (%v): scripts/servers start installs it", err)
	}
	dir, err := os.MkdirTemp("", "rabbit")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	r := &rabbit{dir: dir, address: freeAddress(t)}
	config := fmt.Sprintf("listeners.tcp.1 = %s\nlog.file = false\nlog.console = true\nvm_memory_high_watermark.absolute = 512MB\ndisk_free_limit.absolute = 50MB\n", r.address)
	for name, text := range map[string]string{"rabbitmq.conf": config, "plugins": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { r.kill(t) })
	r.start(t)
	return r
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// start starts the server with the data it had, and waits until it answers.
func (r *rabbit) start(t *testing.T) {
	t.Helper()
	_, port, _ := net.SplitHostPort(r.address)
	_, between, _ := net.SplitHostPort(freeAddress(t))
	if _, err := strconv.Atoi(port); err != nil {
		t.Fatal(err)
	}
	r.output, r.ended = &bytes.Buffer{}, make(chan struct{})
	r.command = exec.Command(program) // it is killed by the test
	r.command.Env = append(os.Environ(), "HOME="+r.dir, "RABBITMQ_NODENAME=killed"+port+"@localhost", "RABBITMQ_NODE_PORT="+port,
		"RABBITMQ_DIST_PORT="+between, "RABBITMQ_MNESIA_BASE="+r.dir+"/mnesia", "RABBITMQ_LOG_BASE="+r.dir,
		"RABBITMQ_CONFIG_FILE="+r.dir+"/rabbitmq.conf", "RABBITMQ_ENABLED_PLUGINS_FILE="+r.dir+"/plugins", "RABBITMQ_CONF_ENV_FILE=/dev/null",
		"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-kernel inet_dist_use_interface {127,0,0,1} -start_epmd false -erl_epmd_port "+between)
	r.command.Stdout, r.command.Stderr = r.output, r.output
	r.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // the server is the child of a script
	r.command.WaitDelay = time.Second
	if err := r.command.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { defer close(r.ended); _ = r.command.Wait() }()
	deadline := time.After(30 * time.Second)
	for {
		if conn, err := amqp.Dial("amqp://guest:guest@" + r.address); err == nil {
			_ = conn.Close()
			return
		}
		select {
		case <-r.ended:
			t.Fatalf("RabbitMQ ended: %s", r.output)
		case <-deadline:
			t.Fatalf("RabbitMQ does not answer on %s: %s", r.address, r.output)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// hasWritten waits until the server's directory of quorum queues on the disk has
// these. RabbitMQ says that it made a queue half a second before it writes that
// down, and a queue that is not there has no leader after a kill.
func (r *rabbit) hasWritten(t *testing.T, queues ...string) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for {
		files, err := filepath.Glob(r.dir + "/mnesia/*/quorum/*/names.dets")
		if err != nil {
			t.Fatal(err)
		}
		missing := ""
		for _, queue := range queues {
			if !slices.ContainsFunc(files, func(file string) bool {
				text, err := os.ReadFile(file)
				return err == nil && bytes.Contains(text, []byte(queue))
			}) {
				missing = queue
			}
		}
		if missing == "" {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("the server has not written down its queue %s", missing)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// kill kills the server and waits for its end.
func (r *rabbit) kill(t *testing.T) {
	t.Helper()
	if r.command == nil || r.command.Process == nil {
		return
	}
	_ = syscall.Kill(-r.command.Process.Pid, syscall.SIGKILL)
	<-r.ended
}
