package main

import (
	"net/url"
	"strings"
	"testing"

	orderv1 "github.com/gowarren/warren/shop/api/shop/order/v1"
)

// ordered is an order that went a way.
func ordered(way ...orderv1.State) *orderv1.Order {
	o := &orderv1.Order{OrderId: "o1", State: way[len(way)-1], Total: pounds(510), Lines: []*orderv1.Line{{Sku: "M1", Name: "Mug", Quantity: 2, Price: pounds(255)}}}
	for _, s := range way {
		o.History = append(o.History, &orderv1.Change{State: s})
	}
	return o
}

func TestTheWayOfAnOrder(t *testing.T) {
	const placed, rejected, confirmed, paid = orderv1.State_PLACED, orderv1.State_REJECTED, orderv1.State_CONFIRMED, orderv1.State_PAID
	for _, c := range []struct {
		way   []orderv1.State
		steps string
		final bool
		says  string
	}{
		{[]orderv1.State{placed}, "Ordered:now Set aside:todo Paid:todo Shipped:todo Delivered:todo", false, "setting £5.10 aside"},
		{[]orderv1.State{placed, confirmed, paid}, "Ordered:done Set aside:done Paid:now Shipped:todo Delivered:todo", false, "£5.10 was paid"},
		{[]orderv1.State{placed, confirmed, paid, orderv1.State_SHIPPED, orderv1.State_DELIVERED}, "Ordered:done Set aside:done Paid:done Shipped:done Delivered:done", true, "has arrived"},
		{[]orderv1.State{placed, rejected}, "Ordered:done Not possible:bad", true, "Payment released, nothing was charged"},
		{[]orderv1.State{placed, confirmed, paid, orderv1.State_CANCELLING, orderv1.State_CANCELLED}, "Ordered:done Set aside:done Paid:done Stop asked for:done Cancelled:done", true, "is back in your wallet"},
	} {
		page := order{Order: ordered(c.way...)}
		var steps []string
		for _, s := range page.Steps() {
			steps = append(steps, s.Name+":"+s.State)
		}
		if got := strings.Join(steps, " "); got != c.steps || page.Final() != c.final || !strings.Contains(page.Explanation(), c.says) || (page.reload() == 0) != c.final {
			t.Errorf("%v: %s, final %v, %q", c.way, got, page.Final(), page.Explanation())
		}
	}
	for state, name := range orderv1.State_name {
		if s := orderv1.State(state); s != 0 && (stateWords(s) == "Unknown" || stepName(s) == name) {
			t.Errorf("%s has no words", name)
		}
	}
}

func TestAnOrderIsFollowed(t *testing.T) {
	s := stocked(t)
	s.enter()
	placed, delivered := ordered(orderv1.State_PLACED), ordered(orderv1.State_PLACED, orderv1.State_CONFIRMED, orderv1.State_PAID, orderv1.State_SHIPPED, orderv1.State_DELIVERED)
	s.gateway.answer("GET /v1/orders/o1", 200, placed)
	s.get("/orders/o1").has(t, 200, `data-live="/orders/o1/live"`, `http-equiv="refresh" content="3"`, "Cancel the order", "Mug")
	s.gateway.answer("GET /v1/orders/o1:watch", 200, `{"orderId": "o1", "state": "PLACED", "history": [{"state": "PLACED"}], "total": {"currencyCode": "GBP", "minorUnits": "510"}}
 
{"orderId": "o1", "state": "DELIVERED", "history": [{"state": "PLACED"}, {"state": "DELIVERED"}]}
`)
	live := s.get("/orders/o1/live")
	live.has(t, 200, "event: order\ndata: <section", "We have your order", "event: last\ndata: <section", "Your parcel has arrived", ": alive")
	if got := live.header.Get("Content-Type"); got != "text/event-stream" {
		t.Errorf("content type %q", got)
	}
	for line := range strings.Lines(live.text) {
		if line != "\n" && !strings.HasPrefix(line, "data: ") && !strings.HasPrefix(line, "event: ") && !strings.HasPrefix(line, ": ") {
			t.Errorf("a line of no event: %q", line)
		}
	}
	s.gateway.answer("GET /v1/orders/o1:watch", 404, refusal("ORDER_NOT_FOUND", "none"))
	s.get("/orders/o1/live").has(t, 404)
	s.gateway.answer("GET /v1/orders/o1", 200, delivered)
	page := s.get("/orders/o1")
	page.has(t, 200, "Give it back")
	if strings.Contains(page.text, "data-live") || strings.Contains(page.text, "http-equiv") {
		t.Error("an order at its end is followed")
	}
	s.get("/orders/o2").has(t, 404)
}

func TestOrdersAreStopped(t *testing.T) {
	s := stocked(t)
	s.enter()
	s.gateway.answer("GET /v1/orders/o1", 200, ordered(orderv1.State_PLACED))
	s.gateway.answer("POST /v1/orders/o1:cancel", 200, ordered(orderv1.State_PLACED))
	s.post("/orders/o1", "/orders/o1/cancel", url.Values{}).goes(t, "/orders/o1")
	s.get("/orders/o1").has(t, 200, "We are stopping your order")
	s.gateway.answer("POST /v1/orders/o1:return", 412, refusal("WRONG_STATE", "no"))
	s.post("/orders/o1", "/orders/o1/return", url.Values{}).goes(t, "/orders/o1")
	s.get("/orders/o1").has(t, 200, "not possible any more")
}

// What a customer wrote is data, whatever ends its lines.
func TestEventsAreDataOnly(t *testing.T) {
	got := string(sse([]byte("<p>Ada\r\nLovelace\revent: last\n</p>"), false))
	if want := "event: order\ndata: <p>Ada\ndata: Lovelace\ndata: event: last\ndata: </p>\n\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestSentences(t *testing.T) {
	for text, want := range map[string]string{"": "That did not work.", " it is gone": "It is gone.", "Éclairs are out.": "Éclairs are out.", "élan": "Élan."} {
		if got := sentence(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}
