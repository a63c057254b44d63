package archive

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"github.com/gowarren/warren/internal/signals/segment"
)

// writeEvery is how long what comes waits at most for more to come.
const writeEvery = 200 * time.Millisecond

// mostTraceBytes is how much of one trace is kept, compressed.
const mostTraceBytes = 32 << 20

// writing writes what is queued until the archive is closed.
func (a *Archive) writing(ctx context.Context) {
	ticker := time.NewTicker(writeEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-a.queue.wake:
		case <-ctx.Done():
			for a.writeSome() {
			}
			return
		}
		for a.writeSome() && ctx.Err() == nil {
		}
	}
}

// writeSome writes one batch, and says whether more waits.
func (a *Archive) writeSome() (more bool) {
	items, bytes, more := a.queue.take()
	defer a.queue.done(bytes)
	now := a.now()
	batch, spans := a.batch(items, now)
	if len(batch.Chunks)+len(batch.Lines)+len(batch.Calls) == 0 {
		return false
	}
	began := time.Now()
	written, err := a.write(batch, now)
	a.meters.writes.Observe(time.Since(began).Seconds())
	if err != nil {
		a.drop("disk", spans, int64(len(batch.Lines)))
		a.troubled(err)
		return more
	}
	a.healed()
	if written.Over > 0 {
		a.drop("trace_size", written.Over, 0)
	}
	a.tails.send(batch.Lines)
	return more
}

// batch puts together what is written at once.
func (a *Archive) batch(items []item, now time.Time) (batch *segment.Batch, spans int64) {
	batch = &segment.Batch{}
	for _, i := range items {
		batch.Chunks = append(batch.Chunks, i.chunks...)
		batch.Lines = append(batch.Lines, i.lines...)
		spans += i.spans
		for _, s := range i.calls {
			a.pairs.Add(s, now)
		}
	}
	minute := segment.Minute(now.UnixNano())
	for cell, n := range a.pairs.Flush(now) {
		a.meters.graph.add(cell, n, now)
		batch.Calls = append(batch.Calls, segment.Calls{
			Minute: minute, Origin: cell.Origin, Target: cell.Target, System: cell.System, Version: cell.Version,
			Bucket: cell.Bucket, Calls: n.Calls, Errors: n.Errors,
		})
	}
	a.unpaired.Store(a.pairs.Unpaired())
	a.meters.graph.setUnpaired(a.pairs.Unpaired())
	return batch, spans
}

// write writes to the current segment, or to a new one where it is time for one.
func (a *Archive) write(batch *segment.Batch, now time.Time) (segment.Written, error) {
	if err := a.room(); err != nil {
		return segment.Written{}, err
	}
	s, err := a.writable(now)
	if err != nil {
		return segment.Written{}, err
	}
	written, err := s.Write(batch, segment.Limits{Spans: a.opts.Limits().TraceSpans, Bytes: mostTraceBytes})
	if errors.Is(err, segment.ErrBroken) {
		a.abandon(s, err)
	}
	for _, l := range batch.Lines {
		l.Segment = s.Number()
	}
	return written, err
}

// segments have a share of the budget, so that what is dropped at once is little.
const (
	shares       = 16
	leastSegment = 1 << 20
	mostSegment  = 256 << 20
)

func segmentBytes(budget int64) int64 {
	return min(max(budget/shares, leastSegment), mostSegment)
}

func (a *Archive) writable(now time.Time) (*segment.Segment, error) {
	a.mu.RLock()
	current := a.current
	a.mu.RUnlock()
	budget := a.opts.Limits().Bytes
	if current != nil {
		if hour(time.Unix(0, current.Info().Created)) == hour(now) && current.Bytes() < segmentBytes(budget) {
			return current, nil
		}
		a.mu.Lock()
		a.current = nil
		a.mu.Unlock()
		if err := current.Seal(); err != nil {
			a.opts.Logger.Warn("sealing a file of traces and logs", "file", current.Path(), "error", err)
		}
	}
	a.makeRoom(budget - segmentBytes(budget))
	return a.begin(now)
}

// begin makes the next segment.
func (a *Archive) begin(now time.Time) (*segment.Segment, error) {
	number := int64(1)
	if all := a.snapshot(); len(all) > 0 {
		number = all[len(all)-1].Number() + 1
	}
	s, err := segment.Create(filepath.Join(a.opts.Dir, segment.Name(hour(now), number)), number, now.UnixNano())
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	a.segments, a.current = append(a.segments, s), s
	a.mu.Unlock()
	a.lookAtBudget()
	return s, nil
}

// abandon moves a segment aside that turned out to be damaged.
func (a *Archive) abandon(s *segment.Segment, reason error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i, other := range a.segments {
		if other == s {
			a.segments = append(a.segments[:i:i], a.segments[i+1:]...)
			if a.current == s {
				a.current = nil
			}
			_ = s.Close() // it is damaged
			a.setAside(s.Path(), reason)
			return
		}
	}
}

// troubled tells, once, that nothing can be written.
func (a *Archive) troubled(err error) {
	a.mu.Lock()
	first := a.problem == ""
	a.problem = err.Error()
	a.mu.Unlock()
	a.meters.failed.Inc()
	if first {
		a.opts.Logger.Error("traces and logs are not stored: they are dropped until the disk takes them again", "error", err)
	}
	a.lookAtBudget()
}

func (a *Archive) healed() {
	a.mu.Lock()
	was := a.problem
	a.problem = ""
	a.mu.Unlock()
	if was != "" {
		a.opts.Logger.Info("traces and logs are stored again", "was", was)
	}
}
