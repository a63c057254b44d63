package rpc

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"

	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/internal/fault"
)

// Faults are put into calls by experiments, through settings that end by
// themselves: a value says until when it holds, and is nothing afterwards even
// if nobody takes it back. Without one a call pays for one look at a nil pointer.

var (
	settingFaultLatency = config.String("rpc.fault.latency", "",
		"Delays calls before their handler: \"until=2026-01-31T12:00:00Z delay=2s jitter=100ms share=0.5\". Experiments write it; one that is over is nothing.")
	settingFaultError = config.String("rpc.fault.error", "",
		"Fails calls instead of their handler: \"until=2026-01-31T12:00:00Z code=UNAVAILABLE share=0.5\". Experiments write it; one that is over is nothing.")
	settingFaultPartition = config.String("rpc.fault.partition", "",
		"Loses the calls from the service that obeys it to another one: \"until=2026-01-31T12:00:00Z to=payment\". "+
			"Experiments write it; one that is over is nothing.")
)

// The kinds of faults, as the metric has them.
const (
	faultLatency   = "latency"
	faultError     = "error"
	faultPartition = "partition"
)

// attributeFault names the fault on the span that it hit.
const attributeFault = "warren.fault"

// faults are those in force in one place. They count themselves.
type faults struct {
	latency, failure, partition []fault.Fault
	counts                      *prometheus.CounterVec
}

func newFaultCounter(registerer prometheus.Registerer) *prometheus.CounterVec {
	return registered(registerer, prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "warren_rpc_faults_total",
		Help: "How many calls an experiment has delayed, failed or lost, by kind and method.",
	}, []string{"kind", "rpc_method"}))
}

// faultPolicy keeps the faults of one place in line with settings.
type faultPolicy struct {
	now    atomic.Pointer[faults] // nil: none, which is almost always
	counts *prometheus.CounterVec
	logger *slog.Logger

	mu      sync.Mutex
	values  []*config.Value[string]
	stops   []func()
	expires *time.Timer
	stopped bool
}

// follow begins to obey settings in a scope.
func (p *faultPolicy) follow(s *config.Settings, scope config.Scope, settings ...config.Setting[string]) {
	for _, setting := range settings {
		v := config.Watch(s, setting, scope)
		p.values = append(p.values, v)
		p.stops = append(p.stops, v.OnChange(func(string) { p.rebuild() }))
	}
	p.rebuild()
}

// rebuild takes over what holds now, and comes back when the first of it ends.
func (p *faultPolicy) rebuild() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return
	}
	now := time.Now()
	f, first := &faults{counts: p.counts}, time.Time{}
	// In the order that follow is told of them: by the server, then by the client.
	for i, v := range p.values {
		live, ends := p.read(v.Get(), now)
		if len(live) == 0 {
			continue
		}
		if first.IsZero() || ends.Before(first) {
			first = ends
		}
		switch {
		case len(p.values) == 1:
			f.partition = live
		case i == 0:
			f.latency = live
		default:
			f.failure = live
		}
	}
	if p.expires != nil {
		p.expires.Stop()
	}
	if first.IsZero() {
		p.now.Store(nil)
		return
	}
	p.now.Store(f)
	p.expires = time.AfterFunc(first.Sub(now), p.rebuild)
}

// read returns the faults of a value that hold, and when the first of them ends.
func (p *faultPolicy) read(raw string, now time.Time) (live []fault.Fault, ends time.Time) {
	all, err := fault.Parse(raw)
	if err != nil {
		p.logger.Error("fault not obeyed", "error", err)
	}
	for _, f := range all {
		if f.Over(now) {
			continue
		}
		if live = append(live, f); ends.IsZero() || f.Until.Before(ends) {
			ends = f.Until
		}
	}
	return live, ends
}

func (p *faultPolicy) stop() {
	for _, stop := range p.stops {
		stop()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopped = true
	if p.expires != nil {
		p.expires.Stop()
	}
}

// struck reports whether a fault hits this call. Time is asked for again: a
// process that was asleep wakes its timers late.
func struck(f fault.Fault) bool {
	return !f.Over(time.Now()) && (f.Share >= 1 || rand.Float64() < f.Share)
}

// serve delays or fails a call before its handler.
func (f *faults) serve(c *call) error {
	for _, one := range f.latency {
		if !struck(one) {
			continue
		}
		f.tell(c.method.name, faultLatency)
		c.span.Tag(attributeFault, faultLatency)
		d := one.Delay
		if one.Jitter > 0 {
			d += rand.N(2*one.Jitter) - one.Jitter
		}
		if !sleep(c.ctx, d) {
			return c.ctx.Err()
		}
	}
	for _, one := range f.failure {
		if !struck(one) {
			continue
		}
		f.tell(c.method.name, faultError)
		c.span.Tag(attributeFault, faultError)
		code := one.Code
		if code == codes.OK {
			code = codes.Unavailable
		}
		return injected(code, one, "an experiment failed the call")
	}
	return nil
}

// lose reports, with the error of a call that gets no answer, that the way to
// a service is cut.
func (f *faults) lose(m *method, service string) error {
	for _, one := range f.partition {
		if one.To == service && struck(one) {
			f.tell(m.metrics.label, faultPartition)
			return injected(codes.Unavailable, one, "an experiment cuts the way to "+service)
		}
	}
	return nil
}

func (f *faults) tell(method, kind string) { f.counts.WithLabelValues(kind, method).Inc() }

func injected(code codes.Code, f fault.Fault, message string) *Error {
	return &Error{Code: code, Reason: "FAULT_INJECTED", Domain: domain, Message: message,
		Metadata: map[string]string{"experiment": f.Experiment}}
}

// lost is the address of who never got a call. Its caller can't know that it was
// not sent, as behind a wire that is cut: it may be sent again only if its
// contract allows that.
type lost struct{}

// Network implements [net.Addr].
func (lost) Network() string { return "lost" }

// String implements [net.Addr].
func (lost) String() string { return "lost" }

func lostPeer() peer.Peer { return peer.Peer{Addr: net.Addr(lost{})} }

// cut returns the error of a call to the instance if an experiment cuts the way.
func (c *Client) cut(m *method, in *instance) error {
	if f := c.faults.now.Load(); f != nil {
		return f.lose(m, in.key.service)
	}
	return nil
}

// lost ends an attempt that an experiment has lost, as one that failed.
func (k *clientCall) lost(ctx context.Context, in *instance, b *breaker, err error) error {
	k.peer, k.trailer = lostPeer(), nil
	k.current.Store(in)
	k.paid = false
	k.span.Tag(attributeFault, faultPartition)
	in.record(k.method.target, b, k.policy.judge(ctx, err, true, 0), err, 0, k.client.now())
	in.release()
	k.tried = append(k.tried, in)
	k.attempts++
	return err
}

// lost is that of a call, for a stream.
func (l *leg) lost(in *instance, b *breaker, err error) error {
	s, now := l.stream, l.stream.client.now()
	s.span.Tag(attributeFault, faultPartition)
	s.mu.Lock()
	l.current = &streamAttempt{in: in, breaker: b, peer: lostPeer(), started: now}
	l.tried = append(l.tried, in)
	l.attempts++
	s.mu.Unlock()
	in.recordStream(s.method.target, b, s.policy.judge(l.ctx, err, true, 0), err, now, now)
	in.release()
	return err
}
