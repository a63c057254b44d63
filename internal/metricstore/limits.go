package metricstore

import (
	"context"
	"log/slog"
	"time"

	"github.com/alecthomas/units"
)

// Limits bound what the store keeps and what a question may cost. A field that
// is zero has its default.
type Limits struct {
	// Retention and MaxBytes bound what is kept; whole blocks of two hours and
	// more are dropped, oldest first. 15 d, 1 GiB.
	Retention time.Duration
	MaxBytes  int64
	// ScrapeInterval is how often instances are asked; new ones each second until
	// it has passed. 5 s.
	ScrapeInterval time.Duration
	// SampleLimit is how many series one instance may show; one that shows more
	// counts as down. 20 000.
	SampleLimit int
	// NewSeries is how many series one instance may begin within an hour; further
	// ones are not stored. 100 000.
	NewSeries int
	// Reserve is how many bytes of the disk are left to others: with less free,
	// nothing is stored. 128 MiB; below 0: none.
	Reserve int64
	// EvaluationInterval is how often rules are evaluated. 10 s.
	EvaluationInterval time.Duration
	// QueryTimeout is how long one question may take. 20 s.
	QueryTimeout time.Duration
	// MaxSamples is how many samples one question may hold in memory. 20 million.
	MaxSamples int
	// MaxPoints is how many points each series of an answer may have. 11 000.
	MaxPoints int
	// MaxSeries is how many series or names one answer may have. 10 000.
	MaxSeries int
	// Concurrent is how many questions may be worked on at once; those of rules
	// are not counted. 8.
	Concurrent int
}

// DefaultLimits are right for a system on one machine.
func DefaultLimits() Limits {
	return Limits{
		Retention: 15 * 24 * time.Hour, MaxBytes: 1 << 30,
		ScrapeInterval: 5 * time.Second, SampleLimit: 20_000, NewSeries: 100_000, Reserve: 128 << 20,
		EvaluationInterval: 10 * time.Second,
		QueryTimeout:       20 * time.Second, MaxSamples: 20_000_000, MaxPoints: 11_000, MaxSeries: 10_000, Concurrent: 8,
	}
}

func (l Limits) filled() Limits {
	d := DefaultLimits()
	fill(&l.Retention, d.Retention)
	fill(&l.MaxBytes, d.MaxBytes)
	fill(&l.ScrapeInterval, d.ScrapeInterval)
	fill(&l.SampleLimit, d.SampleLimit)
	fill(&l.NewSeries, d.NewSeries)
	if l.Reserve == 0 {
		l.Reserve = d.Reserve
	}
	fill(&l.EvaluationInterval, d.EvaluationInterval)
	fill(&l.QueryTimeout, d.QueryTimeout)
	fill(&l.MaxSamples, d.MaxSamples)
	fill(&l.MaxPoints, d.MaxPoints)
	fill(&l.MaxSeries, d.MaxSeries)
	fill(&l.Concurrent, d.Concurrent)
	return l
}

func fill[T int | int64 | time.Duration](to *T, value T) {
	if *to <= 0 {
		*to = value
	}
}

func sizeOf(bytes int64) units.Base2Bytes { return units.Base2Bytes(bytes) }

// quiet leaves out what the library tells of its ordinary life.
func quiet(l *slog.Logger) *slog.Logger { return slog.New(warnings{l.Handler()}) }

type warnings struct{ slog.Handler }

func (h warnings) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && h.Handler.Enabled(ctx, level)
}

func (h warnings) WithAttrs(attrs []slog.Attr) slog.Handler {
	return warnings{h.Handler.WithAttrs(attrs)}
}

func (h warnings) WithGroup(name string) slog.Handler { return warnings{h.Handler.WithGroup(name)} }
