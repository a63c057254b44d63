package console

import (
	"fmt"
	"time"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	"github.com/gowarren/warren/internal/console/frame"
)

// keptView is what the store of traces and logs holds, and what it had to leave
// out: a list that is short for that reason has to say so.
type keptView struct {
	Problem, Thinned string
	Facts            []fact
}

func (s *screens) kept(r *frame.Request) *keptView {
	stats, err := s.traces.Stats(r.Context(), &observev1.StatsRequest{})
	r.Missing("What is kept", err)
	if err != nil {
		return nil
	}
	v := &keptView{Problem: stats.GetProblem()}
	if at := stats.GetThinnedBefore(); at != nil && r.Range.From.Before(at.AsTime()) {
		v.Thinned = at.AsTime().Local().Format(time.DateTime)
	}
	v.Facts = []fact{
		{"Traces", frame.Count(stats.GetTraces())}, {"Spans", frame.Count(stats.GetSpans())}, {"Lines of logs", frame.Count(stats.GetLines())},
		{"On disk", frame.Amount(float64(stats.GetBytes()), "B") + " of " + frame.Amount(float64(stats.GetBudgetBytes()), "B")},
		{"Kept for", frame.Span(stats.GetRetention().AsDuration())}, {"The oldest", "–"},
	}
	if at := stats.GetOldest(); at != nil {
		v.Facts[len(v.Facts)-1].Value = frame.Ago(at.AsTime(), r.Now)
	}
	reasons := map[string]string{
		"queue": "more came than the disk takes", "disk": "too little room on the disk", "trace_size": "a trace had too many spans",
		"line_size": "a line was too long",
		"thinned":   "the budget was nearly used", "expired": "too old, or the budget was used", "probe": "health checks",
	}
	for _, d := range stats.GetDropped() {
		why := reasons[d.GetReason()]
		if why == "" {
			why = d.GetReason()
		}
		v.Facts = append(v.Facts, fact{"Not kept: " + why, fmt.Sprintf("%s spans, %s lines", frame.Count(d.GetSpans()), frame.Count(d.GetLines()))})
	}
	if n := stats.GetRedacted(); n > 0 {
		v.Facts = append(v.Facts, fact{"Secrets taken out", frame.Count(n)})
	}
	if n := len(stats.GetBroken()); n > 0 {
		v.Facts = append(v.Facts, fact{"Files that could not be read", frame.Count(int64(n))})
	}
	return v
}
