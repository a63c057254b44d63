package e2e

import (
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	inventoryv1 "github.com/gowarren/warren/shop/api/shop/inventory/v1"
)

// soak says how much traffic there is, and what breaks meanwhile.
type soak struct {
	customers, checkouts int
	pace                 time.Duration // between two checkouts of a customer
	kills                time.Duration // between two kills, on average
	cuts                 int           // how often everything is killed at once
	bound                time.Duration // for all traffic
	rest                 time.Duration // for what is under way then
}

// TestCheckoutSurvives has customers buy while every process, the broker among
// them, is killed with -9 again and again, and once everything at once; then it is
// quiet, and the invariants I1 to I10 hold. SOAK=10000 is the long form of as many
// checkouts; SEED chooses another course.
func TestCheckoutSurvives(t *testing.T) {
	plan := soak{customers: 24, checkouts: 400, pace: 900 * time.Millisecond, kills: 1500 * time.Millisecond, cuts: 1,
		bound: 3 * time.Minute, rest: 2 * time.Minute}
	if n, err := strconv.Atoi(os.Getenv("SOAK")); err == nil {
		plan = soak{customers: 64, checkouts: n, kills: 2 * time.Second, cuts: 1 + n/2500,
			bound: 2 * time.Hour, rest: 5 * time.Minute}
	}
	seed := uint64(time.Now().UnixNano())
	if n, err := strconv.ParseUint(os.Getenv("SEED"), 10, 64); err == nil {
		seed = n
	}
	t.Logf("SEED=%d, %+v", seed, plan)
	s := openWithBroker(t, startBroker(t))
	// Some shipments are refused, so that sagas go back from there.
	s.set("shipping.carrier.refusals=0.03")
	customers := s.customers(plan.customers, func(i int) int64 { return []int64{1000, 20_000, 9_000_000, 9_000_000}[i%4] })
	tr := &traffic{t: t, customers: customers, seed: seed, pace: plan.pace,
		skus: []string{"22423", "22752", "22111", "21730", "22910"}, scarce: []string{"22086", "22632", "22866"}}
	for _, sku := range tr.scarce {
		s.stock(sku, int64(plan.checkouts/20))
	}
	before := s.allStock()

	ctx := s.within(plan.bound)
	// What is opened once and kept, such as connections between services, is opened now.
	tr.start(ctx, plan.customers)
	tr.finish()
	s.quiet(plan.rest)
	used := s.usage()
	began := time.Now()
	tr.start(ctx, plan.checkouts-plan.customers)
	s.breakThings(tr, plan, rand.New(rand.NewPCG(seed, 1<<32)))
	tr.finish()
	t.Logf("traffic took %s", time.Since(began).Round(time.Millisecond))
	if left := tr.left.Load(); left > 0 {
		t.Errorf("%d checkouts were not done in time", left)
	}
	s.settle(tr, before, used, plan.rest)
}

// breakThings kills one process after the other while there is traffic.
func (s *shop) breakThings(tr *traffic, plan soak, dice *rand.Rand) {
	s.t.Helper()
	all := tr.left.Load()
	kills, cuts := map[string]int{}, 0
	victims := s.victims(dice)
	for tr.running() {
		s.pause(plan.kills/2 + time.Duration(dice.Int64N(int64(plan.kills))))
		if cuts < plan.cuts && tr.left.Load() < all-all*int64(cuts+1)/int64(plan.cuts+1) {
			cuts++
			s.cut()
			continue
		}
		victim := victims()
		if victim == theBroker {
			s.broker.kill()
			s.pause(time.Duration(dice.Int64N(int64(plan.kills))))
			s.broker.start()
		} else if _, err := s.ctl("kill", victim); err != nil {
			s.t.Log(err) // it is just being started again
			continue
		}
		kills[victim]++
	}
	s.t.Logf("killed with -9: everything %d times, and %v", cuts, kills)
	if kills[theBroker] == 0 {
		s.t.Error("the broker was never killed alone")
	}
}

const theBroker = "broker"

// victims names all that can be killed one by one: each once, the broker first, and
// then again and again in an order of chance.
func (s *shop) victims(dice *rand.Rand) func() string {
	next := []string{theBroker}
	for _, i := range s.info.GetInstances() {
		next = append(next, i.GetId())
	}
	all := slices.Clone(next)
	shuffle := func(ids []string) { dice.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] }) }
	shuffle(next[1:])
	return func() (id string) {
		if len(next) == 0 {
			next = slices.Clone(all)
			shuffle(next)
		}
		id, next = next[0], next[1:]
		return id
	}
}

// settle waits until it is quiet and checks everything.
func (s *shop) settle(tr *traffic, before []*inventoryv1.Stock, used map[string]usage, bound time.Duration) {
	s.t.Helper()
	s.quiet(bound)
	f := s.facts(tr.customers)
	// One key, one order: each was told to who placed it, and there is no other.
	for id := range f.orders {
		if _, known := tr.orders.Load(id); !known {
			s.t.Errorf("I7: order %s was placed, and nobody was told", id)
		}
	}
	tr.orders.Range(func(id, key any) bool {
		if f.orders[id.(string)] == nil {
			s.t.Errorf("I7: order %s of key %s is lost", id, key)
		}
		return true
	})
	states := map[string]int{}
	for _, o := range f.orders {
		states[o.GetState().String()]++
	}
	s.t.Logf("%d orders: %v", len(f.orders), states)
	f.hold(tr.customers, before)
	s.leaks(tr.customers, used)
}

// leaks is I10: the processes hold no more than they did before the traffic.
func (s *shop) leaks(customers []*shopper, before map[string]usage) {
	s.t.Helper()
	const slack = 60
	var after map[string]usage
	ok := func() bool {
		s.staff.client.CloseIdleConnections()
		for _, c := range customers {
			c.client.CloseIdleConnections()
		}
		after = s.usage()
		return near(after, before, slack)
	}
	began := time.Now()
	for !ok() {
		if time.Since(began) > time.Minute {
			for id := range after {
				if one := map[string]usage{id: after[id]}; !near(one, before, slack) {
					s.t.Errorf("I10: %s: %s, was %s", id, after[id], before[id])
				}
			}
			return
		}
		s.pause(time.Second)
	}
}
