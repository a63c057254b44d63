package limit

import (
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"
)

type clock struct{ now time.Time }

func (c *clock) read() time.Time { return c.now }

func newClock() *clock { return &clock{now: time.Unix(1_700_000_000, 0)} }

func TestBurstThenExactWait(t *testing.T) {
	c := newClock()
	l := New(Options{Clock: c.read})
	rate := Rate{Requests: 10, Per: time.Second, Burst: 3}
	for i := range 3 {
		d := l.Allow("k", rate)
		if !d.Allowed || d.Remaining != 2-i || d.Limit != 3 {
			t.Fatalf("request %d: %+v", i, d)
		}
	}
	d := l.Allow("k", rate)
	if d.Allowed || d.RetryAfter != 100*time.Millisecond {
		t.Fatalf("want a wait of exactly 100ms, got %+v", d)
	}
	c.now = c.now.Add(d.RetryAfter - 1)
	if l.Allow("k", rate).Allowed {
		t.Fatal("allowed a nanosecond too early")
	}
	c.now = c.now.Add(1)
	if !l.Allow("k", rate).Allowed {
		t.Fatal("refused after the wait that was promised")
	}
}

func TestPreciseOverTime(t *testing.T) {
	c := newClock()
	l := New(Options{Clock: c.read})
	rate := Rate{Requests: 100, Per: time.Second, Burst: 1}
	allowed := 0
	for range 100_000 { // ten seconds in steps of 0.1 ms
		if l.Allow("k", rate).Allowed {
			allowed++
		}
		c.now = c.now.Add(100 * time.Microsecond)
	}
	if allowed != 1000 {
		t.Fatalf("allowed %d in 10 s at 100/s", allowed)
	}
}

func TestRateChangesLive(t *testing.T) {
	c := newClock()
	l := New(Options{Clock: c.read})
	slow := Rate{Requests: 1, Per: time.Hour}
	l.Allow("k", slow)
	if l.Allow("k", slow).Allowed {
		t.Fatal("the slow rate allowed a second request")
	}
	fast := Rate{Requests: 10, Per: time.Second, Burst: 1}
	if d := l.Allow("k", fast); d.RetryAfter > 100*time.Millisecond {
		t.Fatalf("the old rate still blocks: %+v", d)
	}
	if !l.Allow("k", Rate{}).Allowed {
		t.Fatal("no rate must mean no limit")
	}
}

func TestReturn(t *testing.T) {
	c := newClock()
	l := New(Options{Clock: c.read})
	rate := Rate{Requests: 1, Per: time.Minute}
	l.Allow("k", rate)
	l.Return("k", rate)
	if !l.Allow("k", rate).Allowed {
		t.Fatal("a returned request was lost")
	}
}

func TestMemoryIsBoundedAndActiveKeysSurvive(t *testing.T) {
	c := newClock()
	l := New(Options{Clock: c.read, MaxKeys: 6400})
	limited := Rate{Requests: 1, Per: time.Hour}
	for i := range 10 {
		l.Allow(fmt.Sprint("limited-", i), limited)
	}
	flood := Rate{Requests: 100, Per: time.Second}
	for i := range 100_000 {
		l.Allow(fmt.Sprint("flood-", i), flood)
		c.now = c.now.Add(10 * time.Microsecond)
	}
	if n := l.Len(); n > 6400 {
		t.Fatalf("%d keys remembered, 6400 allowed", n)
	}
	for i := range 10 {
		if l.Allow(fmt.Sprint("limited-", i), limited).Allowed {
			t.Fatalf("limited-%d was forgotten while it was limited", i)
		}
	}
}

func TestConcurrentCallersShareOneBucket(t *testing.T) {
	c := newClock()
	l := New(Options{Clock: c.read})
	rate := Rate{Requests: 50, Per: time.Hour}
	var wg sync.WaitGroup
	var mu sync.Mutex
	allowed := 0
	for range 8 {
		wg.Go(func() {
			for range 100 {
				if l.Allow("k", rate).Allowed {
					mu.Lock()
					allowed++
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	if allowed != 50 {
		t.Fatalf("allowed %d, want 50", allowed)
	}
}

func TestAddressKey(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.7":        "192.0.2.7",
		"::ffff:192.0.2.7": "192.0.2.7",
		"2001:db8:1:2::1":  "2001:db8:1:2::/64",
		"2001:db8:1:2:f::": "2001:db8:1:2::/64",
		"fe80::1%eth0":     "fe80::/64",
	} {
		if got := AddressKey(netip.MustParseAddr(in)); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

func BenchmarkAllow(b *testing.B) {
	l := New(Options{})
	rate := Rate{Requests: 1_000_000_000, Per: time.Second}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			l.Allow("192.0.2.7", rate)
		}
	})
}

func TestHugeBurstsDoNotOverflow(t *testing.T) {
	l := New(Options{})
	rate := Rate{Requests: 1, Per: 24 * time.Hour, Burst: 1_000_000_000}
	for i := range 100 {
		if d := l.Allow("a", rate); !d.Allowed || d.Remaining <= 0 {
			t.Fatalf("request %d of a billion: %+v", i+1, d)
		}
	}
}
