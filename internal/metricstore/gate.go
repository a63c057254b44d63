package metricstore

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/scrape"
	"github.com/prometheus/prometheus/storage"
)

const (
	// lookAtDisk is how often the room on the disk is looked at.
	lookAtDisk = time.Second
	// budgetTime is the time for which an instance has its budget of new series.
	budgetTime = time.Hour
)

// Reasons why samples are refused.
const (
	refusedForRoom   = "disk"
	refusedForSeries = "series"
)

// gate is what all samples pass on their way to the database. It refuses them
// while the disk is almost full: the database would not only lose what it cannot
// write, it ends the process when a chunk of its head cannot be written; and what
// is left is for the services. It refuses an instance's new series when it has
// begun too many. What is refused is counted, and makes no scrape fail.
type gate struct {
	db interface {
		storage.Appendable
		storage.AppendableV2
	}
	limits  func() *Limits
	free    func() (int64, error)
	log     *slog.Logger
	refused *prometheus.CounterVec

	mu      sync.Mutex
	looked  time.Time
	problem string
	failing string // the last commit failed
	since   time.Time
	begun   map[source]int // series of an instance
}

// source is who shows series.
type source struct{ service, instance string }

func diskFree(dir string) func() (int64, error) {
	return func() (int64, error) {
		var disk syscall.Statfs_t
		if err := syscall.Statfs(dir, &disk); err != nil {
			return 0, fmt.Errorf("look at the disk: %w", err)
		}
		return int64(disk.Bavail) * int64(disk.Bsize), nil //nolint:unconvert // their types differ among systems
	}
}

// look says whether the disk has too little room, which it looks at now and then.
func (g *gate) look(now time.Time) (shut bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if now.Sub(g.looked) < lookAtDisk {
		return g.problem != ""
	}
	g.looked = now
	reserve := g.limits().Reserve
	free, err := g.free()
	was := g.problem
	if g.problem = ""; err == nil && free < reserve {
		g.problem = fmt.Sprintf("metrics are not stored: the disk has less than %d MiB free", reserve/mib)
	}
	switch {
	case was == "" && g.problem != "":
		g.log.Error(g.problem)
	case was != "" && g.problem == "":
		g.log.Info("metrics are stored again")
	}
	return g.problem != ""
}

// trouble says what keeps metrics from being stored; "": nothing.
func (g *gate) trouble() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.problem != "" {
		return g.problem
	}
	return g.failing
}

// admit takes one new series of an instance, if it has not begun too many.
func (g *gate) admit(from source, now time.Time) bool {
	g.mu.Lock()
	if now.Sub(g.since) > budgetTime {
		g.since, g.begun = now, map[source]int{}
	}
	ok := g.begun[from] < g.limits().NewSeries
	if ok {
		g.begun[from]++
	}
	g.mu.Unlock()
	if !ok {
		g.refused.WithLabelValues(from.service, refusedForSeries).Inc()
	}
	return ok
}

// committed notes how writing went.
func (g *gate) committed(shut bool, err error) error {
	if shut {
		return err // nothing was written
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.failing = ""; err != nil {
		g.failing = fmt.Sprintf("metrics are not stored: %v", err)
	}
	return err
}

// scraped is what a scrape appends with. Without a reference nothing is cached of a
// series, so that it asks again with the next sample.
type scraped struct {
	storage.AppenderV2
	gate *gate
	from source
	shut bool
}

// AppenderV2 implements [storage.AppendableV2].
func (g *gate) AppenderV2(ctx context.Context) storage.AppenderV2 { //nolint:ireturn // what asks for it wants an interface
	a := &scraped{AppenderV2: g.db.AppenderV2(ctx), gate: g, shut: g.look(time.Now())}
	if t, ok := scrape.TargetFromContext(ctx); ok {
		a.from = source{t.GetValue("service"), t.GetValue(model.InstanceLabel)} // and not what the series say of themselves
	}
	return a
}

// Append implements [storage.AppenderV2].
func (a *scraped) Append(ref storage.SeriesRef, l labels.Labels, st, t int64, v float64,
	h *histogram.Histogram, fh *histogram.FloatHistogram, opts storage.AppendV2Options,
) (storage.SeriesRef, error) {
	switch {
	case a.shut:
		a.gate.refused.WithLabelValues(a.from.service, refusedForRoom).Inc()
		return 0, nil
	case ref == 0 && st >= t && st-t < mostTimeout.Milliseconds():
		return 0, nil // it began during this scrape: the next one stores it from its beginning on
	case ref == 0 && !a.gate.admit(a.from, time.Now()):
		return 0, nil
	case ref != 0:
		st = 0 // its beginning is stored already
	}
	return a.AppenderV2.Append(ref, l, st, t, v, h, fh, opts)
}

// Commit implements [storage.AppenderV2].
func (a *scraped) Commit() error { return a.gate.committed(a.shut, a.AppenderV2.Commit()) }

// evaluated is what rules append with: they have the older interface still.
type evaluated struct {
	storage.Appender
	gate *gate
	shut bool
}

// Appender implements [storage.Appendable].
func (g *gate) Appender(ctx context.Context) storage.Appender { //nolint:ireturn // what asks for it wants an interface
	return &evaluated{Appender: g.db.Appender(ctx), gate: g, shut: g.look(time.Now())}
}

// Append implements [storage.Appender].
func (a *evaluated) Append(ref storage.SeriesRef, l labels.Labels, t int64, v float64) (storage.SeriesRef, error) {
	if a.shut {
		a.gate.refused.WithLabelValues("", refusedForRoom).Inc()
		return 0, nil
	}
	return a.Appender.Append(ref, l, t, v)
}

// Commit implements [storage.Appender].
func (a *evaluated) Commit() error { return a.gate.committed(a.shut, a.Appender.Commit()) }
