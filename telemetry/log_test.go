package telemetry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/slogtest"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/telemetry"
)

// open returns telemetry that logs JSON to the buffer, and records every trace.
func open(t *testing.T, opts telemetry.Options) (*telemetry.Telemetry, *bytes.Buffer) {
	t.Helper()
	var out bytes.Buffer
	opts.Output, opts.Sample = &out, always
	if opts.Exporter == nil && opts.Traces == "" {
		opts.Exporter = tracetest.NewInMemoryExporter()
	}
	tel, err := telemetry.Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tel.Close(context.Background()) })
	return tel, &out
}

// lines parses what was logged, without the times.
func lines(t *testing.T, out *bytes.Buffer) (all []map[string]any) {
	t.Helper()
	decoder := json.NewDecoder(out)
	for {
		var line map[string]any
		switch err := decoder.Decode(&line); {
		case errors.Is(err, io.EOF):
			return all
		case err != nil:
			t.Fatal(err)
		}
		delete(line, "time")
		all = append(all, line)
	}
}

func TestJSONLineSaysWhoAndWhere(t *testing.T) {
	tel, out := open(t, telemetry.Options{Service: "catalog", Instance: "catalog-1", Version: "v2", LogFormat: "json"})
	tel.Logger().InfoContext(t.Context(), "started", "port", 80)
	ctx, span := tel.Tracer().Start(t.Context(), "x", trace.SpanKindServer)
	defer span.End()
	tel.Logger().With("a", 1).WithGroup("g").With("b", 2).WarnContext(ctx, "slow", "c", 3)
	tel.Logger().DebugContext(ctx, "not logged")
	var parent string
	tel.Tracer().Inject(ctx, func(_, value string) { parent = value })
	who := map[string]any{"service": "catalog", "instance": "catalog-1", "version": "v2"}
	want := []map[string]any{
		{"level": "INFO", "msg": "started", "port": 80.0},
		{
			"level": "WARN", "msg": "slow", "trace_id": parent[3:35], "span_id": parent[36:52],
			"a": 1.0, "g": map[string]any{"b": 2.0, "c": 3.0},
		},
	}
	for _, line := range want {
		maps.Copy(line, who)
	}
	if diff := cmp.Diff(want, lines(t, out)); diff != "" {
		t.Error(diff)
	}
}

func TestUnrecordedTraceIsNamedInLogs(t *testing.T) {
	tel, out := open(t, telemetry.Options{})
	ctx := tel.Tracer().Extract(t.Context(), incoming)
	tel.Logger().InfoContext(ctx, "x")
	line := lines(t, out)[0]
	if line["trace_id"] != "4bf92f3577b34da6a3ce929d0e0e4736" || line["span_id"] != nil {
		t.Errorf("got %v", line)
	}
}

func TestLevelIsLive(t *testing.T) {
	var level slog.LevelVar
	tel, out := open(t, telemetry.Options{LogLevel: &level})
	tel.Logger().Debug("one")
	level.Set(slog.LevelDebug)
	tel.Logger().Debug("two")
	if got := lines(t, out); len(got) != 1 || got[0]["msg"] != "two" {
		t.Errorf("got %v", got)
	}
}

func TestSecretsAreNotLogged(t *testing.T) {
	database, err := url.Parse("postgres://me:hunter2@db/shop")
	if err != nil {
		t.Fatal(err)
	}
	attrs := []any{
		"password", "hunter2", "Authorization", "Bearer hunter2", "accessToken", "hunter2", "x-api-key", "hunter2",
		"card_number", "hunter2", "cardNumber", "hunter2", "session.cookie", "hunter2", "client_secret", []string{"hunter2"},
		"by_type", config.Secret("hunter2"), "in_group", slog.GroupValue(slog.Any("key", config.Secret("hunter2"))),
		"group", slog.GroupValue(slog.String("password", "hunter2")),
		"card", slog.GroupValue(slog.String("number", "hunter2")),
		"headers", http.Header{"Authorization": {"Bearer hunter2"}, "Accept": {"text/html"}},
		"database", database,
		"inside", struct{ Key config.Secret }{"hunter2"},
		// These only sound like secrets.
		"discarded", 7, "idempotency_key", "abc", "pinned", true,
	}
	for _, format := range []string{"json", "human"} {
		tel, out := open(t, telemetry.Options{LogFormat: format})
		tel.Logger().Info("signed in", attrs...)
		tel.Logger().With(attrs...).WithGroup("card").Info("signed in", "number", "hunter2")
		text := out.String()
		if strings.Contains(text, "hunter2") {
			t.Errorf("%s tells a secret: %s", format, text)
		}
		for _, shown := range []string{"discarded", "abc", "pinned", "text/html", "xxxxx@db/shop", "[redacted]"} {
			if !strings.Contains(text, shown) {
				t.Errorf("%s hides %s: %s", format, shown, text)
			}
		}
	}
}

func TestUnknownFormat(t *testing.T) {
	_, err := telemetry.Open(t.Context(), telemetry.Options{LogFormat: "xml"})
	if err == nil || err.Error() != `open logs: unknown format "xml"; known: human, json` {
		t.Errorf("Open: %v", err)
	}
}

func TestHandlerKeepsTheRulesOfSlog(t *testing.T) {
	tel, out := open(t, telemetry.Options{LogFormat: "json"})
	err := slogtest.TestHandler(tel.Logger().Handler(), func() (all []map[string]any) {
		decoder := json.NewDecoder(out)
		for decoder.More() {
			var line map[string]any
			if err := decoder.Decode(&line); err != nil {
				t.Fatal(err)
			}
			all = append(all, line)
		}
		return all
	})
	if err != nil {
		t.Error(err)
	}
}
