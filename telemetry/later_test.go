package telemetry_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/trace"

	"github.com/gowarren/warren/telemetry"
)

// What is done later, by another process, belongs to the trace of who asked for it:
// it is recorded if he was, and else if it goes wrong.
func TestWorkDoneLaterBelongsToWhoAskedForIt(t *testing.T) {
	for name, test := range map[string]struct {
		sample func() float64
		wrong  error
		spans  int
	}{
		"recorded":            {always, nil, 1},
		"not recorded":        {never, nil, 0},
		"wrong, and recorded": {always, errors.New("nobody opens"), 1},
		"wrong":               {never, errors.New("nobody opens"), 1},
	} {
		t.Run(name, func(t *testing.T) {
			asked, _ := recording(t, test.sample)
			ctx, span := asked.Start(telemetry.WithBaggage(t.Context(), "synthetic", "true"), "dispatch", trace.SpanKindServer)
			place := asked.Place(ctx)
			span.End()

			doing, spans := recording(t, always) // which is not asked: the trace has begun elsewhere
			later, step := doing.Start(doing.Resume(t.Context(), place), "carry", trace.SpanKindInternal)
			step.SetError(test.wrong)
			step.End()
			if telemetry.TraceID(later) != telemetry.TraceID(ctx) || telemetry.Baggage(later, "synthetic") != "true" {
				t.Errorf("%q goes on as trace %s, synthetic %q", place, telemetry.TraceID(later), telemetry.Baggage(later, "synthetic"))
			}
			got := spans()
			if len(got) != test.spans {
				t.Fatalf("%d spans, want %d", len(got), test.spans)
			}
			for _, one := range got {
				if parent := one.Parent.SpanID().String(); !strings.HasPrefix(place, "00-"+telemetry.TraceID(ctx)+"-"+parent+"-") {
					t.Errorf("its parent is %s, kept was %q", parent, place)
				}
			}
		})
	}
}

func TestAPlaceFitsInItsColumn(t *testing.T) {
	tracer, _ := recording(t, never)
	ctx, _ := tracer.Start(t.Context(), "dispatch", trace.SpanKindServer)
	parent := tracer.Place(ctx)
	for name, test := range map[string]struct {
		ctx  context.Context
		want string
	}{
		"no trace":         {t.Context(), ""},
		"only baggage":     {telemetry.WithBaggage(t.Context(), "synthetic", "a b"), " synthetic=a%20b"},
		"both":             {telemetry.WithBaggage(ctx, "synthetic", "true"), parent + " synthetic=true"},
		"too much baggage": {telemetry.WithBaggage(ctx, strings.Repeat("k", 60), strings.Repeat("v", 60)), parent},
	} {
		got := tracer.Place(test.ctx)
		if got != test.want || len(got) > 128 {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
		again := tracer.Resume(t.Context(), got)
		if again := tracer.Place(again); again != got {
			t.Errorf("%s: kept as %q, and the next time as %q", name, got, again)
		}
	}
	for _, damaged := range []string{"", " ", "damaged", "00-1-2-01 synthetic"} {
		if tracer.Resume(t.Context(), damaged) != t.Context() {
			t.Errorf("%q changes something", damaged)
		}
	}
	var none *telemetry.Tracer
	if none.Place(ctx) != "" || none.Resume(t.Context(), parent) != t.Context() {
		t.Error("no tracer keeps a place")
	}
}
