package telemetry

import (
	"context"
	"strings"
)

// maxPlace is how long a place is at the most: it is to fit in a column.
const maxPlace = 128

// Place returns where the trace of ctx is, and what it carries, to be kept with
// work that is done later, in the row that a timer will find: [Tracer.Resume] goes
// on from there. It has 128 bytes at the most: baggage that does not fit is left
// out, and so is tracestate. Where there is no trace, it is empty.
func (t *Tracer) Place(ctx context.Context) string {
	var parent, baggage string
	t.Inject(ctx, func(key, value string) {
		switch key {
		case traceparentKey:
			parent = value
		case baggageKey:
			baggage = value
		}
	})
	if baggage == "" || len(parent)+1+len(baggage) > maxPlace {
		return parent
	}
	return parent + " " + baggage
}

// Resume returns a context that goes on with a trace at the place that was kept:
// what is started with it belongs to whoever asked for the work, however long ago,
// and is recorded if he was. A place that is empty or damaged is as good as none.
func (t *Tracer) Resume(ctx context.Context, place string) context.Context {
	parent, baggage, _ := strings.Cut(place, " ")
	return t.Extract(ctx, func(key string) string {
		switch key {
		case traceparentKey:
			return parent
		case baggageKey:
			return baggage
		}
		return ""
	})
}
