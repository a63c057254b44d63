// Package tracediff lays two traces over each other: what both did in the same
// place, how long each took there, and what only one of them did.
package tracediff

import (
	"fmt"
	"strings"
	"time"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
)

// Step is what both traces did in the same place: below the same callers, under
// the same name. Who did it several times has one step with all of them.
type Step struct {
	Service, Name string
	// Depth is how far below the root it lies.
	Depth int
	A, B  Tally
}

// Tally sums up the spans of a step in one trace.
type Tally struct {
	Spans, Failed int
	// Took is what they took together, Self without what they called.
	Took, Self time.Duration
	// Critical tells that one of them decided how long the trace took.
	Critical bool
}

func (t *Tally) add(one *observev1.Span) {
	t.Spans++
	t.Took += one.GetDuration().AsDuration()
	t.Self += one.GetSelf().AsDuration()
	t.Critical = t.Critical || one.GetCritical()
	if one.GetStatus() == observev1.SpanStatus_SPAN_STATUS_ERROR {
		t.Failed++
	}
}

// Difference is by how much b took longer.
func (s *Step) Difference() time.Duration { return s.B.Took - s.A.Took }

// Common tells whether both have it.
func (s *Step) Common() bool { return s.A.Spans > 0 && s.B.Spans > 0 }

// Differs tells whether a step is worth a look: by a tenth, or a failure.
func (s *Step) Differs() bool {
	const least, part = time.Millisecond, 10
	d := s.Difference().Abs()
	return !s.Common() || s.A.Failed != s.B.Failed || s.A.Spans != s.B.Spans || d > least && d > min(s.A.Took, s.B.Took)/part
}

// branches are the steps below a step, in the order in which they came.
type branches struct {
	step  *Step
	below map[string]*branches
	order []*branches
}

// Align lays the spans of two traces over each other, by service and name from
// the root on, and lists the steps as a waterfall does.
func Align(a, b []*observev1.Span) []*Step {
	root := &branches{}
	root.lay(a, func(s *Step) *Tally { return &s.A })
	root.lay(b, func(s *Step) *Tally { return &s.B })
	var out []*Step
	var walk func(*branches)
	walk = func(t *branches) {
		for _, one := range t.order {
			out = append(out, one.step)
			walk(one)
		}
	}
	walk(root)
	return out
}

func (t *branches) lay(spans []*observev1.Span, side func(*Step) *Tally) {
	above := []*branches{t}     // the way from the root to the span before
	for _, one := range spans { // each below its parent, as a waterfall lists them
		depth := max(0, min(int(one.GetDepth()), len(above)-1))
		here := above[depth].child(one)
		side(here.step).add(one)
		above = append(above[:depth+1], here)
	}
}

func (t *branches) child(one *observev1.Span) *branches {
	key := one.GetService() + "\x00" + one.GetName()
	if found := t.below[key]; found != nil {
		return found
	}
	depth := 0
	if t.step != nil {
		depth = t.step.Depth + 1
	}
	made := &branches{step: &Step{Service: one.GetService(), Name: strings.TrimPrefix(one.GetName(), "/"), Depth: depth}}
	if t.below == nil {
		t.below = map[string]*branches{}
	}
	t.below[key] = made
	t.order = append(t.order, made)
	return made
}

// Verdict says in a sentence which was slower, and where most of that is.
func Verdict(a, b *observev1.TraceSummary, steps []*Step, say func(time.Duration) string) string {
	d := b.GetDuration().AsDuration() - a.GetDuration().AsDuration()
	if d == 0 {
		return "Both took the same time."
	}
	slower, longer := "B", func(s *Step) time.Duration { return s.B.Self - s.A.Self }
	if d < 0 {
		slower, longer = "A", func(s *Step) time.Duration { return s.A.Self - s.B.Self }
	}
	text := fmt.Sprintf("%s took %s longer.", slower, say(d.Abs()))
	var most *Step
	for _, one := range steps {
		if most == nil || longer(one) > longer(most) {
			most = one
		}
	}
	if most != nil && longer(most) > 0 {
		text += fmt.Sprintf(" Most of it is %s: %s itself took %s longer.", most.Service, most.Name, say(longer(most)))
	}
	return text
}
