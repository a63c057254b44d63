package metricstore_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/gowarren/warren/internal/disktest"
	"github.com/gowarren/warren/internal/metricstore"
)

// patient is how often tests scrape that look at whether scrapes succeed: one may
// take as long, on a loaded machine.
const patient = time.Second

// text serves what a function writes, as a process's metrics.
func text(t *testing.T, write func(w http.ResponseWriter)) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		write(w)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// An instance that suddenly shows 200 000 series is refused, seen, and harms nobody.
func TestFlood(t *testing.T) {
	const many = 200_000
	var page bytes.Buffer
	for n := range many {
		fmt.Fprintf(&page, "flood{n=\"%d\"} 1\n", n)
	}
	flood := text(t, func(w http.ResponseWriter) { _, _ = w.Write(page.Bytes()) })
	healthy, gauge := process(t)
	gauge.Set(7)
	s := open(t, metricstore.Options{Limits: metricstore.Limits{ScrapeInterval: 5 * time.Second}})
	defer closed(t, s)
	err := s.SetTargets(t.Context(), []metricstore.Target{
		{Service: "flood", Instance: "flood", URL: flood}, {Service: "order", Instance: "order", URL: healthy.URL},
	})
	if err != nil {
		t.Fatal(err)
	}
	until(t, "the flood is refused, with its size", func() bool {
		v, ok := value(t, s, `scrape_samples_post_metric_relabeling > (scrape_sample_limit > 0)`)
		return ok && v == many
	})
	if v, ok := value(t, s, `count(flood)`); ok {
		t.Errorf("%v series of the flood are stored", v)
	}
	until(t, "the others go on", func() bool {
		v, ok := value(t, s, `count_over_time(fault[1m])`)
		return ok && v >= 2
	})
	until(t, "only the flood counts as down", func() bool {
		return !slices.ContainsFunc(s.Targets(), func(h metricstore.TargetHealth) bool { return h.Up != (h.Service == "order") })
	})
}

// An instance that shows other series each time is given so many; what it had
// before and the others go on.
func TestSeriesWithoutEnd(t *testing.T) {
	var scrapes atomic.Int64
	churn := text(t, func(w http.ResponseWriter) {
		fmt.Fprintln(w, "steady 1")
		for n := range 200 {
			fmt.Fprintf(w, "churn{n=\"%d-%d\",instance=\"made-up-%d\"} 1\n", scrapes.Load(), n, n)
		}
		scrapes.Add(1)
	})
	healthy, _ := process(t)
	limits := metricstore.Limits{ScrapeInterval: patient, NewSeries: 300}
	registry := prometheus.NewRegistry()
	s := open(t, metricstore.Options{Limits: limits, Metrics: registry})
	defer closed(t, s)
	err := s.SetTargets(t.Context(), []metricstore.Target{
		{Service: "churn", Instance: "churn", URL: churn}, {Service: "order", Instance: "order", URL: healthy.URL},
		{Service: "warren", Instance: "warren", Handler: s.Handler()},
	})
	if err != nil {
		t.Fatal(err)
	}
	until(t, "series are refused, and counted", func() bool {
		v, ok := value(t, s, `sum(warren_metrics_refused_samples_total{service="churn",reason="series"})`)
		return ok && v > 200
	})
	if v, ok := value(t, s, `count(count_over_time(churn[1h]))`); !ok || v > 300 {
		t.Errorf("%v series are stored, want at most 300", v)
	}
	for _, query := range []string{`count_over_time(steady[1m])`, `count_over_time(fault[1m])`} {
		before, _ := value(t, s, query)
		until(t, query+" grows", func() bool { v, ok := value(t, s, query); return ok && v > before })
	}
	until(t, "all are up", func() bool {
		return !slices.ContainsFunc(s.Targets(), func(h metricstore.TargetHealth) bool { return !h.Up })
	})
}

// The last of the disk is left to the services: nothing is stored, which is told,
// until there is room again.
func TestReserve(t *testing.T) {
	var free atomic.Int64
	free.Store(math.MaxInt64)
	server, _ := process(t)
	limits := metricstore.Limits{ScrapeInterval: patient, Reserve: 1 << 30}
	s := open(t, metricstore.Options{Limits: limits, Free: func() (int64, error) { return free.Load(), nil }})
	defer closed(t, s)
	if err := s.SetTargets(t.Context(), []metricstore.Target{{Service: "order", Instance: "order", URL: server.URL}}); err != nil {
		t.Fatal(err)
	}
	count := func() float64 { v, _ := value(t, s, `count_over_time(fault[1h])`); return v }
	until(t, "samples are stored", func() bool { return count() > 1 && s.Problem() == "" })
	free.Store(1 << 20)
	until(t, "the trouble is told", func() bool { return strings.Contains(s.Problem(), "less than 1024 MiB free") })
	var stopped float64
	until(t, "nothing is stored", func() bool {
		was := stopped
		stopped = count()
		scraped := s.Targets()[0].Scraped
		until(t, "another scrape", func() bool { return s.Targets()[0].Scraped.After(scraped) })
		return was == stopped
	})
	until(t, "the instance is not blamed", func() bool { return s.Targets()[0].Up })
	free.Store(math.MaxInt64)
	until(t, "samples are stored again", func() bool { return count() > stopped && s.Problem() == "" })
}

func TestMain(m *testing.M) { os.Exit(disktest.Main(m, onFullDisk)) }

// A disk that takes no more bytes is told, ends nothing, and what was stored can be
// asked for; then it goes on by itself.
func TestDiskTakesNoMore(t *testing.T) { disktest.Run(t) }

func onFullDisk(disk *disktest.Disk) error {
	registry := prometheus.NewRegistry()
	registry.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: "fault", Help: "Nothing."}))
	s, err := metricstore.Open(metricstore.Options{Dir: disk.Dir, Limits: quick(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	ctx := context.Background()
	if err := s.SetTargets(ctx, []metricstore.Target{{Service: "a", Instance: "a", Handler: promhttp.HandlerFor(registry, promhttp.HandlerOpts{})}}); err != nil {
		return err
	}
	count := func() float64 {
		r, err := s.Query(ctx, `count_over_time(fault[1h])`, time.Now(), 0)
		if err != nil || len(r.Series) == 0 {
			return 0
		}
		return r.Series[0].Points[0].Value
	}
	if err := disktest.Within("samples to be stored", func() bool { return count() > 1 }); err != nil {
		return err
	}
	if err := disk.Fill(filepath.Join(disk.Dir, "wal"), 0); err != nil { // which comes in pages
		return err
	}
	if err := disktest.Within("the trouble to be told", func() bool { return strings.Contains(s.Problem(), "not stored") }); err != nil {
		return err
	}
	stopped := count()
	if stopped < 2 {
		return fmt.Errorf("what was stored is not found on a full disk: %v samples", stopped)
	}
	if err := disk.Clear(); err != nil {
		return err
	}
	if err := disktest.Within("samples to be stored again", func() bool { return s.Problem() == "" && count() > stopped }); err != nil {
		return err
	}
	return s.Close()
}
