package e2e

import (
	"os"
	"testing"
	"time"
)

// TestBrokerIsAway kills the broker, a process of its own, while customers buy:
// orders are taken all the same, and when it is back, everything arrives once. With
// SOAK, it is away for a minute.
func TestBrokerIsAway(t *testing.T) {
	away := 10 * time.Second
	if os.Getenv("SOAK") != "" {
		away = time.Minute
	}
	nats := startBroker(t)
	s := openWithBroker(t, nats)
	customers := s.customers(8, func(int) int64 { return 9_000_000 })
	tr := &traffic{t: t, customers: customers, seed: 3, pace: 500 * time.Millisecond,
		skus: []string{"22423", "22752", "22111", "21730", "22910"}, scarce: []string{"22086", "22632", "22866"}}
	for _, sku := range append(tr.scarce, tr.skus...) {
		s.stock(sku, 1000)
	}
	before, used := s.allStock(), s.usage()
	more := func(n int64, when string) {
		t.Helper()
		from := tr.placed.Load()
		until(t, 2*time.Minute, "orders "+when, func() bool { return tr.placed.Load() >= from+n })
	}
	const endless = 1 << 30
	tr.start(s.within(10*time.Minute), endless)
	more(20, "before the broker is away")

	nats.kill()
	began, placed := time.Now(), tr.placed.Load()
	more(40, "while the broker is away")
	s.pause(away - time.Since(began))
	if waiting := s.unsent(); waiting == 0 {
		t.Error("no event waits for the broker, which is away")
	}
	t.Logf("the broker was away for %s, and %d orders were taken", time.Since(began).Round(time.Millisecond), tr.placed.Load()-placed)
	nats.start()

	more(20, "once the broker is back")
	tr.left.Store(0)
	tr.finish()
	s.settle(tr, before, used, 3*time.Minute)
}

// unsent counts the events that the broker has not.
func (s *shop) unsent() (n int) {
	s.t.Helper()
	b := books{s.t, s.data}
	for _, name := range b.names() {
		if b.has(name, "warren_outbox") {
			n += len(b.rows(name, 1, `SELECT id FROM warren_outbox WHERE state = 0`))
		}
	}
	return n
}
