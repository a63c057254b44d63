package events_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/gowarren/warren/events"
	"github.com/gowarren/warren/events/driver"
	"github.com/gowarren/warren/events/eventstest"
	eventstestv1 "github.com/gowarren/warren/events/internal/testpb/eventstest/v1"
	"github.com/gowarren/warren/store"
)

// TestEditKeepsWhatIsUnknown: a newer publisher's fields outlive an edit, also those
// of messages within.
func TestEditKeepsWhatIsUnknown(t *testing.T) {
	newer := []byte{0xfa, 0x07, 0x01, 'n'} // field 127, "n"
	event := &eventstestv1.Invited{User: "ada", Devices: []*eventstestv1.Device{{Name: "phone"}, {Name: "tablet"}}}
	event.ProtoReflect().SetUnknown(newer)
	event.GetDevices()[1].ProtoReflect().SetUnknown(newer)
	payload, err := proto.Marshal(event)
	if err != nil {
		t.Fatal(err)
	}
	hub, db := eventstest.NewHub(), open(t)
	bus := events.New(hub.Open(), db, events.Options{Service: "s", Logger: slog.New(slog.DiscardHandler)})
	err = events.Subscribe(ledger{bus}, func(context.Context, *store.Tx, *eventstestv1.Invited) error {
		return events.DeadLetter("look at it")
	})
	if err != nil {
		t.Fatal(err)
	}
	run(t, bus)
	for _, err := range hub.Open().Publish(t.Context(), []driver.Message{{ID: "m", Topic: "eventstest.v1.Invited", Key: "ada", Published: time.Now(), Payload: payload}}) {
		if err != nil {
			t.Fatal(err)
		}
	}
	var list []events.Letter
	eventually(t, "it is dead", func() bool {
		list, err = bus.Letters().List(t.Context(), events.Filter{})
		return err == nil && len(list) == 1
	})
	id := list[0].LetterID
	for _, edit := range []struct {
		json     string
		unknown  string
		unknowns []string // of the devices
	}{
		{`{"user": "eve", "devices": [{"name": "phone"}, {"name": "watch"}]}`, string(newer), []string{"", string(newer)}},
		{`{"user": "eve", "devices": [{"name": "watch"}]}`, string(newer), []string{""}}, // which of the two it was nobody knows
		{`{"user": "eve"}`, string(newer), nil},
	} {
		if err := bus.Letters().Edit(t.Context(), id, []byte(edit.json), "ada", "a test"); err != nil {
			t.Fatal(err)
		}
		letter, err := bus.Letters().Get(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		got := &eventstestv1.Invited{}
		if err := proto.Unmarshal(letter.Payload, got); err != nil {
			t.Fatal(err)
		}
		if got.GetUser() != "eve" || string(got.ProtoReflect().GetUnknown()) != edit.unknown || len(got.GetDevices()) != len(edit.unknowns) {
			t.Errorf("%s became %v", edit.json, got)
			continue
		}
		for i, want := range edit.unknowns {
			if unknown := got.GetDevices()[i].ProtoReflect().GetUnknown(); string(unknown) != want {
				t.Errorf("%s: device %d has %q beyond what is known, want %q", edit.json, i, unknown, want)
			}
		}
	}
}
