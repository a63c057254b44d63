package telemetry

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc/credentials"

	"github.com/gowarren/warren/internal/openurl"
)

// openExporter opens the collector that the URL's scheme names. It doesn't
// connect: the first batch does.
func openExporter(ctx context.Context, raw string) (sdktrace.SpanExporter, error) {
	return openurl.Open(ctx, "trace exporter", raw, map[string]openurl.Opener[sdktrace.SpanExporter]{
		"otlp": openGRPC, "otlps": openGRPC, "otlp+http": openHTTP, "otlp+https": openHTTP,
	})
}

// checkURL refuses what an exporter would silently ignore.
func checkURL(u *url.URL) error {
	if u.Hostname() == "" {
		return fmt.Errorf("no host; write %s://host:port", u.Scheme)
	}
	if u.User != nil {
		return errors.New("credentials in a URL are shown everywhere; set OTEL_EXPORTER_OTLP_HEADERS")
	}
	return openurl.NewParams(u).Err()
}

// Retries of a batch end well before its time is up; then the next batch tries.
const (
	retryFirst = 200 * time.Millisecond
	retryMost  = 2 * time.Second
	retryFor   = 3 * time.Second
)

func openGRPC(ctx context.Context, u *url.URL) (sdktrace.SpanExporter, error) {
	if err := checkURL(u); err != nil {
		return nil, err
	}
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
	if err := checkURL(u); err != nil {
		return nil, err
	}
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
