package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	inventoryv1 "github.com/gowarren/warren/shop/api/shop/inventory/v1"
	notificationv1 "github.com/gowarren/warren/shop/api/shop/notification/v1"
	orderv1 "github.com/gowarren/warren/shop/api/shop/order/v1"
	paymentv1 "github.com/gowarren/warren/shop/api/shop/payment/v1"
	shippingv1 "github.com/gowarren/warren/shop/api/shop/shipping/v1"
)

// check compares what the shop tells a customer with what the customer did.
func (b *buyer) check(ctx context.Context) {
	if b.token == "" {
		return // there is no account: a problem already
	}
	for _, do := range []func(context.Context) error{b.checkOrders, b.checkWallet, b.checkShipments, b.checkMessages} {
		if err := do(ctx); err != nil {
			b.problemf("check: %v", err)
		}
	}
}

// checkOrders wants one order for each that was placed, with the lines and the
// total that it should have, and no other.
func (b *buyer) checkOrders(ctx context.Context) error {
	known := map[string]bool{}
	for _, p := range b.placed {
		if p.refused != "" {
			continue
		}
		if known[p.order.GetOrderId()] {
			b.problemf("order %s was the answer to two wishes", p.order.GetOrderId())
		}
		known[p.order.GetOrderId()] = true
		want, got, total := map[string]int64{}, map[string]int64{}, int64(0)
		for _, w := range p.lines {
			want[w.sku] = w.quantity
		}
		for _, l := range p.order.GetLines() {
			got[l.GetSku()] = int64(l.GetQuantity())
			total += int64(l.GetQuantity()) * l.GetPrice().GetMinorUnits()
		}
		if !maps.Equal(want, got) || total != p.order.GetTotal().GetMinorUnits() {
			b.problemf("order %s has other lines, or another total, than what was wanted", p.order.GetOrderId())
		}
	}
	for token := ""; ; {
		page := &orderv1.ListOrdersResponse{}
		if err := b.ask(ctx, "GET", "/v1/orders?page_size=100&page_token="+token, "", "", page); err != nil {
			return err
		}
		for _, o := range page.GetOrders() {
			if !known[o.GetOrderId()] {
				b.problemf("there is an order %s that nobody placed", o.GetOrderId())
			}
			delete(known, o.GetOrderId())
		}
		if token = page.GetNextPageToken(); token == "" {
			break
		}
	}
	for id := range known {
		b.problemf("order %s is lost", id)
	}
	return nil
}

// checkWallet wants exactly what was paid in, less what was delivered.
func (b *buyer) checkWallet(ctx context.Context) error {
	want := b.paidIn
	for _, p := range b.placed {
		if p.order.GetState() == orderv1.State_DELIVERED {
			want -= p.order.GetTotal().GetMinorUnits()
		}
	}
	w := &paymentv1.Wallet{}
	if err := b.ask(ctx, "GET", "/v1/wallet", "", "", w); err != nil {
		return err
	}
	if w.GetAvailable().GetMinorUnits() != want || w.GetHeld().GetMinorUnits() != 0 {
		b.problemf("%d pence in the wallet, and %d held; want %d and nothing", w.GetAvailable().GetMinorUnits(), w.GetHeld().GetMinorUnits(), want)
	}
	return nil
}

// checkShipments wants a shipment delivered for each order that is.
func (b *buyer) checkShipments(ctx context.Context) error {
	for _, p := range b.placed {
		if p.order.GetState() != orderv1.State_DELIVERED {
			continue
		}
		s := &shippingv1.Shipment{}
		if err := b.ask(ctx, "GET", "/v1/shipments/"+p.order.GetOrderId(), "", "", s); err != nil {
			return err
		}
		if s.GetState() != shippingv1.State_DELIVERED || len(s.GetLines()) != len(p.lines) {
			b.problemf("order %s is delivered; its shipment of %d lines is %s", p.order.GetOrderId(), len(s.GetLines()), s.GetState())
		}
	}
	return nil
}

// checkMessages wants each thing told once. Messages come a little later than
// what they tell.
func (b *buyer) checkMessages(ctx context.Context) error {
	want := map[string]int{"WELCOME ": 1}
	for _, p := range b.placed {
		id := " " + p.order.GetOrderId()
		switch p.order.GetState() {
		case orderv1.State_DELIVERED:
			want["ORDER_CONFIRMED"+id], want["ORDER_SHIPPED"+id], want["ORDER_DELIVERED"+id] = 1, 1, 1
		case orderv1.State_REJECTED:
			want["ORDER_REJECTED"+id] = 1
		}
	}
	for end := time.Now().Add(b.patience); ; {
		got := map[string]int{}
		for token := ""; ; {
			page := &notificationv1.ListNotificationsResponse{}
			if err := b.ask(ctx, "GET", "/v1/notifications?page_size=100&page_token="+token, "", "", page); err != nil {
				return err
			}
			for _, n := range page.GetNotifications() {
				got[n.GetKind().String()+" "+n.GetOrderId()]++
			}
			if token = page.GetNextPageToken(); token == "" {
				break
			}
		}
		if maps.Equal(want, got) {
			return nil
		}
		if time.Now().After(end) || !pause(ctx, time.Second) {
			b.problemf("was told %d things, want %d, each once", len(got), len(want))
			return nil
		}
	}
}

// stock returns how much there is of everything that somebody wants.
func (c *customer) stock(ctx context.Context, buyers []*buyer) (map[string]*inventoryv1.Stock, error) {
	out := map[string]*inventoryv1.Stock{}
	for _, b := range buyers {
		for _, v := range b.invoices {
			for _, w := range v.lines {
				if out[w.sku] != nil {
					continue
				}
				s := &inventoryv1.Stock{}
				if err := c.ask(ctx, "GET", "/v1/stock/"+w.sku, "", "", s); err != nil {
					return nil, err
				}
				out[w.sku] = s
			}
		}
	}
	return out, nil
}

// sold wants what was there to be there still, or delivered.
func sold(buyers []*buyer, before, after map[string]*inventoryv1.Stock) (problems []string) {
	gone := map[string]int64{}
	for _, b := range buyers {
		for _, p := range b.placed {
			for _, l := range p.order.GetLines() {
				if p.order.GetState() == orderv1.State_DELIVERED {
					gone[l.GetSku()] += int64(l.GetQuantity())
				}
			}
		}
	}
	for _, sku := range slices.Sorted(maps.Keys(after)) {
		was, is := before[sku], after[sku]
		if is.GetOnHand() != was.GetOnHand()-gone[sku] || is.GetReserved() != was.GetReserved() {
			problems = append(problems, fmt.Sprintf("stock of %s: %d, and %d promised; was %d and %d, and %d were delivered",
				sku, is.GetOnHand(), is.GetReserved(), was.GetOnHand(), was.GetReserved(), gone[sku]))
		}
	}
	return problems
}

// conclude prints the outcome, and tells whether it is a good one.
func conclude(out io.Writer, buyers []*buyer, problems []string, took time.Duration) bool {
	orders, reasons, pence, n := map[string]int{}, map[string]int{}, int64(0), 0
	for _, b := range buyers {
		problems = append(problems, b.problems...)
		for _, p := range b.placed {
			n++
			switch p.order.GetState() {
			case orderv1.State_DELIVERED:
				pence += p.order.GetTotal().GetMinorUnits()
			case orderv1.State_REJECTED:
				reasons[p.order.GetReason()]++
			}
			orders[p.order.GetState().String()]++
		}
	}
	fmt.Fprintf(out, "%d customers placed %d orders in %s, to their ends\n", len(buyers), n, took.Round(time.Millisecond))
	for _, state := range slices.Sorted(maps.Keys(orders)) {
		fmt.Fprintf(out, "  %s: %d\n", state, orders[state])
	}
	for _, reason := range slices.Sorted(maps.Keys(reasons)) {
		fmt.Fprintf(out, "    %d times: %s\n", reasons[reason], reason)
	}
	fmt.Fprintf(out, "goods for %d.%02d pounds were delivered\n", pence/100, pence%100)
	for _, p := range problems {
		fmt.Fprintln(out, "WRONG:", p)
	}
	if len(problems) > 0 {
		fmt.Fprintf(out, "%d things are wrong\n", len(problems))
		return false
	}
	fmt.Fprintln(out, "money, stock, shipments and messages are right")
	return true
}
