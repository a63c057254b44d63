package telemetry

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

// What makes a span be recorded whose trace was not chosen.
const (
	lateError = "error"
	lateSlow  = "slow"
)

const (
	defaultSlow = time.Second
	defaultLate = 200
)

// late decides which spans are recorded at their end. Their number is bounded:
// when everything goes wrong at once, that is no moment for more work.
type late struct {
	threshold func() time.Duration
	most      func() int // a second

	mu     sync.Mutex
	second int64
	taken  int

	kept    *prometheus.CounterVec
	refused prometheus.Counter
}

func newLate(opts Options, metrics prometheus.Registerer) (*late, error) {
	l := &late{
		threshold: opts.Slow, most: opts.Late,
		kept: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "warren_traces_late_spans_total", Help: "Spans recorded although their trace was not chosen, by why.",
		}, []string{"reason"}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "warren_traces_late_refused_spans_total", Help: "Spans not recorded after all, because of the limit trace.late.",
		}),
	}
	if l.threshold == nil {
		l.threshold = func() time.Duration { return defaultSlow }
	}
	if l.most == nil {
		l.most = func() int { return defaultLate }
	}
	for _, reason := range []string{lateError, lateSlow} {
		l.kept.WithLabelValues(reason)
	}
	return l, register(metrics, l.kept, l.refused)
}

// wanted says whether anything is recorded late at all.
func (l *late) wanted() bool { return l.most() > 0 }

// admit says whether one more may be recorded this second.
func (l *late) admit(second int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if second != l.second {
		l.second, l.taken = second, 0
	}
	if l.taken >= l.most() {
		return false
	}
	l.taken++
	return true
}

// slow says whether a span that is not recorded has lasted so long that it is now.
func (s *Span) slow() bool {
	t := s.tracer()
	threshold := t.late.threshold()
	if threshold <= 0 || time.Since(t.began)-s.began < threshold {
		return false
	}
	return s.keep(lateSlow)
}

// keep has a span recorded after all, as it began. It says whether it is.
func (s *Span) keep(reason string) bool {
	if s.recorded.Load() != nil {
		return true
	}
	t := s.tracer()
	l, now := t.late, time.Since(t.began)
	if !l.admit(int64(now / time.Second)) {
		l.refused.Inc()
		return false
	}
	s.record(time.Now().Add(s.began - now))
	l.kept.WithLabelValues(reason).Inc()
	s.SetAttr(lateAttrs(reason)...)
	return true
}

func lateAttrs(reason string) []attribute.KeyValue {
	return []attribute.KeyValue{attribute.Bool("warren.sampled.late", true), attribute.String("warren.sampled.reason", reason)}
}

// Keep has everything recorded that is started with the context it returns, here
// and in whatever is called from there, although the trace was not chosen. The
// reason is a word that says why, "compensation".
func Keep(ctx context.Context, reason string) context.Context {
	at := placed(ctx)
	if at == nil || at.sampled() && !at.open {
		return ctx
	}
	at.passage.extra.Store(&extra{state: at.passage.state(), wanted: reason})
	return &link{
		Context: ctx, passage: at.passage, id: at.id, flags: at.flags | trace.FlagsSampled, remote: at.remote,
		kept: true, baggage: at.baggage, current: at.current,
	}
}

// named is a context from which the SDK learns the ids of the span it builds.
type named struct {
	context.Context
	link *link
}

// Value answers for the link too.
func (n *named) Value(key any) any {
	if _, ok := key.(linkKey); ok {
		return n.link
	}
	return n.Context.Value(key)
}

// ids gives spans the ids that they were started with.
type ids struct{}

// NewIDs implements sdktrace.IDGenerator, for a trace's first span.
func (ids) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	if l := placed(ctx); l != nil {
		return l.passage.trace, l.id
	}
	return newTraceID(), newSpanID() // for a library that starts spans of its own
}

// NewSpanID implements sdktrace.IDGenerator.
func (ids) NewSpanID(ctx context.Context, _ trace.TraceID) trace.SpanID {
	if l := placed(ctx); l != nil {
		return l.id
	}
	return newSpanID()
}
