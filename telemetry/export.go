package telemetry

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/url"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc/credentials"
)

// openExporter opens the collector that the URL's scheme names. It doesn't
// connect: the first batch does.
func openExporter(ctx context.Context, raw string) (sdktrace.SpanExporter, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("open trace exporter: %w", err)
	}
	open := map[string]func(context.Context, *url.URL) (sdktrace.SpanExporter, error){
		"otlp": openGRPC, "otlps": openGRPC, "otlp+http": openHTTP, "otlp+https": openHTTP,
	}[u.Scheme]
	if open == nil {
		return nil, fmt.Errorf("open trace exporter %s: unknown scheme %q; known: otlp, otlps, otlp+http, otlp+https", u.Redacted(), u.Scheme)
	}
	if u.Hostname() == "" {
		return nil, fmt.Errorf("open trace exporter %s: no host; write %s://host:port", u.Redacted(), u.Scheme)
	}
	if u.User != nil {
		return nil, fmt.Errorf("open trace exporter %s: credentials in a URL are shown everywhere; set OTEL_EXPORTER_OTLP_HEADERS", u.Redacted())
	}
	for name := range u.Query() {
		return nil, fmt.Errorf("open trace exporter %s: unknown parameter %q; it takes none", u.Redacted(), name)
	}
	exporter, err := open(ctx, u)
	if err != nil {
		return nil, fmt.Errorf("open trace exporter %s: %w", u.Redacted(), err)
	}
	return exporter, nil
}

// Retries of a batch end well before its time is up; then the next batch tries.
const (
	retryFirst = 200 * time.Millisecond
	retryMost  = 2 * time.Second
	retryFor   = 6 * time.Second
)

func openGRPC(ctx context.Context, u *url.URL) (sdktrace.SpanExporter, error) {
	if u.Path != "" && u.Path != "/" {
		return nil, fmt.Errorf("path %q has no meaning over gRPC; did you mean otlp+http?", u.Path)
	}
	opts := []otlptracegrpc.Option{
		otlptracegrpc.WithEndpoint(hostPort(u, "4317")),
		otlptracegrpc.WithTimeout(exportTimeout),
		otlptracegrpc.WithRetry(otlptracegrpc.RetryConfig{
			Enabled: true, InitialInterval: retryFirst, MaxInterval: retryMost, MaxElapsedTime: retryFor,
		}),
	}
	if u.Scheme == "otlps" {
		opts = append(opts, otlptracegrpc.WithTLSCredentials(credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS12})))
	} else {
		opts = append(opts, otlptracegrpc.WithInsecure())
	}
	return otlptracegrpc.New(ctx, opts...)
}

func openHTTP(ctx context.Context, u *url.URL) (sdktrace.SpanExporter, error) {
	path := u.Path
	if path == "" || path == "/" {
		path = "/v1/traces"
	}
	opts := []otlptracehttp.Option{
		otlptracehttp.WithEndpoint(hostPort(u, "4318")),
		otlptracehttp.WithURLPath(path),
		otlptracehttp.WithTimeout(exportTimeout),
		otlptracehttp.WithRetry(otlptracehttp.RetryConfig{
			Enabled: true, InitialInterval: retryFirst, MaxInterval: retryMost, MaxElapsedTime: retryFor,
		}),
	}
	if u.Scheme == "otlp+http" {
		opts = append(opts, otlptracehttp.WithInsecure())
	}
	return otlptracehttp.New(ctx, opts...)
}

// hostPort is the URL's address with the protocol's usual port where it has none.
func hostPort(u *url.URL, port string) string {
	if u.Port() != "" {
		return u.Host
	}
	return u.Host + ":" + port
}
