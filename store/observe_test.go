package store_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gowarren/warren/store"
	"github.com/gowarren/warren/store/storetest"
	"github.com/gowarren/warren/telemetry"
)

func TestSlowQueriesAreLoggedWithoutTheirArguments(t *testing.T) {
	storetest.Each(t, func(t *testing.T, address string) {
		var log bytes.Buffer
		db := open(t, address, store.Options{
			Name: "shop", SlowQuery: time.Nanosecond, Logger: slog.New(slog.NewTextHandler(&log, nil)),
		})
		var s string
		if err := db.QueryRow(t.Context(), `SELECT 'text' WHERE 'x' <> ?`, "hunter2").Scan(&s); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"level=WARN", "slow query", "database=shop", "SELECT 'text' WHERE", "duration="} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("log lacks %q: %s", want, log.String())
			}
		}
		if strings.Contains(log.String(), "hunter2") {
			t.Errorf("log has an argument: %s", log.String())
		}
		quiet := open(t, address, store.Options{Name: "quiet", SlowQuery: -1, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		log.Reset()
		if err := quiet.QueryRow(t.Context(), `SELECT 'text'`).Scan(&s); err != nil || log.Len() > 0 {
			t.Errorf("got %v, log %q", err, log.String())
		}
	})
}

func TestSpans(t *testing.T) {
	received := make(chan []byte, 10)
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		received <- body
	}))
	defer collector.Close()
	tele, err := telemetry.Open(t.Context(), telemetry.Options{
		Service: "test", Output: io.Discard, Traces: strings.Replace(collector.URL, "http:", "otlp+http:", 1), Sample: func() float64 { return 1 },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tele.Close(t.Context()) }()
	db := open(t, storetest.SQLite(t), store.Options{Name: "shop", Tracer: tele.Tracer()})
	err = db.InTx(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, `CREATE TABLE things (id BIGINT, name VARCHAR(20))`)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO things (id, name) VALUES (?, ?)`, 1, "hunter2")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := tele.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	spans := string(<-received)
	for _, want := range []string{"transaction", "create things", "insert things", "db.query.text", "VALUES (?, ?)", "db.system.name", "sqlite", "db.namespace", ".db"} {
		if !strings.Contains(spans, want) {
			t.Errorf("the exported spans lack %q", want)
		}
	}
	if strings.Contains(spans, "hunter2") {
		t.Error("a span has an argument")
	}
}

func TestMetrics(t *testing.T) {
	metrics := prometheus.NewRegistry()
	db := open(t, storetest.SQLite(t), store.Options{Name: "shop", Metrics: metrics, MaxOpen: 3})
	ctx := t.Context()
	exec := func(query string, args ...any) error { _, err := db.Exec(ctx, query, args...); return err }
	if err := exec(`CREATE TABLE things (id BIGINT PRIMARY KEY)`); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		_ = exec(`INSERT INTO things (id) VALUES (?)`, 1) // the second is a conflict
	}
	var id int
	if err := db.QueryRow(ctx, `SELECT id FROM things`).Scan(&id); err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	_ = db.QueryRow(ended, `SELECT id FROM things`).Scan(&id)
	for i := range 300 {
		_ = exec(fmt.Sprintf(`DELETE FROM made_up_%d`, i))
	}
	got := map[string]uint64{}
	families, err := metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	series := 0
	for _, f := range families {
		for _, m := range f.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			switch f.GetName() {
			case "db_client_operation_duration_seconds":
				series++
				got[labels["db_operation_name"]+" "+labels["db_collection_name"]+" "+labels["error_type"]] += m.GetHistogram().GetSampleCount()
			case "db_client_connection_max":
				got["max "+labels["db_client_connection_pool_name"]] = uint64(m.GetGauge().GetValue())
			}
		}
	}
	for name, want := range map[string]uint64{
		"INSERT things ": 1, "INSERT things conflict": 1, "SELECT things ": 1, "SELECT things cancelled": 1,
		"CREATE things ": 1, "max shop/write": 1, "max shop/read": 3,
	} {
		if got[name] != want {
			t.Errorf("%q is %d; want %d", name, got[name], want)
		}
	}
	if series > 500 || got["DELETE _OTHER other"] == 0 {
		t.Errorf("%d series, %d under _OTHER: the label is not bounded", series, got["DELETE _OTHER other"])
	}
}
