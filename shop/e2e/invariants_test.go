package e2e

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	inventoryv1 "github.com/gowarren/warren/shop/api/shop/inventory/v1"
	notificationv1 "github.com/gowarren/warren/shop/api/shop/notification/v1"
	orderv1 "github.com/gowarren/warren/shop/api/shop/order/v1"
	paymentv1 "github.com/gowarren/warren/shop/api/shop/payment/v1"
)

// quiet waits until everything that was begun has come to its end.
func (s *shop) quiet(bound time.Duration) {
	s.t.Helper()
	s.must("wait", "--timeout", "60s")
	b := books{s.t, s.data}
	left := func() (all []string) {
		for _, name := range b.names() {
			for what, query := range map[string]string{
				"orders under way":        `SELECT order_id FROM orders WHERE state NOT IN (2, 6, 8, 10)`,
				"unfinished transactions": `SELECT gid FROM warren_txn WHERE active = 1`,
				"stock not told of":       `SELECT sku FROM stock WHERE untold`,
				"events not sent":         `SELECT id FROM warren_outbox WHERE state = 0`,
				"events not handled":      `SELECT message_id FROM warren_retries`,
				"e-mails not sent":        `SELECT id FROM emails WHERE state = 'waiting' AND id IN (SELECT id FROM notifications)`,
			} {
				table, _, _ := strings.Cut(query[strings.Index(query, "FROM ")+5:], " ")
				if !b.has(name, table) {
					continue
				}
				if found := b.rows(name, 1, query); len(found) > 0 {
					all = append(all, fmt.Sprintf("%s: %d %s, such as %v", name, len(found), what, found[0]))
				}
			}
		}
		return all
	}
	var rest, last []string
	began := time.Now()
	for rest = left(); len(rest) > 0; rest = left() {
		last = rest
		if time.Since(began) > bound {
			s.t.Errorf("I4: after %s there are still:\n%s\n%s", bound, strings.Join(rest, "\n"), s.must("tx", "list"))
			break
		}
		s.pause(200 * time.Millisecond)
	}
	s.t.Logf("quiet after %s; the last were %v", time.Since(began).Round(time.Millisecond), last)
}

func (s *shop) pause(d time.Duration) { rest(s.t.Context(), d) }

// facts are what a shop says and has written down, when it is quiet.
type facts struct {
	*shop
	books
	orders   map[string]*orderv1.Order
	byWhom   map[string]*shopper
	payments map[string]row // id, state, amount, captured, refunded
}

// facts asks every customer for everything.
func (s *shop) facts(customers []*shopper) *facts {
	f := &facts{shop: s, books: books{s.t, s.data}, orders: map[string]*orderv1.Order{}, byWhom: map[string]*shopper{}}
	ctx := s.within(3 * time.Minute)
	var mu sync.Mutex
	each(customers, func(c *shopper) {
		all, err := c.orders(ctx)
		if err != nil {
			s.t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		for _, o := range all {
			f.orders[o.GetOrderId()], f.byWhom[o.GetOrderId()] = o, c
		}
	})
	f.payments = of(f.rows("payment", 5, `SELECT id, state, amount, captured, refunded FROM payments`))
	return f
}

// each does something for all customers, some at a time.
func each(customers []*shopper, do func(*shopper)) {
	free := make(chan struct{}, 8)
	var wg sync.WaitGroup
	for _, c := range customers {
		free <- struct{}{}
		wg.Go(func() {
			defer func() { <-free }()
			do(c)
		})
	}
	wg.Wait()
}

// hold checks I1 to I9; of what there was of each product before is told.
func (f *facts) hold(customers []*shopper, before []*inventoryv1.Stock) {
	f.money(customers)
	f.stockAddsUp(before)
	for id, o := range f.orders {
		f.oneOutcome(id, o)
	}
	f.nothingElse()
	f.transactions()
	f.told(customers)
	f.nothingHeld()
}

// money is I1: the ledger's own check, what each customer paid in, and the sum.
func (f *facts) money(customers []*shopper) {
	ctx := f.within(2 * time.Minute)
	for token := ""; ; {
		page := &paymentv1.VerifyLedgerResponse{}
		if err := f.staff.read(ctx, "/v1/ledger:verify?page_size=1000&page_token="+token, page); err != nil {
			f.shop.t.Fatal(err)
		}
		for _, p := range page.GetProblems() {
			f.shop.t.Errorf("I1: the ledger: %s", p)
		}
		if token = page.GetNextPageToken(); token == "" {
			break
		}
	}
	f.none("payment", "I1: a currency whose accounts don't add up to nothing", 2,
		`SELECT currency, SUM(balance) FROM accounts GROUP BY currency HAVING SUM(balance) <> 0`)
	in := of(f.rows("payment", 2, `SELECT customer_id, SUM(amount) FROM top_ups WHERE state = 'confirmed' GROUP BY customer_id`))
	out := of(f.rows("payment", 2, `SELECT customer_id, SUM(captured - refunded) FROM payments GROUP BY customer_id`))
	each(customers, func(c *shopper) {
		wallet := &paymentv1.Wallet{}
		if err := c.read(ctx, "/v1/wallet", wallet); err != nil {
			f.shop.t.Error(err)
			return
		}
		want := number(in[c.id], 1) - number(out[c.id], 1)
		if wallet.GetAvailable().GetMinorUnits() != want || wallet.GetHeld().GetMinorUnits() != 0 {
			f.shop.t.Errorf("I1: %s has %d, and %d held; want %d and nothing", c.email, wallet.GetAvailable().GetMinorUnits(),
				wallet.GetHeld().GetMinorUnits(), want)
		}
	})
}

// stockAddsUp is I2: never negative, the service's own check, and what there was
// is there or delivered.
func (f *facts) stockAddsUp(before []*inventoryv1.Stock) {
	audit := &inventoryv1.AuditStockResponse{}
	if err := f.staff.read(f.within(time.Minute), "/v1/stock:audit", audit); err != nil {
		f.shop.t.Fatal(err)
	}
	for _, d := range audit.GetDiscrepancies() {
		f.shop.t.Errorf("I2: stock of %s: %s", d.GetSku(), d.GetProblem())
	}
	want := map[string]int64{}
	for _, s := range before {
		want[s.GetSku()] = s.GetOnHand()
	}
	for _, o := range f.orders {
		for _, l := range o.GetLines() {
			if o.GetState() == orderv1.State_DELIVERED {
				want[l.GetSku()] -= int64(l.GetQuantity())
			}
		}
	}
	for _, s := range f.allStock() {
		if s.GetOnHand() != want[s.GetSku()] || s.GetReserved() != 0 || s.GetOnHand() < 0 {
			f.shop.t.Errorf("I2: %d of %s, and %d of it promised; want %d and nothing", s.GetOnHand(), s.GetSku(), s.GetReserved(), want[s.GetSku()])
		}
	}
	f.none("inventory", "I2: stock that was once below what is possible", 3,
		`SELECT sku, on_hand, reserved FROM (SELECT sku, SUM(on_hand) OVER w AS on_hand, SUM(reserved) OVER w AS reserved
		FROM movements WINDOW w AS (PARTITION BY sku ORDER BY version)) WHERE on_hand < 0 OR reserved < 0 OR reserved > on_hand`)
}

// outcome is what must have become of an order's money, stock and shipment.
type outcome struct {
	captured, refunded  bool
	reservation, parcel string // their states, as numbers
	returned            string // what was put back, after the order's id
	way                 string
}

func outcomes() map[orderv1.State]outcome {
	return map[orderv1.State]outcome{
		orderv1.State_REJECTED:  {false, false, "2", "5", "", "PLACED REJECTED"},
		orderv1.State_CANCELLED: {true, true, "4", "5", "-cancel", "PLACED CONFIRMED PAID CANCELLING CANCELLED"},
		orderv1.State_DELIVERED: {true, false, "4", "4", "", "PLACED CONFIRMED PAID SHIPPED DELIVERED"},
		orderv1.State_RETURNED:  {true, true, "4", "4", "-return", "PLACED CONFIRMED PAID SHIPPED DELIVERED RETURNING RETURNED"},
	}
}

// oneOutcome is I3, I5 and I8 for one order: everything that belongs to it came
// to the same end, once, and its way was one that orders go.
func (f *facts) oneOutcome(id string, o *orderv1.Order) {
	want, ok := outcomes()[o.GetState()]
	if !ok {
		f.shop.t.Errorf("I4: order %s is %s", id, o.GetState())
		return
	}
	// Who asked too late has the order go on as before.
	way := strings.ReplaceAll(states(o), "PAID CANCELLING PAID", "PAID")
	if way != want.way {
		f.shop.t.Errorf("I8: order %s went %s", id, states(o))
	}
	total := strconv.FormatInt(o.GetTotal().GetMinorUnits(), 10)
	got := f.payments[id]
	switch {
	case !want.captured && got != nil && (got[1] != "voided" || got[3] != "0"):
		f.shop.t.Errorf("I3: order %s is %s, its payment: %v", id, o.GetState(), got)
	case want.captured && (got == nil || got[1] != "captured" || got[3] != total || got[4] != map[bool]string{true: total, false: "0"}[want.refunded]):
		f.shop.t.Errorf("I5: order %s is %s for %s, its payment: %v", id, o.GetState(), total, got)
	}
}

// nothingElse compares all reservations, shipments, returns and refunds with the
// orders: those that must be there are, and no other.
func (f *facts) nothingElse() {
	reservations := of(f.rows("inventory", 2, `SELECT id, state FROM reservations`))
	parcels := of(f.rows("shipping", 2, `SELECT id, state FROM shipments`))
	returns := of(f.rows("inventory", 1, `SELECT id FROM returns`))
	refunds := of(f.rows("payment", 1, `SELECT id FROM refunds`))
	for id, o := range f.orders {
		want := outcomes()[o.GetState()]
		rejected := o.GetState() == orderv1.State_REJECTED // what was never there need not be undone
		if r := reservations[id]; (!rejected || r != nil) && (r == nil || r[1] != want.reservation) {
			f.shop.t.Errorf("I5: order %s is %s, its reservation: %v", id, o.GetState(), r)
		}
		if p := parcels[id]; (!rejected || p != nil) && (p == nil || p[1] != want.parcel) {
			f.shop.t.Errorf("I5: order %s is %s, its shipment: %v", id, o.GetState(), p)
		}
		for _, kind := range []string{"-cancel", "-return"} {
			_, stocked := returns[id+kind]
			_, refunded := refunds[id+kind]
			if stocked != (kind == want.returned) || refunded != (kind == want.returned) {
				f.shop.t.Errorf("I5: order %s is %s; restocked: %v, refunded: %v, for %s", id, o.GetState(), stocked, refunded, kind)
			}
		}
	}
	for what, there := range map[string]map[string]row{"reservation": reservations, "shipment": parcels, "payment": f.payments} {
		for id := range there {
			if f.orders[id] == nil {
				f.shop.t.Errorf("I5: %s %s is of no order", what, id)
			}
		}
	}
}

// transactions is I4: each checkout has an end, and it is the order's.
func (f *facts) transactions() {
	const succeeded, failed = "5", "6"
	all := of(f.rows("coordinator", 3, `SELECT gid, state, parked FROM warren_txn`))
	for gid, r := range all {
		if r[1] != succeeded && r[1] != failed || r[2] != "0" {
			f.shop.t.Errorf("I4: transaction %s: state %s, parked %s", gid, r[1], r[2])
		}
	}
	cancelled := map[string]int{}
	for gid, r := range all {
		// Each wish to cancel is a saga of its own: cancel/<order>.<which>.
		if rest, ok := strings.CutPrefix(gid, "cancel/"); ok && r[1] == succeeded {
			id, _, _ := strings.Cut(rest, ".")
			cancelled[id]++
		}
	}
	for id, o := range f.orders {
		want := map[bool]string{true: failed, false: succeeded}[o.GetState() == orderv1.State_REJECTED]
		if r := all["checkout/"+id]; r == nil || r[1] != want {
			f.shop.t.Errorf("I4: order %s is %s, its checkout: %v", id, o.GetState(), r)
		}
		if want := map[bool]int{true: 1}[o.GetState() == orderv1.State_CANCELLED]; cancelled[id] != want {
			f.shop.t.Errorf("I4: order %s is %s, and was cancelled by %d sagas", id, o.GetState(), cancelled[id])
		}
	}
}

// kindsTold are what a customer is told on an order's way.
var kindsTold = map[orderv1.State]notificationv1.Kind{
	orderv1.State_CONFIRMED: notificationv1.Kind_ORDER_CONFIRMED, orderv1.State_REJECTED: notificationv1.Kind_ORDER_REJECTED,
	orderv1.State_CANCELLED: notificationv1.Kind_ORDER_CANCELLED, orderv1.State_SHIPPED: notificationv1.Kind_ORDER_SHIPPED,
	orderv1.State_DELIVERED: notificationv1.Kind_ORDER_DELIVERED, orderv1.State_RETURNED: notificationv1.Kind_ORDER_REFUNDED,
}

// told is I6 and I7: each customer was told each thing once, and got one e-mail
// for it. What a broker holds for a consumer that was killed comes when its time to
// acknowledge is over; no database tells of it before, so it is waited for.
func (f *facts) told(customers []*shopper) {
	ctx := f.within(3 * time.Minute)
	began, patience := time.Now(), 90*time.Second
	each(customers, func(c *shopper) {
		want := map[string]int{"WELCOME ": 1}
		for id, o := range f.orders {
			for _, h := range o.GetHistory() {
				if kind, ok := kindsTold[h.GetState()]; ok && f.byWhom[id] == c {
					want[kind.String()+" "+id]++
				}
			}
		}
		for {
			got, err := c.toldOf(ctx)
			switch {
			case err != nil:
				f.shop.t.Error(err)
				return
			case maps.Equal(got, want):
				return
			case time.Since(began) > patience || !rest(ctx, time.Second):
				f.shop.t.Errorf("I7: %s was told %d things, of %d; the difference: %v", c.email, len(got), len(want), difference(got, want))
				return
			}
		}
	})
	f.shop.t.Logf("everybody was told everything after %s", time.Since(began).Round(time.Millisecond))
	f.none("notification", "I7: a notification without its one e-mail", 2,
		`SELECT n.id, n.user_id FROM notifications n LEFT JOIN emails e ON e.id = n.id WHERE e.id IS NULL`)
}

// toldOf counts what the customer was told, by kind and order.
func (c *shopper) toldOf(ctx context.Context) (map[string]int, error) {
	got := map[string]int{}
	for token := ""; ; {
		page := &notificationv1.ListNotificationsResponse{}
		if err := c.read(ctx, "/v1/notifications?page_size=100&page_token="+token, page); err != nil {
			return nil, err
		}
		for _, n := range page.GetNotifications() {
			got[n.GetKind().String()+" "+n.GetOrderId()]++
		}
		if token = page.GetNextPageToken(); token == "" {
			return got, nil
		}
	}
}

// nothingHeld is I6 and I9: no event, lock, reservation, money or key is left
// between two states, in any database.
func (f *facts) nothingHeld() {
	f.none("coordinator", "I9: a lock that is held", 2, `SELECT lock_key, holder FROM warren_txn_lock`)
	f.none("coordinator", "I9: somebody who waits for a lock", 2, `SELECT lock_key, gid FROM warren_txn_lock_wait`)
	f.none("inventory", "I9: a reservation that is held", 1, `SELECT id FROM reservations WHERE state = 1`)
	f.none("payment", "I9: money that is held", 2, `SELECT id, balance FROM accounts WHERE kind = 'held' AND balance <> 0`)
	for _, name := range f.names() {
		for _, check := range []struct{ table, where, what string }{
			{"warren_outbox", "state = 0", "I6: an event that was not sent"},
			{"warren_retries", "1 = 1", "I6: an event that is not handled"},
			{"warren_dead_letters", "1 = 1", "I6: a dead letter"},
			{"warren_prepared", "1 = 1", "I9: a prepared transaction"},
			{"warren_idempotency", "state = 'running'", "I9: a key whose call has not ended"},
		} {
			if f.has(name, check.table) {
				f.none(name, check.what, 1, `SELECT COUNT(*) FROM `+check.table+` WHERE `+check.where+` HAVING COUNT(*) > 0`)
			}
		}
	}
}

func number(r row, i int) int64 {
	if r == nil {
		return 0
	}
	n, _ := strconv.ParseInt(r[i], 10, 64)
	return n
}

// difference lists what two counts don't agree on.
func difference(got, want map[string]int) (out []string) {
	all := maps.Clone(got)
	maps.Copy(all, want)
	for _, k := range slices.Sorted(maps.Keys(all)) {
		if got[k] != want[k] {
			out = append(out, fmt.Sprintf("%s: %d, want %d", k, got[k], want[k]))
		}
	}
	return out[:min(len(out), 8)]
}
