package archive

import (
	"cmp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cespare/xxhash/v2"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/gowarren/warren/internal/redact"
	"github.com/gowarren/warren/internal/signals/scrub"
	"github.com/gowarren/warren/internal/signals/segment"
	"github.com/gowarren/warren/internal/signals/topology"
)

// Attributes that say what a trace belongs to.
const (
	OrderAttribute = "shop.order.id"
	GIDAttribute   = "warren.txn.gid"
)

// Indexed are the attributes that traces are found by.
func Indexed() []string {
	return []string{
		"baggage.synthetic", "db.collection.name", "db.system.name", "deployment.environment.name", "error.type", "http.request.method",
		"http.response.status_code", "http.route", "messaging.destination.name", "rpc.method", "rpc.response.status_code",
		"service.instance.id", "service.version", OrderAttribute,
		"shop.payment.id", "shop.reservation.id", "shop.shipment.id", "user.id", "warren.instance", GIDAttribute,
	}
}

// term is a hash that a trace is found by.
func term(parts ...string) int64 {
	var d xxhash.Digest
	d.Reset()
	for _, p := range parts {
		_, _ = d.WriteString(p)
		_, _ = d.Write([]byte{0})
	}
	return int64(d.Sum64())
}

func serviceTerm(service string) int64         { return term("s", service) }
func nameTerm(name string) int64               { return term("n", name) }
func operationTerm(service, name string) int64 { return term("o", service, name) }
func attributeTerm(key, value string) int64    { return term("a", key, value) }
func errorTerm() int64                         { return term("e") }

// Bounds of what one span may bring.
const (
	chunkSpans   = 500      // of a trace in one chunk
	longestValue = 32 << 10 // of an attribute; the rest is cut off
	longestName  = 512
	// A clock that is further off is not believed: what it says is kept, and
	// listed at the time at which it came.
	mostAhead  = time.Minute
	mostBehind = 24 * time.Hour
)

// spans is what came of one message, ready to be written.
type spans struct {
	chunks   []*segment.Chunk
	calls    []topology.Span
	count    int
	bytes    int64
	redacted int
	probes   int // spans left out
}

// splitter takes a message apart by traces.
type splitter struct {
	now     int64
	indexed map[string]bool
	codec   *codec
	probes  probes
	open    map[segment.ID]*building
	out     spans
}

// building is a chunk that spans are added to.
type building struct {
	chunk     *segment.Chunk
	traces    ptrace.Traces
	target    ptrace.SpanSlice
	resource  int // which resource and scope of the message target is for
	terms     map[int64]struct{}
	rootStart int64
}

// split takes a message apart, which is used up.
func (a *Archive) split(td ptrace.Traces) (spans, error) {
	s := &splitter{
		now: a.now().UnixNano(), indexed: a.indexed, codec: a.codec, probes: findProbes(td, a.probes), open: map[segment.ID]*building{},
	}
	place := 0
	for _, rs := range td.ResourceSpans().All() {
		resource := rs.Resource()
		s.out.redacted += s.clean(resource.Attributes())
		from := origin(resource)
		for _, ss := range rs.ScopeSpans().All() {
			place++
			s.cleanScope(ss.Scope())
			for _, span := range ss.Spans().All() {
				if err := s.span(span, rs, ss, from, place); err != nil {
					return spans{}, err
				}
			}
		}
	}
	for _, b := range s.open {
		if err := s.finish(b); err != nil {
			return spans{}, err
		}
	}
	return s.out, nil
}

// from is who recorded a span.
type from struct{ service, instance, version, environment string }

func origin(r pcommon.Resource) from {
	get := getter(r.Attributes())
	return from{
		service:  cmp.Or(get("service.name"), "unknown"),
		instance: get("service.instance.id"), version: get("service.version"),
		environment: get("deployment.environment.name"),
	}
}

func short(s string) string {
	if len(s) > longestName {
		s = s[:longestName]
	}
	return valid(s)
}

// valid makes a text that can be sent to whoever asks of what a sender sends, who
// may send any bytes, and of what was cut off in the middle of a letter.
func valid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

func (s *splitter) clean(m pcommon.Map) int {
	readable := true
	for key, v := range m.All() {
		readable = readable && utf8.ValidString(key)
		if v.Type() != pcommon.ValueTypeStr {
			continue // what is within is written as JSON, which is text
		}
		switch text := v.Str(); {
		case len(text) > longestValue:
			v.SetStr(valid(text[:longestValue]) + "…")
		case !utf8.ValidString(text):
			v.SetStr(valid(text))
		}
	}
	if !readable {
		m.RemoveIf(func(key string, _ pcommon.Value) bool { return !utf8.ValidString(key) })
	}
	return scrub.Attributes(m)
}

func (s *splitter) span(span ptrace.Span, rs ptrace.ResourceSpans, ss ptrace.ScopeSpans, from from, place int) error {
	if span.TraceID().IsEmpty() || span.SpanID().IsEmpty() {
		return nil // not a span
	}
	if s.probes.covers(span) {
		s.out.probes++
		return nil
	}
	span.SetName(short(span.Name()))
	s.cleanSpan(span)
	id := segment.ID(span.TraceID())
	b := s.open[id]
	if b != nil && b.chunk.Spans >= chunkSpans {
		if err := s.finish(b); err != nil {
			return err
		}
		b = nil
	}
	if b == nil {
		b = s.begin(id)
		s.open[id] = b
	}
	s.out.count++
	s.out.calls = append(s.out.calls, side(span, from))
	b.note(span, from, s)
	if b.resource != place {
		to := b.traces.ResourceSpans().AppendEmpty()
		rs.Resource().CopyTo(to.Resource())
		scope := to.ScopeSpans().AppendEmpty()
		ss.Scope().CopyTo(scope.Scope())
		b.target, b.resource = scope.Spans(), place
	}
	span.MoveTo(b.target.AppendEmpty())
	return nil
}

func (s *splitter) cleanSpan(span ptrace.Span) {
	n := s.clean(span.Attributes())
	for _, e := range span.Events().All() {
		name, found := redact.Text(short(e.Name()))
		e.SetName(name)
		n += found + s.clean(e.Attributes())
	}
	for _, l := range span.Links().All() {
		n += s.clean(l.Attributes())
	}
	if clean, found := redact.Text(span.Name()); found > 0 {
		span.SetName(clean)
		n += found
	}
	message, found := redact.Text(valid(span.Status().Message()))
	span.Status().SetMessage(message)
	s.out.redacted += n + found
}

func (s *splitter) cleanScope(scope pcommon.InstrumentationScope) {
	scope.SetName(short(scope.Name()))
	scope.SetVersion(short(scope.Version()))
	s.out.redacted += s.clean(scope.Attributes())
}

func (s *splitter) begin(id segment.ID) *building {
	return &building{chunk: &segment.Chunk{Trace: id}, traces: ptrace.NewTraces(), terms: map[int64]struct{}{}}
}

// note adds what a span says of its trace.
func (b *building) note(span ptrace.Span, from from, s *splitter) {
	c := b.chunk
	start, end := int64(span.StartTimestamp()), int64(max(span.StartTimestamp(), span.EndTimestamp()))
	root := span.ParentSpanID().IsEmpty()
	if c.Spans == 0 || root && !c.Rooted || root == c.Rooted && start < b.rootStart {
		c.Service, c.Name, c.Rooted, b.rootStart = from.service, span.Name(), root, start
	}
	c.Extend(start, end, end > s.now+int64(mostAhead) || start < s.now-int64(mostBehind))
	c.Spans++
	if i, found := slices.BinarySearch(c.Services, from.service); !found {
		c.Services = slices.Insert(c.Services, i, from.service)
	}
	if span.Status().Code() == ptrace.StatusCodeError {
		c.Errors++
		b.terms[errorTerm()] = struct{}{}
	}
	operation := operationTerm(from.service, span.Name())
	if _, known := b.terms[operation]; !known {
		b.terms[operation] = struct{}{}
		b.terms[nameTerm(span.Name())] = struct{}{}
		b.terms[serviceTerm(from.service)] = struct{}{}
		c.Operations = append(c.Operations, segment.Operation{Service: from.service, Name: span.Name()})
	}
	for key, value := range map[string]string{
		"service.version": from.version, "service.instance.id": from.instance, "deployment.environment.name": from.environment,
	} {
		if value != "" {
			b.terms[attributeTerm(key, value)] = struct{}{}
		}
	}
	for key, v := range span.Attributes().All() {
		if !s.indexed[key] {
			continue
		}
		value := v.AsString()
		b.terms[attributeTerm(key, value)] = struct{}{}
		switch key {
		case OrderAttribute:
			c.OrderID = cmp.Or(c.OrderID, short(value))
		case GIDAttribute:
			c.GID = cmp.Or(c.GID, short(value))
		}
	}
}

// apart is by how much a trace is found later than it began, by a clock that only
// knows milli- or microseconds: pages end at a time, at which many others may have
// begun by such a clock.
func apart(start int64, id segment.ID) int64 {
	for _, tick := range [...]time.Duration{time.Millisecond, time.Microsecond} {
		if start%int64(tick) == 0 {
			return int64(xxhash.Sum64(id[:]) % uint64(tick))
		}
	}
	return 0
}

// finish encodes a chunk.
func (s *splitter) finish(b *building) (err error) {
	c := b.chunk
	c.At = c.Start + apart(c.Start, c.Trace)
	if !c.Trusted {
		c.At = s.now + int64(len(s.out.chunks)) // each its own, since pages end at a time
	}
	for t := range b.terms {
		c.Terms = append(c.Terms, t)
	}
	if c.Data, err = s.codec.encode(b.traces); err != nil {
		return err
	}
	const overhead = 512 // what a chunk takes in memory beside its data
	s.out.bytes += int64(len(c.Data)+16*len(c.Terms)) + overhead
	s.out.chunks = append(s.out.chunks, c)
	delete(s.open, c.Trace)
	return nil
}
