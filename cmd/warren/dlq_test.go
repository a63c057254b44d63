package main

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/gowarren/warren"
	"github.com/gowarren/warren/events"
	orderv1 "github.com/gowarren/warren/shop/api/shop/order/v1"
	"github.com/gowarren/warren/store"
	"github.com/gowarren/warren/warrentest"
)

// TestLettersAreLookedAfter takes dead letters through the hands of an operator, in a
// system that runs.
func TestLettersAreLookedAfter(t *testing.T) {
	sys := warrentest.New(t)
	var db *store.DB
	handled := make(chan string, 10)
	sys.Run("order", func(ctx context.Context, app *warren.App) (err error) {
		tables := fstest.MapFS{"0001_things.sql": {Data: []byte(`CREATE TABLE things (id INTEGER PRIMARY KEY)`)}}
		if db, err = app.Database(ctx, tables); err != nil {
			return err
		}
		return events.Subscribe(app, func(_ context.Context, tx *store.Tx, e *orderv1.OrderShipped) error {
			if e.GetCustomerId() != "grace" {
				return events.DeadLetter("no customer " + e.GetCustomerId())
			}
			tx.AfterCommit(func() { handled <- e.GetOrderId() })
			return nil
		})
	})
	for order, customer := range map[string]string{"o-1": "ada", "o-2": "bob", "o-3": "cy"} {
		err := db.InTx(t.Context(), func(ctx context.Context, tx *store.Tx) error {
			return events.Publish(ctx, tx, &orderv1.OrderShipped{OrderId: order, CustomerId: customer})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("WARREN_REGISTRY", sys.URL())
	t.Setenv("WARREN_KEY_FILE", sys.KeyFile())
	warren := func(wants string, args ...string) string {
		t.Helper()
		r := execute(t.Context(), nil, append(append([]string{"dlq"}, args...), "--file", t.TempDir()+"/warren.yaml")...)
		if !strings.Contains(r.out+r.err, wants) {
			t.Fatalf("warren dlq %s: got %q, want %q", strings.Join(args, " "), r.out+r.err, wants)
		}
		return r.out
	}
	letters := func() (out []struct{ Letter, Key, Reason string }) {
		var all map[string]struct {
			Letters []struct{ Letter, Key, Reason string }
		}
		if err := json.Unmarshal([]byte(warren("{", "list", "order", "--json")), &all); err != nil {
			t.Fatal(err)
		}
		return all["order"].Letters
	}
	deadline := time.After(30 * time.Second)
	for len(letters()) < 3 {
		select {
		case <-deadline:
			t.Fatalf("letters: %v", letters())
		case <-time.After(50 * time.Millisecond):
		}
	}

	warren("no customer ada", "list")
	warren(`no service "shipping" with events runs; there are: order`, "list", "shipping")
	var ada string
	for _, l := range letters() {
		if l.Key == "o-1" {
			ada = l.Letter
		}
	}
	warren("gave it up after 1 attempts", "show", "order", ada)
	warren("NotFound", "show", "order", "nothing")
	warren("--reason", "edit", "order", ada, `{}`)
	warren("edit by "+author(), "edit", "order", ada, `{"orderId": "o-1", "customerId": "grace"}`, "--reason", "she married")
	warren("would replay 3 letters", "replay", "order", "--topic", "shop.order.v1.OrderShipped", "--dry-run")
	warren("give --all", "replay", "order", "--reason", "x")
	warren("replay: 1 letter", "replay", "order", ada, "--reason", "it is right now")
	select {
	case got := <-handled:
		if got != "o-1" {
			t.Errorf("handled %s", got)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("what was replayed was not handled")
	}
	warren("drop: 1 letter", "drop", "order", "--because", "no customer bob", "--reason", "he left")
	warren("drop: 1 letter", "drop", "order", "--all", "--reason", "the rest, too")
	warren("replay by "+author()+": it is right now", "show", "order", ada)
	if left := letters(); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
	warren("o-2", "list", "order", "--state", "dropped")
}
