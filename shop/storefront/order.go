package main

import (
	"net/http"
	"net/url"
	"strings"

	orderv1 "github.com/gowarren/warren/shop/api/shop/order/v1"
	shippingv1 "github.com/gowarren/warren/shop/api/shop/shipping/v1"
)

// orders are the customer's orders, the latest first.
type orders struct {
	Orders      []*orderv1.Order
	Next, First string
}

func (orders) title() string { return "Your orders" }

func (v *visit) orders() error {
	query := v.r.URL.Query()
	out := &orderv1.ListOrdersResponse{}
	if err := v.asUser(call{path: "/v1/orders", query: url.Values{"page_size": {"10"}, "page_token": {query.Get("after")}}, out: out}); err != nil {
		return err
	}
	page := orders{Orders: out.GetOrders()}
	page.First, page.Next = pages(v.r.URL, query, out.GetNextPageToken())
	return v.show(http.StatusOK, "orders", page)
}

// step is one stage of an order's way, as its page draws it.
type step struct {
	Name, Text string
	State      string // done, now, todo, bad
	At         *orderv1.Change
}

// order is one order.
type order struct {
	*orderv1.Order
	Shipment *shippingv1.Shipment // nil: there is none, or nobody knows
	CSRF     string
	// Awaited: a return was asked for, and has not begun yet.
	Awaited bool
}

func (o order) title() string { return "Order " + o.Number() }

// Number is short enough to be said on the telephone.
func (o order) Number() string { return shortID(o.GetOrderId()) }

func shortID(id string) string { return strings.ToUpper(id[max(0, len(id)-8):]) }

// Final tells whether nothing more happens by itself.
func (o order) Final() bool {
	switch o.GetState() {
	case orderv1.State_REJECTED, orderv1.State_DELIVERED, orderv1.State_CANCELLED, orderv1.State_RETURNED:
		return true
	}
	return false
}

// reload has browsers without scripts follow the order.
func (o order) reload() int {
	if o.Final() && !o.Awaited {
		return 0
	}
	return 3
}

// Cancellable tells whether it is worth asking.
func (o order) Cancellable() bool {
	switch o.GetState() {
	case orderv1.State_PLACED, orderv1.State_CONFIRMED, orderv1.State_PAID:
		return !o.GetCancelRequested()
	}
	return false
}

// Returnable tells whether it can be given back.
func (o order) Returnable() bool { return o.GetState() == orderv1.State_DELIVERED && !o.Awaited }

// Heading is how it stands, in a few words.
func (o order) Heading() string { return stateWords(o.GetState()) }

func stateWords(s orderv1.State) string {
	switch s {
	case orderv1.State_PLACED:
		return "We have your order"
	case orderv1.State_REJECTED:
		return "We could not take this order"
	case orderv1.State_CONFIRMED:
		return "Confirmed"
	case orderv1.State_PAID:
		return "Paid, and being packed"
	case orderv1.State_SHIPPED:
		return "On its way"
	case orderv1.State_DELIVERED:
		return "Delivered"
	case orderv1.State_CANCELLING:
		return "Being stopped"
	case orderv1.State_CANCELLED:
		return "Cancelled"
	case orderv1.State_RETURNING:
		return "On its way back"
	case orderv1.State_RETURNED:
		return "Given back"
	}
	return "Unknown"
}

// Explanation says in plain words what that means for goods and money.
func (o order) Explanation() string {
	total := price(o.GetTotal())
	switch o.GetState() {
	case orderv1.State_PLACED:
		return "We are putting your things aside, setting " + total + " aside in your wallet and booking a carrier. This takes a few seconds."
	case orderv1.State_REJECTED:
		return "Payment released, nothing was charged: whatever was set aside is back in your wallet, and the things are back on the shelf."
	case orderv1.State_CONFIRMED:
		return "Everything is set aside for you. " + total + " is being taken from your wallet."
	case orderv1.State_PAID:
		return total + " was paid from your wallet. The parcel is waiting for the carrier."
	case orderv1.State_SHIPPED:
		return "The carrier has your parcel. It can't be stopped any more, but you can give it back once it is there."
	case orderv1.State_DELIVERED:
		if o.Awaited {
			return "Your return is being arranged. " + total + " goes back to your wallet once it is on the shelf."
		}
		return "Your parcel has arrived. Enjoy it! If something is not right, you can give it back for its full price."
	case orderv1.State_CANCELLING:
		return "We are finding out whether the parcel can still be stopped. If so, " + total + " goes back to your wallet."
	case orderv1.State_CANCELLED:
		return "The parcel was stopped in time, and " + total + " is back in your wallet."
	case orderv1.State_RETURNING:
		return "As soon as it is back on the shelf, " + total + " goes to your wallet."
	case orderv1.State_RETURNED:
		return "Thank you. " + total + " is back in your wallet."
	}
	return ""
}

// Why is the shop's reason, where there is one that says more.
func (o order) Why() string {
	switch reason := o.GetReason(); {
	case reason == "", o.GetState() == orderv1.State_CANCELLED, o.GetState() == orderv1.State_RETURNED:
		return ""
	case strings.Contains(reason, "wallet has less"):
		return "There was less in your wallet than " + price(o.GetTotal()) + "."
	default:
		return sentence(reason)
	}
}

// Steps is the way of the order: what was, what is, and what is to come.
func (o order) Steps() []step {
	way := []orderv1.State{orderv1.State_PLACED, orderv1.State_CONFIRMED, orderv1.State_PAID, orderv1.State_SHIPPED, orderv1.State_DELIVERED}
	if end := o.GetState(); end == orderv1.State_REJECTED || end > orderv1.State_DELIVERED {
		way = nil // what has become of it decides which way it was
		for _, c := range o.GetHistory() {
			way = append(way, c.GetState())
		}
	}
	reached := map[orderv1.State]*orderv1.Change{}
	for _, c := range o.GetHistory() {
		reached[c.GetState()] = c
	}
	var out []step
	for _, s := range way {
		one := step{Name: stepName(s), State: "todo", At: reached[s]}
		switch {
		case s == o.GetState() && s == orderv1.State_REJECTED:
			one.State = "bad"
		case s == o.GetState() && !o.Final():
			one.State = "now"
		case one.At != nil:
			one.State = "done"
		}
		out = append(out, one)
	}
	return out
}

func stepName(s orderv1.State) string {
	switch s {
	case orderv1.State_PLACED:
		return "Ordered"
	case orderv1.State_CONFIRMED:
		return "Set aside"
	case orderv1.State_PAID:
		return "Paid"
	case orderv1.State_SHIPPED:
		return "Shipped"
	case orderv1.State_DELIVERED:
		return "Delivered"
	case orderv1.State_REJECTED:
		return "Not possible"
	case orderv1.State_CANCELLING:
		return "Stop asked for"
	case orderv1.State_CANCELLED:
		return "Cancelled"
	case orderv1.State_RETURNING:
		return "Return asked for"
	case orderv1.State_RETURNED:
		return "Given back"
	}
	return s.String()
}

func (v *visit) orderPath(verb string) string {
	return "/v1/orders/" + url.PathEscape(v.r.PathValue("id")) + verb
}

func (v *visit) order() error {
	got := &orderv1.Order{}
	if err := v.asUser(call{path: v.orderPath(""), out: got}); err != nil {
		return err
	}
	page := v.withShipment(got)
	page.Awaited = v.r.URL.Query().Has("return") && got.GetState() == orderv1.State_DELIVERED
	return v.show(http.StatusOK, "order", page)
}

// withShipment adds where the parcel is, if there is one by now.
func (v *visit) withShipment(o *orderv1.Order) order {
	page := order{Order: o, CSRF: v.session.csrf()}
	switch o.GetState() {
	case orderv1.State_PLACED, orderv1.State_REJECTED:
		return page
	}
	ctx, cancel := v.glance()
	defer cancel()
	token, err := v.tokens.access(ctx, v.session)
	if err != nil {
		return page
	}
	shipment := &shippingv1.Shipment{}
	if v.api.do(ctx, call{path: "/v1/shipments/" + url.PathEscape(o.GetOrderId()), token: token, out: shipment}) == nil {
		page.Shipment = shipment
	}
	return page
}

func (v *visit) cancelOrder() error { return v.change(":cancel", "cancelling", "") }
func (v *visit) returnOrder() error { return v.change(":return", "returning", "?return") }

// change asks for an order's way to be another one.
func (v *visit) change(verb, say, follow string) error {
	page := "/orders/" + url.PathEscape(v.r.PathValue("id"))
	err := v.asUser(call{method: http.MethodPost, path: v.orderPath(verb), in: &orderv1.CancelOrderRequest{}})
	switch {
	case because(err, "WRONG_STATE"):
		return v.redirect(page, "too-late")
	case err != nil:
		return err
	}
	return v.redirect(page+follow, say)
}
