package archive_test

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/gowarren/warren/internal/disktest"
	"github.com/gowarren/warren/internal/signals/archive"
	"github.com/gowarren/warren/internal/signals/segment"
)

// timed is a trace of one span in the comparison.
type timed struct {
	id       segment.ID
	service  string
	method   bool // it has one
	failed   bool
	at       int64
	duration time.Duration
}

// fill writes traces into one file, more than are looked at one by one.
func fill(t *testing.T, a *archive.Archive, file int, now time.Time) (out []timed) {
	t.Helper()
	const traces = 6000
	r := rand.New(rand.NewPCG(uint64(file), 7))
	td := ptrace.NewTraces()
	for i := range traces {
		one := timed{
			service: "s" + strconv.Itoa(i%3), failed: i%40 == 0, method: i%3 == 0 || i%100 == 1, at: now.Add(time.Duration(i) * time.Millisecond).UnixNano(),
			duration: time.Duration(r.Int64N(int64(time.Second)))<<file + 1, // later files have the longer ones, but not only
		}
		binary.BigEndian.PutUint64(one.id[:], uint64(file+1)<<32|uint64(i))
		rs := td.ResourceSpans().AppendEmpty()
		rs.Resource().Attributes().PutStr("service.name", one.service)
		s := rs.ScopeSpans().AppendEmpty().Spans().AppendEmpty()
		s.SetTraceID([16]byte(one.id))
		s.SetSpanID([8]byte{1})
		s.SetName("n")
		start := time.Unix(0, one.at)
		s.SetStartTimestamp(stamp(start))
		s.SetEndTimestamp(stamp(start.Add(one.duration)))
		if one.method {
			s.Attributes().PutStr("rpc.method", "m")
		}
		if one.failed {
			s.Status().SetCode(ptrace.StatusCodeError)
		}
		out = append(out, one)
	}
	before := a.Stats().Spans
	if err := a.AddTraces(td); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the traces to be written", func() bool { return a.Stats().Spans == before+traces })
	return out
}

// The slowest are the slowest of all files, whatever else is asked: compared with
// looking at every trace.
func TestSlowest(t *testing.T) {
	clock := newClock(time.Now().Truncate(time.Hour))
	a := open(t, t.TempDir(), func(o *archive.Options) { o.Now = clock.now })
	var all []timed
	for _, file := range []int{2, 0, 1} {
		clock.forward(time.Hour)
		all = append(all, fill(t, a, file, clock.now())...)
	}
	begin, end := all[0].at, all[len(all)-1].at
	for name, c := range map[string]struct {
		q    archive.TraceSearch
		fits func(timed) bool
	}{
		"all":               {archive.TraceSearch{}, func(timed) bool { return true }},
		"a common service":  {archive.TraceSearch{Service: "s1"}, func(o timed) bool { return o.service == "s1" }},
		"few failed":        {archive.TraceSearch{Errors: true}, func(o timed) bool { return o.failed }},
		"failed of service": {archive.TraceSearch{Errors: true, Service: "s1"}, func(o timed) bool { return o.failed && o.service == "s1" }},
		"hardly both": {
			archive.TraceSearch{Service: "s1", Attributes: map[string]string{"rpc.method": "m"}},
			func(o timed) bool { return o.method && o.service == "s1" },
		},
		"hardly both, at least": {
			archive.TraceSearch{Service: "s1", Attributes: map[string]string{"rpc.method": "m"}, Min: 300 * time.Millisecond, Max: 3 * time.Second},
			func(o timed) bool {
				return o.method && o.service == "s1" && o.duration >= 300*time.Millisecond && o.duration <= 3*time.Second
			},
		},
		"at most":       {archive.TraceSearch{Max: 300 * time.Millisecond}, func(o timed) bool { return o.duration <= 300*time.Millisecond }},
		"at least, few": {archive.TraceSearch{Min: 3990 * time.Millisecond}, func(o timed) bool { return o.duration >= 3990*time.Millisecond }},
		"since":         {archive.TraceSearch{From: begin + int64(90*time.Minute)}, func(o timed) bool { return o.at >= begin+int64(90*time.Minute) }},
		"a second":      {archive.TraceSearch{From: end - int64(time.Second), To: end}, func(o timed) bool { return o.at >= end-int64(time.Second) && o.at < end }},
		"nobody":        {archive.TraceSearch{Service: "nobody"}, func(timed) bool { return false }},
	} {
		t.Run(name, func(t *testing.T) {
			want := slices.DeleteFunc(slices.Clone(all), func(o timed) bool { return !c.fits(o) })
			slices.SortFunc(want, func(x, y timed) int { return cmp.Or(cmp.Compare(y.duration, x.duration), cmp.Compare(y.at, x.at)) })
			c.q.Slowest, c.q.Limit, c.q.Patience = true, 50, patience
			want = want[:min(len(want), c.q.Limit)]
			page, err := a.SearchTraces(c.q)
			if err != nil || page.Partial || len(page.Items) != len(want) {
				t.Fatalf("%d found, want %d; partial %v, %v", len(page.Items), len(want), page.Partial, err)
			}
			for i, got := range page.Items {
				if got.Trace != want[i].id {
					t.Fatalf("place %d: %v with %v, want %v with %v", i, got.Trace, time.Duration(got.Duration), want[i].id, want[i].duration)
				}
			}
		})
	}
}

// BenchmarkSlowest asks for the slowest of services that more or fewer of 100 000
// traces in one file have, and for those that failed, of which there are none.
func BenchmarkSlowest(b *testing.B) {
	const traces, each = 100_000, 1000
	shares := map[string]int{"300": 300, "1000": 1000, "1900": 1900, "4000": 4000, "20000": 20_000}
	a, err := archive.Open(archive.Options{Dir: b.TempDir(), Logger: slog.New(slog.DiscardHandler), Limits: func() archive.Limits {
		l := limits()
		l.Bytes, l.QueueBytes = 1<<30, 256<<20
		return l
	}})
	if err != nil {
		b.Fatal(err)
	}
	defer a.Close()
	r, now := rand.New(rand.NewPCG(1, 7)), time.Now().Add(-time.Minute)
	for n := 0; n < traces; n += each {
		td := ptrace.NewTraces()
		for i := n; i < n+each; i++ {
			rs := td.ResourceSpans().AppendEmpty()
			service, at := "others", r.IntN(traces)
			for name, share := range shares {
				if at < share {
					service = name
					break
				}
				at -= share
			}
			rs.Resource().Attributes().PutStr("service.name", service)
			s := rs.ScopeSpans().AppendEmpty().Spans().AppendEmpty()
			s.SetTraceID([16]byte(checkoutID(uint64(i))))
			s.SetSpanID([8]byte{1})
			s.SetName("n")
			start := now.Add(time.Duration(i) * 100 * time.Microsecond)
			s.SetStartTimestamp(stamp(start))
			s.SetEndTimestamp(stamp(start.Add(time.Duration(r.ExpFloat64() * float64(30*time.Millisecond)))))
			if service == "others" && i%10 == 0 {
				s.Status().SetCode(ptrace.StatusCodeError)
			}
		}
		if err := a.AddTraces(td); err != nil {
			b.Fatal(err)
		}
	}
	if err := disktest.Within("the traces are written", func() bool { return a.Stats().Spans == traces && a.Stats().Queued == 0 }); err != nil {
		b.Fatal(err)
	}
	for service := range shares {
		for _, failed := range []bool{false, true} {
			b.Run(fmt.Sprintf("of=%s/failed=%t", service, failed), func(b *testing.B) {
				for b.Loop() {
					page, err := a.SearchTraces(archive.TraceSearch{Service: service, Errors: failed, Slowest: true, Limit: 50, Patience: patience})
					if err != nil || page.Partial || failed != (len(page.Items) == 0) {
						b.Fatal(len(page.Items), page.Partial, err)
					}
				}
			})
		}
	}
}
