package telemetry

import (
	"context"
	"encoding/hex"
	"math/rand/v2"

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

// position is a place in a trace: what a request carries from hop to hop.
type position struct {
	trace trace.TraceID
	span  trace.SpanID
	flags trace.TraceFlags
	state string // tracestate as received: opaque to us, passed on as it is
}

func (p *position) sampled() bool { return p.flags.IsSampled() }

// link is a context that holds a position. It is its own type, not
// context.WithValue, because that would cost a second allocation per request.
type link struct {
	context.Context
	position
	span   *Span // nil when the trace isn't recorded here
	remote bool  // the position is the caller's: it came over the wire
	open   bool  // whether the trace is recorded is still to be decided here
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

// newPosition starts a trace that isn't recorded: it gets ids all the same, so
// that the lines its request logs in all services can be found together.
func newPosition() position {
	p := position{flags: trace.FlagsRandom}
	for !p.trace.IsValid() {
		putUint64(p.trace[:8], rand.Uint64())
		putUint64(p.trace[8:], rand.Uint64())
	}
	for !p.span.IsValid() {
		putUint64(p.span[:], rand.Uint64())
	}
	return p
}

func putUint64(b []byte, v uint64) {
	for i := range 8 {
		b[i] = byte(v >> (56 - 8*i))
	}
}

// traceparent is the position in the form of version 00.
func (p *position) traceparent() string {
	var b [55]byte
	b[0], b[1], b[2] = '0', '0', '-'
	hex.Encode(b[3:35], p.trace[:])
	b[35] = '-'
	hex.Encode(b[36:52], p.span[:])
	b[52] = '-'
	hex.Encode(b[53:55], []byte{byte(p.flags & (trace.FlagsSampled | trace.FlagsRandom))})
	return string(b[:])
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
