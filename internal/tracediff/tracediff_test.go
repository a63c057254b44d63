package tracediff_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	"github.com/gowarren/warren/internal/tracediff"
)

// spans are written as a waterfall lists them: two spaces for each level,
// service, name, milliseconds; those with ! failed.
func spans(text string) (out []*observev1.Span) {
	for line := range strings.Lines(text) {
		var service, name string
		var took int64
		if n, err := fmt.Sscan(line, &service, &name, &took); err != nil || n != 3 {
			continue
		}
		one := &observev1.Span{
			Service: service, Name: strings.TrimSuffix(name, "!"), Depth: int32((len(line) - len(strings.TrimLeft(line, " "))) / 2),
			Duration: durationpb.New(time.Duration(took) * time.Millisecond), Self: durationpb.New(time.Duration(took) * time.Millisecond / 2),
		}
		if strings.HasSuffix(name, "!") {
			one.Status = observev1.SpanStatus_SPAN_STATUS_ERROR
		}
		out = append(out, one)
	}
	return out
}

func TestAlign(t *testing.T) {
	steps := tracediff.Align(spans(`gateway POST 100
  order Place 90
    db SELECT 5
    pay Charge 40
  log Write 1`), spans(`gateway POST 300
  order Place 290
    pay Charge! 100
    pay Charge! 100
    ship Book 8
    db SELECT 5
  log Write 1
      deep Span 2`))
	var got strings.Builder
	for _, s := range steps {
		fmt.Fprintf(&got, "%d %s %s %d/%d %d/%d %v\n", s.Depth, s.Service, s.Name, s.A.Spans, s.B.Spans, s.A.Took.Milliseconds(), s.B.Took.Milliseconds(), s.Differs())
	}
	want := `0 gateway POST 1/1 100/300 true
1 order Place 1/1 90/290 true
2 db SELECT 1/1 5/5 false
2 pay Charge 1/2 40/200 true
2 ship Book 0/1 0/8 true
1 log Write 1/1 1/1 false
2 deep Span 0/1 0/2 true
`
	if got.String() != want {
		t.Errorf("got\n%s\nwant\n%s", got.String(), want)
	}
	if s := steps[3]; s.B.Failed != 2 || s.Difference() != 160*time.Millisecond || s.Common() == false {
		t.Errorf("%+v", s)
	}
	if left := tracediff.Align(nil, nil); len(left) != 0 {
		t.Errorf("of nothing: %v", left)
	}
}

func TestVerdict(t *testing.T) {
	sum := func(ms int64) *observev1.TraceSummary {
		return &observev1.TraceSummary{Duration: durationpb.New(time.Duration(ms) * time.Millisecond)}
	}
	steps := tracediff.Align(spans("a Root 100\n  b Work 20"), spans("a Root 100\n  b Work 60"))
	for _, c := range []struct {
		a, b int64
		want string
	}{
		{100, 140, "B took 40ms longer. Most of it is b: Work itself took 20ms longer."},
		{140, 100, "A took 40ms longer."}, {100, 100, "Both took the same time."},
	} {
		if got := tracediff.Verdict(sum(c.a), sum(c.b), steps, time.Duration.String); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
