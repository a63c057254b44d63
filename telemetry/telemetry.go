// Package telemetry says what is happening in a process: structured logs,
// Prometheus metrics and OpenTelemetry traces, opened together and closed
// together, with nothing in globals.
//
// Traces are sampled at the head: the decision is made before anything is
// built, so a request that nobody looks at pays for one allocation that carries
// its trace id onwards. Spans that go wrong or last long are recorded all the
// same, at their end. What a contract marks as secret, what has the type of a
// secret, what is called like one and what is a card number never reaches a log
// line or a span.
package telemetry

import (
	"context"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// Options says who the process is and where its telemetry goes. The zero value
// logs to standard error and exports no traces.
type Options struct {
	// Service, Instance, Version and Environment name the process in every log
	// line and every span.
	Service, Instance, Version, Environment string

	// Traces is the URL of an OTLP collector: otlp://host:4317 (gRPC),
	// otlp+http://host:4318, or otlps:// and otlp+https:// for TLS. Empty:
	// traces are carried from call to call, but not recorded.
	Traces string
	// Exporter takes spans instead of the collector of Traces; for tests.
	Exporter sdktrace.SpanExporter
	// Sample is the share of new traces to record, between 0 and 1, asked for
	// every new trace. Nil means 0.01.
	Sample func() float64
	// Slow is how long a span lasts that is recorded although its trace was not
	// chosen, as those are that go wrong; 0: however long. Nil means a second.
	Slow func() time.Duration
	// Late is how many spans a second are recorded for going wrong or lasting
	// long; 0: none. Nil means 200.
	Late func() int
	// Baggage are the keys of W3C Baggage that are carried, with commas between
	// them. Nil means "synthetic", which marks what tests and probes do.
	Baggage func() string

	// LogFormat is "json", "human", or empty: human on a terminal, else json.
	LogFormat string
	// LogLevel is the least level that is logged. Nil means slog.LevelInfo.
	LogLevel slog.Leveler
	// Output is where logs go. Nil means os.Stderr.
	Output io.Writer
}

// Telemetry holds a process's logger, metrics and tracer.
type Telemetry struct {
	logger  *slog.Logger
	metrics *prometheus.Registry
	tracer  *Tracer
}

// Open builds the logger, the metrics registry and the tracer. It doesn't wait
// for the collector: one that is away costs spans, counted, never a request.
func Open(ctx context.Context, opts Options) (*Telemetry, error) {
	if opts.Output == nil {
		opts.Output = os.Stderr
	}
	logger, err := newLogger(opts)
	if err != nil {
		return nil, err
	}
	metrics, err := newMetrics(opts)
	if err != nil {
		return nil, err
	}
	exporter := opts.Exporter
	if exporter == nil && opts.Traces != "" {
		if exporter, err = openExporter(ctx, opts.Traces); err != nil {
			return nil, err
		}
	}
	tracer, err := newTracer(opts, exporter, metrics, logger)
	if err != nil {
		return nil, err
	}
	return &Telemetry{logger: logger, metrics: metrics, tracer: tracer}, nil
}

// Logger returns the process's logger. Log with a context: its lines then carry
// the ids of the trace and the span.
func (t *Telemetry) Logger() *slog.Logger { return t.logger }

// Metrics returns the process's metrics, with those of the Go runtime, the
// process and its build.
func (t *Telemetry) Metrics() *prometheus.Registry { return t.metrics }

// Tracer returns the process's tracer.
func (t *Telemetry) Tracer() *Tracer { return t.tracer }

// Flush exports the spans that have ended so far.
func (t *Telemetry) Flush(ctx context.Context) error { return t.tracer.flush(ctx) }

// Close exports what is left and ends the exporter. What can't be exported
// before ctx ends is dropped and counted.
func (t *Telemetry) Close(ctx context.Context) error {
	return t.tracer.close(ctx)
}
