package rpc

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gowarren/warren/registry"
)

func TestBudgetPaysOutWhatWasPaidIn(t *testing.T) {
	var b budget
	p := &targetPolicy{budget: 0.1, reserve: 2}
	count := func() (n int) {
		for b.take() {
			n++
		}
		return n
	}
	for range 100 {
		b.deposit(p, 1000, 1)
	}
	if n := count(); n != 10 {
		t.Errorf("100 calls allow %d retries, want 10", n)
	}
	b.deposit(p, 1000, int64(time.Second)+1)
	if n := count(); n != 2 {
		t.Errorf("a second allows %d retries, want the reserve of 2", n)
	}
	for range 5000 {
		b.deposit(p, 300, int64(time.Second)+1)
	}
	if n := count(); n != 30 {
		t.Errorf("%d retries were saved up, want a tenth of the window's 300 calls", n)
	}
}

func TestThrottleLetsThroughAFactorOfWhatIsAccepted(t *testing.T) {
	var th throttle
	p := &targetPolicy{throttleK: 2, throttleWindow: time.Second}
	now := int64(time.Hour)
	sent := 0
	for range 4000 { // the server accepts nothing
		now += int64(25 * time.Millisecond)
		if th.allow(p, now) {
			sent++
			th.refused(p, now)
		}
	}
	if sent == 0 || sent > 4000 {
		t.Errorf("%d of 4000 calls were sent", sent)
	}
	now += int64(time.Minute)
	for range 100 {
		if !th.allow(p, now) {
			t.Fatal("a new window begins with calls held back")
		}
	}
}

func TestThrottleHoldsBackInProportion(t *testing.T) {
	var th throttle
	p := &targetPolicy{throttleK: 2, throttleWindow: time.Hour}
	now, sent, accepted := int64(1), 0, -10
	const calls = 20000
	for i := range calls {
		now += int64(21 * time.Millisecond)
		if !th.allow(p, now) {
			continue
		}
		sent++
		if i < accepted+10 { // the server can do a tenth of what is asked
			th.refused(p, now)
		} else {
			accepted = i
		}
	}
	if share := float64(sent) / calls; share < 0.1 || share > 0.3 {
		t.Errorf("%.2f of the calls were sent to a server that does a tenth, want twice as many", share)
	}
	if th.current() == 0 {
		t.Error("nothing is held back")
	}
}

func TestJudgeTellsInstanceFromCaller(t *testing.T) {
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		name string
		ctx  context.Context
		err  error
		sent bool
		took time.Duration
		want outcome
	}{
		{"success", t.Context(), nil, true, time.Second, succeeded},
		{"refused connection", t.Context(), status.Error(codes.Unavailable, ""), false, 0, neutral},
		{"broken connection", t.Context(), status.Error(codes.Unavailable, ""), true, 0, failed},
		{"caller left", cancelled, status.Error(codes.Unavailable, ""), true, 0, neutral},
		{"deadline", t.Context(), status.Error(codes.DeadlineExceeded, ""), true, time.Second, failed},
		{"impatient caller", t.Context(), status.Error(codes.DeadlineExceeded, ""), true, 400 * time.Millisecond, neutral},
		{"bad request", t.Context(), status.Error(codes.InvalidArgument, ""), true, 0, succeeded},
		{"overload", t.Context(), &Error{Code: codes.Unavailable, RetryAfter: time.Second}, true, 0, shed},
		{"quota", t.Context(), &Error{Code: codes.ResourceExhausted, Reason: "QUOTA", Domain: "shop", RetryAfter: time.Second}, true, 0, succeeded},
		{"other service", t.Context(), &Error{Code: codes.Unavailable, Reason: "DEPENDENCY_UNAVAILABLE", Domain: domain}, true, 0, neutral},
	} {
		p := policy{timeout: 2 * time.Second}
		if got := p.judge(c.ctx, c.err, c.sent, c.took); got != c.want {
			t.Errorf("%s: judged %d, want %d", c.name, got, c.want)
		}
	}
	late := status.Error(codes.DeadlineExceeded, "")
	for timeout, least := range map[time.Duration]time.Duration{time.Millisecond: meaningful, time.Minute: 15 * time.Second} {
		p := policy{timeout: timeout}
		if p.judge(t.Context(), late, true, least-1) != neutral || p.judge(t.Context(), late, true, least) != failed {
			t.Errorf("of a call that may take %v, a deadline does not begin to count after %v", timeout, least)
		}
	}
	if got := new(policy).judge(t.Context(), late, true, time.Hour); got != neutral {
		t.Errorf("a deadline of a stream without end is the caller's: judged %d", got)
	}
}

func TestWhoIsInAHurryAsksForNoSignOfLife(t *testing.T) {
	for left, watched := range map[time.Duration]bool{100 * time.Millisecond: false, time.Minute: true} {
		ctx, cancel := context.WithTimeout(t.Context(), left)
		w, _ := new(method).watch(ctx, &watcher{silence: time.Second})
		if w.done(); (w != nil) != watched {
			t.Errorf("a call that has %v left is watched: %v", left, w != nil)
		}
		cancel()
	}
}

func TestThrottleForgetsAWindowThatWasShorter(t *testing.T) {
	var th throttle
	now := int64(time.Hour)
	short, long := &targetPolicy{throttleK: 2, throttleWindow: time.Second}, &targetPolicy{throttleK: 2, throttleWindow: time.Minute}
	for range 1000 { // nothing is accepted
		now += int64(time.Millisecond)
		th.allow(short, now)
		th.refused(short, now)
	}
	now += int64(time.Minute)
	if th.allow(long, now); th.current() != 0 {
		t.Errorf("a minute after the last refusal %.0f %% of the calls are held back", 100*th.current())
	}
}

// Instances that serve plain HTTP stand in the registry beside those that are called,
// and are no reason to eject more of these.
func TestEjectionCountsInstancesThatAreCalled(t *testing.T) {
	p := newPool(t.Context(), &Client{born: time.Now(), logger: slog.New(slog.DiscardHandler), metrics: &clientMetrics{ejections: prometheus.NewCounter(prometheus.CounterOpts{Name: "n_total", Help: "Nothing."})}})
	var called []*instance
	for _, id := range []string{"a", "b"} {
		for suffix, contracts := range map[string][]string{"": {"c"}, ".http": nil} {
			info := registry.Instance{Service: "site", ID: id + suffix, State: registry.Ready, Address: id + suffix, Contracts: contracts}
			p.take(instanceKey{info.Service, info.ID}, info)
			if in := p.instances[instanceKey{info.Service, info.ID}]; contracts != nil {
				called = append(called, in)
			}
		}
	}
	policy := outlierPolicy{share: 0.5, ejection: time.Minute, most: time.Minute}
	for _, in := range called {
		p.eject(in, policy, 1)
	}
	if called[0].stats.outlier.ejected(2) == called[1].stats.outlier.ejected(2) {
		t.Error("of two instances not one was ejected")
	}
}

func TestEjectionGrowsAndIsForgiven(t *testing.T) {
	var o outlier
	p := outlierPolicy{failures: 2, ratio: 1, calls: 1000, window: time.Minute, ejection: time.Second, most: 3 * time.Second}
	now, err := int64(0), status.Error(codes.Internal, "")
	for _, want := range []time.Duration{time.Second, 2 * time.Second, 3 * time.Second, 3 * time.Second} {
		if o.failed(err, now, now, p) || !o.failed(err, now, now, p) {
			t.Fatal("want ejection after the second failure in a row")
		}
		if got := o.eject(now, p); got != want {
			t.Errorf("ejected for %v, want %v", got, want)
		}
		now += int64(want)
	}
	now += int64(p.most) + 1
	o.succeeded(now, p)
	if got := o.eject(now, p); got != time.Second {
		t.Errorf("after a good time: ejected for %v, want 1s", got)
	}
}

func TestCallsOfOneBrokenConnectionAreOneFailure(t *testing.T) {
	var o outlier
	p := outlierPolicy{failures: 2, ratio: 1, calls: 1000, window: time.Minute, ejection: time.Second, most: time.Second}
	err := status.Error(codes.Unavailable, "connection reset")
	for i := range int64(50) {
		if o.failed(err, 100, 200+i, p) {
			t.Fatal("ejected for one broken connection")
		}
	}
	if !o.failed(err, 300, 400, p) {
		t.Error("not ejected for the second")
	}
}
