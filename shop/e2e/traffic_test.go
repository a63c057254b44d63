package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	orderv1 "github.com/gowarren/warren/shop/api/shop/order/v1"
)

// traffic is customers who buy, cancel, give back, look and send things twice.
type traffic struct {
	t         *testing.T
	customers []*shopper
	seed      uint64
	skus      []string // there is enough of
	scarce    []string // there is little of
	pace      time.Duration

	buyers []*buyer
	left   atomic.Int64 // checkouts to be done
	buying atomic.Int64 // customers who are at it
	placed atomic.Int64
	counts sync.Map // of what, *atomic.Int64
	orders sync.Map // by id, the key with which it was placed
	done   sync.WaitGroup
}

// start lets them all in; finish waits for them. They go on from where they were.
func (tr *traffic) start(ctx context.Context, checkouts int) {
	tr.left.Store(int64(checkouts))
	for i := len(tr.buyers); i < len(tr.customers); i++ {
		tr.buyers = append(tr.buyers, &buyer{traffic: tr, c: tr.customers[i], n: i, rand: rand.New(rand.NewPCG(tr.seed, uint64(i)))})
	}
	for _, b := range tr.buyers {
		tr.buying.Add(1)
		tr.done.Go(func() {
			defer tr.buying.Add(-1)
			for ctx.Err() == nil && tr.left.Add(-1) >= 0 {
				if err := b.shop(ctx); err != nil {
					tr.t.Errorf("%s: %v", b.c.email, err)
					return
				}
				rest(ctx, time.Duration(b.rand.Int64N(int64(2*tr.pace+1))))
			}
		})
	}
}

func (tr *traffic) running() bool { return tr.left.Load() > 0 && tr.buying.Load() > 0 }

// finish waits until everybody has what they wanted, or an answer to it.
func (tr *traffic) finish() {
	tr.t.Helper()
	tr.done.Wait()
	var line []string
	tr.counts.Range(func(what, n any) bool {
		line = append(line, fmt.Sprint(n.(*atomic.Int64).Load(), " ", what))
		return true
	})
	tr.t.Logf("%d orders; %v", tr.placed.Load(), line)
}

func (tr *traffic) count(what string) {
	n, _ := tr.counts.LoadOrStore(what, &atomic.Int64{})
	n.(*atomic.Int64).Add(1)
}

// buyer is one customer at it.
type buyer struct {
	*traffic
	c    *shopper
	n    int
	rand *rand.Rand
	keys int
	mine []string // orders
}

// shop is one checkout, with what goes wrong around it.
func (b *buyer) shop(ctx context.Context) error {
	b.keys++
	key, body := fmt.Sprintf("order-%d", b.keys), b.basket()
	id, err := b.buy(ctx, key, body)
	if err != nil {
		return err
	}
	b.mine = append(b.mine, id)
	for _, whim := range []struct {
		share float64
		do    func(context.Context) error
	}{
		{0.08, func(ctx context.Context) error { return b.otherPayload(ctx, key) }},
		{0.08, func(ctx context.Context) error { return b.again(ctx, key, body, id) }},
		{0.22, b.cancel},
		{0.10, b.giveBack},
		{0.05, b.pay},
		{0.20, b.look},
	} {
		if b.rand.Float64() < whim.share {
			if err := whim.do(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// basket is one to three products; often one that everybody wants.
func (b *buyer) basket() string {
	lines := map[string]int{}
	if b.rand.Float64() < 0.35 {
		lines[b.scarce[b.rand.IntN(len(b.scarce))]] = 1
	}
	for range b.rand.IntN(3) {
		lines[b.skus[b.rand.IntN(len(b.skus))]] = 1 + b.rand.IntN(3)
	}
	if len(lines) == 0 {
		lines[b.skus[0]] = 1
	}
	return orderBody(lines)
}

// buy places an order, now and then twice at once with one key: both are told of
// the same order.
func (b *buyer) buy(ctx context.Context, key, body string) (string, error) {
	copies := 1
	if b.rand.Float64() < 0.15 {
		copies = 2
		b.count("sent twice")
	}
	var wg sync.WaitGroup
	placed, errs := make([]*orderv1.Order, copies), make([]error, copies)
	for i := range copies {
		wg.Go(func() { placed[i], errs[i] = b.c.place(ctx, key, body) })
	}
	wg.Wait()
	for i := range copies {
		if errs[i] != nil {
			return "", errs[i]
		}
		if placed[i].GetOrderId() != placed[0].GetOrderId() {
			return "", fmt.Errorf("key %s gave the orders %s and %s", key, placed[0].GetOrderId(), placed[i].GetOrderId())
		}
	}
	b.placed.Add(1)
	b.orders.Store(placed[0].GetOrderId(), b.c.email+" "+key)
	return placed[0].GetOrderId(), nil
}

// otherPayload uses a key for something else, which is refused.
func (b *buyer) otherPayload(ctx context.Context, key string) error {
	a, err := b.c.ask(ctx, "POST", "/v1/orders", key, orderBody(map[string]int{b.skus[1]: 17}))
	if err != nil {
		return err
	}
	if a.status != http.StatusUnprocessableEntity || a.reason() != "IDEMPOTENCY_KEY_REUSED" {
		return fmt.Errorf("a used key with another payload: %d %s, want 422", a.status, a.body)
	}
	b.count("keys for something else")
	return nil
}

// again sends a request a second time, much later.
func (b *buyer) again(ctx context.Context, key, body, id string) error {
	o, err := b.c.place(ctx, key, body)
	if err == nil && o.GetOrderId() != id {
		err = fmt.Errorf("key %s gave order %s at first, and then %s", key, id, o.GetOrderId())
	}
	b.count("sent again")
	return err
}

// cancel wants the latest order stopped, or one that the carrier may have.
func (b *buyer) cancel(ctx context.Context) error {
	recent := b.mine[max(0, len(b.mine)-3):]
	id := recent[b.rand.IntN(len(recent))]
	a, err := b.c.ask(ctx, "POST", "/v1/orders/"+id+":cancel", "", "{}")
	if err != nil {
		return err
	}
	b.count("wishes to cancel")
	return granted(a)
}

// granted wants a yes, or that the order is in a state in which it can't be.
func granted(a answer) error {
	if a.status == http.StatusOK || a.reason() == "WRONG_STATE" {
		return nil
	}
	return fmt.Errorf("%d %s", a.status, a.body)
}

func (b *buyer) giveBack(ctx context.Context) error {
	a, err := b.c.ask(ctx, "POST", "/v1/orders/"+b.mine[b.rand.IntN(len(b.mine))]+":return", "", "{}")
	if err != nil {
		return err
	}
	b.count("wishes to give back")
	return granted(a)
}

// pay tops up with a card of which much is to be expected.
func (b *buyer) pay(ctx context.Context) error {
	cards := []string{goodCard, "4000000000000119", "4000000000000101", "4000000000000341", "4000000000003220", "4000000000009995"}
	b.keys++
	_, err := b.c.topUp(ctx, fmt.Sprintf("top-up-%d", b.keys), cards[b.rand.IntN(len(cards))], 1000+b.rand.Int64N(2000))
	b.count("top-ups")
	return err
}

// look reads what customers read: their own, and not what is another's.
func (b *buyer) look(ctx context.Context) error {
	id := b.mine[len(b.mine)-1]
	if _, err := b.c.order(ctx, id); err != nil {
		return err
	}
	stranger := b.customers[(b.n+1)%len(b.customers)]
	a, err := stranger.ask(ctx, "GET", "/v1/orders/"+id, "", "")
	if err == nil && a.status != http.StatusNotFound {
		err = fmt.Errorf("somebody else's order: %d %s, want 404", a.status, a.body)
	}
	b.count("looks")
	return err
}
