// Package archive keeps traces and logs within a budget, in segments on disk:
// what comes is queued, written in batches, found again, and dropped when it is
// old or room is needed.
package archive

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/gowarren/warren/internal/signals/segment"
	"github.com/gowarren/warren/internal/signals/topology"
)

// Limits are what the archive obeys; they may change at any time.
type Limits struct {
	Bytes      int64         // on disk
	Retention  time.Duration // how long anything is kept
	Slow       time.Duration // a trace that took as long is kept when room is short
	Sample     float64       // the share of ordinary traces that is kept then
	QueueBytes int64         // of what waits to be written
	TraceSpans int           // of one trace
	Reserve    int64         // of the disk, that is left to others
}

// Options say where and how.
type Options struct {
	Dir     string
	Limits  func() Limits
	Logger  *slog.Logger
	Metrics prometheus.Registerer // nil: none
	Now     func() time.Time      // nil: the clock
	Free    func() (int64, error) // bytes of the disk; nil: asked
}

// ErrBusy says that the queue is full: what was sent is not taken.
var ErrBusy = errors.New("the store of traces and logs is behind")

// Archive is the store of traces and logs. It is safe for concurrent use.
type Archive struct {
	opts    Options
	codec   *codec
	indexed map[string]bool
	probes  map[string]bool // paths
	now     func() time.Time
	meters  *meters

	queue queue
	tails tails

	pairs *topology.Pairs // of the writer

	mu       sync.RWMutex
	segments []*segment.Segment // oldest first
	current  *segment.Segment   // the last of them, if it is written to
	broken   []string
	problem  string
	unpaired atomic.Int64

	stop    context.CancelFunc
	stopped sync.WaitGroup
	retain  chan struct{} // asks for a look at what is kept
}

// Open opens the archive of a folder, made if there is none. A file that is
// damaged is moved aside.
func Open(opts Options) (*Archive, error) {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Free == nil {
		opts.Free = freeOf(opts.Dir)
	}
	if err := os.MkdirAll(opts.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("open the store of traces and logs: %w", err)
	}
	codec, err := newCodec()
	if err != nil {
		return nil, fmt.Errorf("open the store of traces and logs: %w", err)
	}
	a := &Archive{
		opts: opts, codec: codec, indexed: map[string]bool{}, probes: probePaths(), now: opts.Now,
		pairs: topology.New(), retain: make(chan struct{}, 1),
	}
	for _, key := range Indexed() {
		a.indexed[key] = true
	}
	a.queue.wake = make(chan struct{}, 1)
	if a.meters, err = newMeters(a, opts.Metrics); err != nil {
		codec.close()
		return nil, fmt.Errorf("open the store of traces and logs: %w", err)
	}
	if err := a.load(); err != nil {
		codec.close()
		return nil, fmt.Errorf("open the store of traces and logs: %w", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	a.stop = stop
	a.stopped.Go(func() { a.writing(ctx) })
	a.stopped.Go(func() { a.keeping(ctx) })
	return a, nil
}

// load opens the segments that are there.
func (a *Archive) load() error {
	entries, err := os.ReadDir(a.opts.Dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		number, ok := segment.ParseName(e.Name())
		if !ok || e.IsDir() {
			continue
		}
		path := filepath.Join(a.opts.Dir, e.Name())
		if err := segment.RemoveUnfinished(path); err != nil {
			return err
		}
		s, err := segment.Open(path, number)
		if err != nil {
			a.setAside(path, err)
			continue
		}
		a.segments = append(a.segments, s)
	}
	slices.SortFunc(a.segments, func(x, y *segment.Segment) int { return int(x.Number() - y.Number()) })
	return a.resume()
}

// resume goes on with the last file, if its hour has not passed.
func (a *Archive) resume() error {
	if len(a.segments) == 0 {
		return nil
	}
	last := a.segments[len(a.segments)-1]
	info := last.Info()
	if info.Thinned || hour(time.Unix(0, info.Created)) != hour(a.now()) {
		return nil
	}
	if err := last.Resume(); err != nil {
		return err
	}
	a.current = last
	return nil
}

// brokenFolder is where damaged files go.
const brokenFolder = "broken"

// setAside moves a damaged file out of the way, and says so.
func (a *Archive) setAside(path string, reason error) {
	to := filepath.Join(a.opts.Dir, brokenFolder, filepath.Base(path))
	err := os.MkdirAll(filepath.Dir(to), 0o700)
	for _, suffix := range [...]string{"", "-wal", "-journal", "-shm"} {
		if e := os.Rename(path+suffix, to+suffix); e != nil && !errors.Is(e, os.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	a.broken = append(a.broken, to)
	a.meters.broken.Inc()
	a.opts.Logger.Error("a file of traces and logs is damaged and was moved aside", "file", to, "error", errors.Join(reason, err))
}

// Close writes what is queued, and ends.
func (a *Archive) Close() error {
	a.queue.close()
	a.stop()
	a.stopped.Wait()
	a.tails.close()
	a.mu.Lock()
	defer a.mu.Unlock()
	var errs []error
	for _, s := range a.segments {
		errs = append(errs, s.Close())
	}
	a.codec.close()
	return errors.Join(errs...)
}

// AddTraces takes spans, which it uses up. ErrBusy says that none was taken.
func (a *Archive) AddTraces(td ptrace.Traces) (err error) {
	n := int64(td.SpanCount())
	a.meters.received.WithLabelValues("spans").Add(float64(n))
	if a.queue.full(a.opts.Limits().QueueBytes) {
		a.drop("queue", n, 0)
		return ErrBusy
	}
	defer recovered(&err)
	s, err := a.split(td)
	if err != nil {
		return err
	}
	a.redacted(s.redacted)
	a.drop("probe", int64(s.probes), 0)
	if !a.queue.add(item{chunks: s.chunks, calls: s.calls, spans: int64(s.count), bytes: s.bytes}) {
		a.drop("queue", int64(s.count), 0)
		return ErrBusy
	}
	return nil
}

// AddLogs takes lines that came by OTLP. ErrBusy says that none was taken.
func (a *Archive) AddLogs(ld plog.Logs) (err error) {
	n := int64(ld.LogRecordCount())
	a.meters.received.WithLabelValues("lines").Add(float64(n))
	if a.queue.full(a.opts.Limits().QueueBytes) {
		a.drop("queue", 0, n)
		return ErrBusy
	}
	defer recovered(&err)
	return a.addLines(a.records(ld))
}

// AddOutput takes a line that a process printed. It never waits: when the store
// is behind, the line is dropped and counted.
func (a *Archive) AddOutput(o Output) {
	a.meters.received.WithLabelValues("lines").Inc()
	if a.queue.full(a.opts.Limits().QueueBytes) {
		a.drop("queue", 0, 1)
		return
	}
	_ = a.addLines([]*segment.Line{a.line(o)}) // and counted
}

func (a *Archive) addLines(lines []*segment.Line) error {
	const overhead = 300 // what a line takes in memory beside its text
	bytes := int64(0)
	for _, l := range lines {
		bytes += int64(len(l.Message)+len(l.Attributes)) + overhead
	}
	if !a.queue.add(item{lines: lines, bytes: bytes}) {
		a.drop("queue", 0, int64(len(lines)))
		return ErrBusy
	}
	return nil
}

// recovered makes an error of a panic over what a sender made up: decoding is
// lazy, and the rest of the system must not fall with it.
func recovered(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("read telemetry: %v\n%s", r, debug.Stack())
	}
}

func (a *Archive) redacted(n int) {
	if n > 0 {
		a.meters.redactedValues.Add(float64(n))
		a.meters.redacted.Add(int64(n))
	}
}

// snapshot is the segments as they are now, oldest first.
func (a *Archive) snapshot() []*segment.Segment {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return slices.Clone(a.segments)
}

func hour(t time.Time) string { return t.UTC().Format("20060102T15") }
