package telemetry

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"sync/atomic"

	"go.opentelemetry.io/otel/trace"
)

// The header names of the W3C Trace Context recommendation.
const (
	traceparentKey = "traceparent"
	tracestateKey  = "tracestate"
)

// maxTracestate is what the recommendation asks everybody to carry at least;
// what is longer is dropped rather than cut.
const maxTracestate = 512

// passage is what is the same all along a trace's way through this process. It
// may have room for the first steps, so that all of them together cost one
// allocation.
type passage struct {
	trace  trace.TraceID
	tracer *Tracer
	room   *[2]Span
	used   atomic.Int32
	extra  atomic.Pointer[extra] // nil: nothing of it
}

// extra is what few traces have.
type extra struct {
	state  string // tracestate as received: opaque to us, passed on as it is
	wanted string // why the trace is recorded from somewhere on, which it was not before
}

// started is a passage that begins here.
type started struct {
	passage
	room [2]Span
}

// arrived is a passage that came over the wire.
type arrived struct {
	passage
	at   link // at the caller's
	room [2]Span
}

// carried is a passage, begun here or elsewhere, of which nothing is recorded.
type carried struct {
	passage
	at link
}

// state is the tracestate, or "".
func (p *passage) state() string {
	if e := p.extra.Load(); e != nil {
		return e.state
	}
	return ""
}

// step returns an unused span.
func (p *passage) step() *Span {
	if p.room != nil && int(p.used.Load()) < len(p.room) { // most are few: the count must not run over
		if n := int(p.used.Add(1)); n <= len(p.room) {
			return &p.room[n-1]
		}
	}
	return new(Span)
}

// of is the passage as another tracer of the process has it.
func (p *passage) of(t *Tracer) *passage {
	if p.tracer == t {
		return p
	}
	other := &passage{trace: p.trace, tracer: t}
	other.extra.Store(p.extra.Load())
	return other
}

// link is a context that holds a place in a trace. It is its own type, not
// context.WithValue, because that would cost a second allocation per request.
type link struct {
	context.Context
	passage *passage // nil: no trace yet, only what is to be carried by it
	current *Span    // that of this step; nil for a place that came over the wire
	baggage *string  // what else is carried, as it is sent; nil: nothing
	id      trace.SpanID
	flags   trace.TraceFlags
	remote  bool  // the place is the caller's: it came over the wire
	open    bool  // whether the trace is recorded is still to be decided here
	kept    bool  // the trace is recorded from here on, which it was not before
	kind    uint8 // of the step: a trace.SpanKind
}

type linkKey struct{}

// Value makes the link itself findable from contexts derived from it.
func (l *link) Value(key any) any {
	if _, ok := key.(linkKey); ok {
		return l
	}
	return l.Context.Value(key)
}

func linkOf(ctx context.Context) *link {
	l, _ := ctx.Value(linkKey{}).(*link)
	return l
}

// placed is linkOf where the link is a place in a trace, else nil.
func placed(ctx context.Context) *link {
	if l := linkOf(ctx); l != nil && l.passage != nil {
		return l
	}
	return nil
}

func (l *link) sampled() bool { return l.flags.IsSampled() }

// newTraceID makes the id of a new trace: it gets one whether it is recorded or
// not, so that the lines its request logs in all services can be found together.
func newTraceID() (id trace.TraceID) {
	for !id.IsValid() {
		binary.BigEndian.PutUint64(id[:8], rand.Uint64())
		binary.BigEndian.PutUint64(id[8:], rand.Uint64())
	}
	return id
}

func newSpanID() (id trace.SpanID) {
	for !id.IsValid() {
		binary.BigEndian.PutUint64(id[:], rand.Uint64())
	}
	return id
}

// traceparent is the place in the form of version 00.
func (l *link) traceparent() string {
	var b [55]byte
	b[0], b[1], b[2] = '0', '0', '-'
	hex.Encode(b[3:35], l.passage.trace[:])
	b[35] = '-'
	hex.Encode(b[36:52], l.id[:])
	b[52] = '-'
	hex.Encode(b[53:55], []byte{byte(l.flags & (trace.FlagsSampled | trace.FlagsRandom))})
	return string(b[:])
}

// position is a place in a trace as it came over the wire.
type position struct {
	trace trace.TraceID
	span  trace.SpanID
	flags trace.TraceFlags
	state string
}

// arrive is where a trace goes on that came over the wire.
func (t *Tracer) arrive(ctx context.Context, at position, baggage string) *link {
	var p *passage
	var l *link
	if t.spans != nil {
		a := new(arrived)
		p, l = &a.passage, &a.at
		p.room = &a.room
	} else {
		c := new(carried)
		p, l = &c.passage, &c.at
	}
	p.trace, p.tracer = at.trace, t
	if at.state != "" {
		p.extra.Store(&extra{state: at.state})
	}
	l.Context, l.passage, l.id, l.flags, l.remote = ctx, p, at.span, at.flags, true
	if baggage != "" {
		sent := baggage // not the parameter, which would always be allocated
		l.baggage = &sent
	}
	return l
}

// parseTraceparent reads a traceparent header, strictly: lower-case hex, no id
// of zeros, and nothing after the flags in version 00. Later versions may have
// more after a dash; version ff is forbidden.
func parseTraceparent(s string) (position, bool) {
	var p position
	var version, flags [1]byte
	switch {
	case len(s) < 55 || s[2] != '-' || s[35] != '-' || s[52] != '-':
		return position{}, false
	case !unhex(version[:], s[0:2]) || version[0] == 0xff:
		return position{}, false
	case version[0] == 0 && len(s) != 55, len(s) > 55 && s[55] != '-':
		return position{}, false
	case !unhex(p.trace[:], s[3:35]) || !unhex(p.span[:], s[36:52]) || !unhex(flags[:], s[53:55]):
		return position{}, false
	case !p.trace.IsValid() || !p.span.IsValid():
		return position{}, false
	}
	// Flags that a later version adds mean nothing to us and must not travel on.
	p.flags = trace.TraceFlags(flags[0]) & (trace.FlagsSampled | trace.FlagsRandom)
	return p, true
}

// unhex decodes lower-case hex only: the recommendation forbids the other.
func unhex(dst []byte, s string) bool {
	for i := range dst {
		hi, ok1 := nibble(s[2*i])
		lo, ok2 := nibble(s[2*i+1])
		if !ok1 || !ok2 {
			return false
		}
		dst[i] = hi<<4 | lo
	}
	return true
}

func nibble(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	}
	return 0, false
}

// validTracestate says whether s may be passed on.
func validTracestate(s string) bool {
	if s == "" || len(s) > maxTracestate {
		return false
	}
	state, err := trace.ParseTraceState(s)
	return err == nil && state.Len() > 0
}
