package telemetry

import (
	"context"
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
// has room for the first steps, so that all of them together cost one allocation.
type passage struct {
	trace trace.TraceID
	state string // tracestate as received: opaque to us, passed on as it is
	used  atomic.Int32
	room  []link
	at    link // where the trace came in, or began
}

// newPassage makes a passage with room for that many steps.
func newPassage(room int) *passage {
	switch room {
	case 0:
		return new(passage)
	case 1:
		p := new(struct {
			passage
			room [1]link
		})
		p.passage.room = p.room[:]
		return &p.passage
	}
	p := new(struct {
		passage
		room [2]link
	})
	p.passage.room = p.room[:]
	return &p.passage
}

// next returns an unused link.
func (p *passage) next() *link {
	if int(p.used.Load()) < len(p.room) { // most are few: the count must not run over
		if n := int(p.used.Add(1)); n <= len(p.room) {
			return &p.room[n-1]
		}
	}
	return new(link)
}

// link is a context that holds a place in a trace. It is its own type, not
// context.WithValue, because that would cost a second allocation per request.
type link struct {
	context.Context
	passage *passage // nil: no trace yet, only what is to be carried by it
	id      trace.SpanID
	flags   trace.TraceFlags
	remote  bool    // the place is the caller's: it came over the wire
	open    bool    // whether the trace is recorded is still to be decided here
	wanted  *string // why the trace is recorded from here on, which it was not before
	baggage *string // what else is carried, as it is sent; nil: nothing
	current *Span   // that of this step; nil for a place that came over the wire
	span    Span    // what current points to where the step is this one
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

// begin makes ids for a new trace: it gets them whether it is recorded or not, so
// that the lines its request logs in all services can be found together.
func (p *passage) begin() {
	p.at.passage, p.at.flags, p.at.id = p, trace.FlagsRandom, newSpanID()
	for !p.trace.IsValid() {
		putUint64(p.trace[:8], rand.Uint64())
		putUint64(p.trace[8:], rand.Uint64())
	}
}

func newSpanID() (id trace.SpanID) {
	for !id.IsValid() {
		putUint64(id[:], rand.Uint64())
	}
	return id
}

func putUint64(b []byte, v uint64) {
	for i := range 8 {
		b[i] = byte(v >> (56 - 8*i))
	}
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
	p := newPassage(t.room(2))
	p.trace, p.state = at.trace, at.state
	p.at = link{Context: ctx, passage: p, id: at.span, flags: at.flags, remote: true}
	if baggage != "" {
		carried := baggage // not the parameter, which would always be allocated
		p.at.baggage = &carried
	}
	return &p.at
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
