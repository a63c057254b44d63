package natsevents_test

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/gowarren/warren/events/driver"
	"github.com/gowarren/warren/internal/engines/enginestest"
)

// TestStreamThatDoesNotAnswer: what a stream never answered, while it had lost its
// quorum, say, does not keep anybody from publishing once it answers again, although
// the connection held all the time.
func TestStreamThatDoesNotAnswer(t *testing.T) {
	// As many as the client sends without an answer.
	const batches, size = 16, 250
	server := enginestest.StartNATS(t)
	conn := connect(t, "nats://"+server.Endpoint()+"/shop")
	defer conn.Close()
	publish := func(patience time.Duration, n int) error {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		var batch []driver.Message
		for i := range n {
			batch = append(batch, driver.Message{ID: strconv.Itoa(i), Topic: "eventstest.v1.Moved", Published: time.Now()})
		}
		return errors.Join(conn.Publish(ctx, batch)...)
	}
	answers := func() {
		t.Helper()
		began := time.Now()
		for {
			err := publish(10*time.Second, 1)
			if err == nil {
				return
			}
			if time.Since(began) > 30*time.Second {
				t.Fatal(err)
			}
		}
	}
	answers()
	nc, err := nats.Connect("nats://" + server.Endpoint())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), "shop-events")
	if err != nil {
		t.Fatal(err)
	}
	config := stream.CachedInfo().Config
	if err := js.DeleteStream(t.Context(), config.Name); err != nil {
		t.Fatal(err)
	}
	// Somebody listens and says nothing, so the server does not say that nobody does.
	silent, err := nc.Subscribe(config.Subjects[0], func(*nats.Msg) {})
	if err == nil {
		err = nc.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
	for range batches {
		if publish(50*time.Millisecond, size) == nil {
			t.Fatal("nobody took it, and there is no error")
		}
	}
	if err := errors.Join(silent.Unsubscribe(), nc.Flush()); err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	answers()
}
