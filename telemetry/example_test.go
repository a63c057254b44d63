package telemetry_test

import (
	"context"
	"errors"
	"fmt"
	"io"

	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/gowarren/warren/telemetry"
)

func Example() {
	ctx := context.Background()
	exporter := tracetest.NewInMemoryExporter() // in a system: Traces: "otlp://collector:4317"
	tel, err := telemetry.Open(ctx, telemetry.Options{
		Service:  "catalog",
		Exporter: exporter,
		Sample:   func() float64 { return 1 },
		Output:   io.Discard, // by default standard error
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = tel.Close(ctx) }()

	work, span := tel.Tracer().Start(ctx, "import products", trace.SpanKindInternal)
	tel.Logger().WarnContext(work, "row refused", "row", 7, "token", "never shown")
	span.SetError(errors.New("1 row refused"))
	span.End()

	if err := tel.Flush(ctx); err != nil {
		fmt.Println(err)
	}
	for _, recorded := range exporter.GetSpans() {
		fmt.Println(recorded.Name, recorded.Status.Description, recorded.SpanContext.TraceID().String() == telemetry.TraceID(work))
	}
	// Output: import products 1 row refused true
}

// What a request asks for is done later, by a timer, perhaps in another process.
func ExampleTracer_Resume() {
	ctx := context.Background()
	tel, err := telemetry.Open(ctx, telemetry.Options{Service: "shipping", Output: io.Discard})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = tel.Close(ctx) }()
	tracer := tel.Tracer()

	request, dispatch := tracer.Start(ctx, "dispatch", trace.SpanKindServer)
	place := tracer.Place(request) // kept in the shipment's row
	dispatch.End()

	work, carry := tracer.Start(tracer.Resume(ctx, place), "carry", trace.SpanKindInternal)
	carry.End()
	fmt.Println(telemetry.TraceID(work) == telemetry.TraceID(request))
	// Output: true
}
