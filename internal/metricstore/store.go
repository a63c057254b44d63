// Package metricstore keeps the metrics of a system: it scrapes the instances,
// stores what they show, evaluates rules over it, and answers questions in
// PromQL. It is Prometheus as a library, and the only package that knows so:
// the library promises no stable interface, so everything that it may change
// is used here and nowhere else.
package metricstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	promconfig "github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/scrape"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/util/compression"
)

// Options say where the metrics are kept, and for whom.
type Options struct {
	Dir string
	// Labels are put on every scraped series, such as the environment.
	Labels map[string]string
	Limits Limits
	// Notify is told of alerts that fire or are resolved; of those that go on
	// firing it is told again. It must not block.
	Notify func([]Alert)
	// Metrics gets those of the store itself. Nil: they are kept where nobody sees them.
	Metrics *prometheus.Registry
	Logger  *slog.Logger
	// Free tells how many bytes of the disk are free. Nil: it is asked.
	Free func() (int64, error)
}

// Store keeps and answers. It is safe for concurrent use.
type Store struct {
	opts    Options
	db      *tsdb.DB
	parser  parser.Parser
	metrics *metrics
	gate    *gate
	inside  *inside

	limits  atomic.Pointer[Limits]
	engine  atomic.Pointer[promql.Engine]
	running atomic.Int64 // queries

	scraping  *scrape.Manager
	targets   chan map[string][]*targetgroup.Group
	newcomers newcomers
	apply     sync.Mutex // one change of limits or rules at a time

	rules  *rules.Manager
	groups *memoryGroups

	work   sync.WaitGroup
	cancel context.CancelFunc

	using  sync.RWMutex // held to read while the database is asked
	closed bool
}

// Open opens the store; one process at a time may have the folder, and who
// opens it sees to that.
func Open(opts Options) (_ *Store, err error) {
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	if opts.Metrics == nil {
		opts.Metrics = prometheus.NewRegistry()
	}
	if opts.Free == nil {
		opts.Free = diskFree(opts.Dir)
	}
	plain := opts.Logger
	opts.Logger = quiet(opts.Logger)
	s := &Store{opts: opts, parser: parser.NewParser(parser.Options{}), targets: make(chan map[string][]*targetgroup.Group)}
	limits := opts.Limits.filled()
	s.limits.Store(&limits)
	s.engine.Store(s.newEngine(limits))
	if s.metrics, err = newMetrics(opts.Metrics); err != nil {
		return nil, err
	}
	if s.db, err = tsdb.Open(opts.Dir, opts.Logger, opts.Metrics, databaseOptions(limits), nil); err != nil {
		return nil, fmt.Errorf("open the store of metrics: %w", err)
	}
	s.gate = &gate{db: s.db, limits: s.limits.Load, free: opts.Free, log: plain, refused: s.metrics.refused, begun: map[source]int{}}
	s.inside = newInside()
	if err := s.start(limits); err != nil {
		return nil, errors.Join(err, s.db.Close())
	}
	return s, nil
}

// databaseOptions leave out the lock file: a killed process would leave it,
// and the system's folder has a lock that the kernel gives back.
func databaseOptions(l Limits) *tsdb.Options {
	o := tsdb.DefaultOptions()
	o.NoLockfile = true
	o.WALCompression = compression.Snappy
	o.RetentionDuration = l.Retention.Milliseconds()
	o.MaxBytes = l.MaxBytes
	o.EnableSTAsZeroSample = true // or the first calls would be in no rate
	const smallSegment = 16 << 20 // a laptop's log of the last hours need not hold 128 MiB at a time
	o.WALSegmentSize = smallSegment
	return o
}

func (s *Store) newEngine(l Limits) *promql.Engine {
	return promql.NewEngine(promql.EngineOpts{
		Logger: s.opts.Logger, MaxSamples: l.MaxSamples, Timeout: l.QueryTimeout, EnableAtModifier: true, EnableNegativeOffset: true,
		LookbackDelta:            lookback,
		NoStepSubqueryIntervalFn: func(int64) int64 { return s.limits.Load().EvaluationInterval.Milliseconds() },
		Parser:                   s.parser,
	})
}

// lookback is how long the last value of a series holds that was not ended by
// a mark, as one is when its instance goes away.
const lookback = 5 * time.Minute

func (s *Store) start(l Limits) error {
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	if err := s.startScraping(l); err != nil {
		cancel()
		s.inside.close()
		return err
	}
	s.startRules(ctx)
	s.work.Go(func() { _ = s.scraping.Run(s.targets) }) // it has no error to tell
	s.work.Go(func() { s.welcome(ctx) })
	s.work.Go(s.rules.Run)
	return nil
}

// SetLimits obeys new limits at once, without losing anything but queries that
// have used up more than they now may.
func (s *Store) SetLimits(l Limits) error {
	s.apply.Lock()
	defer s.apply.Unlock()
	l = l.filled()
	before := *s.limits.Swap(&l)
	if before == l {
		return nil
	}
	s.engine.Store(s.newEngine(l))
	if before.ScrapeInterval != l.ScrapeInterval || before.SampleLimit != l.SampleLimit {
		cfg, err := s.scrapeConfig(l)
		if err == nil {
			err = s.scraping.ApplyConfig(cfg)
		}
		if err != nil {
			return fmt.Errorf("change how metrics are scraped: %w", err)
		}
	}
	keep := &promconfig.Config{StorageConfig: promconfig.StorageConfig{TSDBConfig: &promconfig.TSDBConfig{
		Retention: &promconfig.TSDBRetentionConfig{Time: model.Duration(l.Retention), Size: sizeOf(l.MaxBytes)},
	}}}
	if err := s.db.ApplyConfig(keep); err != nil {
		return fmt.Errorf("change how long metrics are kept: %w", err)
	}
	if before.EvaluationInterval != l.EvaluationInterval {
		return s.updateRules(l.EvaluationInterval)
	}
	return nil
}

// Handler shows the store's own metrics, as any target's.
func (s *Store) Handler() http.Handler { return s.metrics.handler(s.opts.Metrics) }

// Problem says what keeps metrics from being stored; "": nothing.
func (s *Store) Problem() string { return s.gate.trouble() }

// use keeps the database open until the question that it is for is answered.
func (s *Store) use() (done func(), err error) {
	s.using.RLock()
	if s.closed {
		s.using.RUnlock()
		return nil, ErrClosed
	}
	return s.using.RUnlock, nil
}

// Close stops scraping and evaluating, and writes out what is in memory.
func (s *Store) Close() error {
	s.scraping.Stop()
	s.cancel()
	s.rules.Stop()
	s.work.Wait()
	s.inside.close()
	s.using.Lock() // until the last question is answered
	s.closed = true
	s.using.Unlock()
	if err := s.engine.Load().Close(); err != nil {
		return errors.Join(fmt.Errorf("close the store of metrics: %w", err), s.db.Close())
	}
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("close the store of metrics: %w", err)
	}
	return nil
}
