package archive

import (
	"maps"
	"slices"

	"github.com/gowarren/warren/internal/signals/segment"
)

// Stats is the state of the archive.
type Stats struct {
	Traces, Spans, Lines int64
	Bytes                int64
	Limits               Limits
	Oldest               int64 // when the oldest file was begun; 0: there is none
	ThinnedBefore        int64 // 0: nothing was thinned
	Segments             int
	Dropped              map[string]Dropped
	Redacted             int64
	Queued               int64
	Problem              string
	Broken               []string
}

// Stats says what the archive holds, and what it had to drop.
func (a *Archive) Stats() Stats {
	a.mu.RLock()
	out := Stats{Limits: a.opts.Limits(), Problem: a.problem, Broken: slices.Clone(a.broken), Segments: len(a.segments)}
	all := slices.Clone(a.segments)
	a.mu.RUnlock()
	for i, s := range all {
		info := s.Info()
		out.add(info)
		out.Bytes += s.Bytes()
		if i == 0 {
			out.Oldest = info.Created
		}
		if info.Thinned && i+1 < len(all) {
			out.ThinnedBefore = all[i+1].Info().Created
		}
	}
	out.Queued, out.Redacted = a.queue.size(), a.meters.redacted.Load()
	a.meters.mu.Lock()
	defer a.meters.mu.Unlock()
	out.Dropped = maps.Clone(a.meters.drops)
	return out
}

func (s *Stats) add(info segment.Info) {
	s.Traces += info.Traces
	s.Spans += info.Spans
	s.Lines += info.Lines
}
