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
