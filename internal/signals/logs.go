package signals

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	"github.com/gowarren/warren/internal/signals/archive"
	"github.com/gowarren/warren/internal/signals/segment"
	"github.com/gowarren/warren/rpc"
)

// Sizes of what is asked for, where nothing is said and at most.
const (
	linesOnPage   = 100
	mostLines     = 1000
	linesAround   = 20
	mostAround    = 500
	countedLines  = 50_000 // of those that match a word, for histogram and facets
	histogramBars = 60
	facetValues   = 50
)

type logService struct {
	observev1.UnimplementedLogServiceServer
	archive  *archive.Archive
	patience time.Duration
}

// filter is what lines are asked for, read.
type filter struct {
	*observev1.LogFilter
	words words
	trace []byte
}

func readFilter(f *observev1.LogFilter) (*filter, error) {
	out := &filter{LogFilter: f}
	var err error
	if out.words, err = readWords(f.GetQuery()); err != nil {
		return nil, err
	}
	if f.GetTraceId() != "" {
		id, err := traceID(f.GetTraceId())
		if err != nil {
			return nil, err
		}
		out.trace = id[:]
	}
	return out, nil
}

func (f *filter) query(patience time.Duration) segment.LineQuery {
	return segment.LineQuery{
		Words: f.words.fts(), MinLevel: int(f.GetMinLevel()), Services: f.GetServices(), Instances: f.GetInstances(),
		Trace: f.trace, Deadline: time.Now().Add(patience),
	}
}

func (f *filter) match(l *segment.Line) bool {
	return l.Level >= int(f.GetMinLevel()) &&
		(len(f.GetServices()) == 0 || slices.Contains(f.GetServices(), l.Service)) &&
		(len(f.GetInstances()) == 0 || slices.Contains(f.GetInstances(), l.Instance)) &&
		(f.trace == nil || bytes.Equal(f.trace, l.Trace)) &&
		(len(f.words) == 0 || f.words.match(l.Message+" "+string(l.Attributes)))
}

func (s *logService) Search(_ context.Context, req *observev1.SearchLogsRequest) (*observev1.SearchLogsResponse, error) {
	f, err := readFilter(req.GetFilter())
	if err != nil {
		return nil, err
	}
	q := f.query(s.patience)
	q.From, q.To, q.Limit = nanos(req.GetFrom()), nanos(req.GetTo()), within(int(req.GetPageSize()), linesOnPage, mostLines)
	resp := &observev1.SearchLogsResponse{}
	if req.GetFacets() {
		if err := s.count(q, resp); err != nil {
			return nil, err
		}
	}
	if err := page(req.GetPageToken(), &q.To); err != nil {
		return nil, err
	}
	q.Deadline = time.Now().Add(s.patience)
	found, err := s.archive.SearchLines(q)
	if err != nil {
		return nil, unreadable(err)
	}
	if resp.Lines = sendable(found.Items, pageBytes); len(resp.GetLines()) < len(found.Items) {
		found.Partial, found.Next = false, found.Items[len(resp.GetLines())-1].ID
	}
	resp.Partial, resp.NextPageToken = found.Partial, token(found.Next)
	return resp, nil
}

// sendable are the first of some lines, as many as have room, but at least one: a
// line may be long, and what is larger than gRPC takes would be no answer at all.
func sendable(lines []*segment.Line, room int) (out []*observev1.LogLine) {
	for _, l := range lines {
		line := lineToProto(l)
		if room -= proto.Size(line); room < 0 && len(out) > 0 {
			break
		}
		out = append(out, line)
	}
	return out
}

// count fills in histogram and facets.
func (s *logService) count(q segment.LineQuery, resp *observev1.SearchLogsResponse) error {
	q.Limit = countedLines
	counts, err := s.archive.CountLines(q)
	if err != nil {
		return unreadable(err)
	}
	resp.FacetsPartial = counts.Partial
	resp.Histogram = histogram(counts.Items, q.Window)
	for _, f := range []struct {
		name  string
		value func(segment.Count) string
	}{
		{"service", func(c segment.Count) string { return c.Service }},
		{"level", func(c segment.Count) string { return levelName(c.Level) }},
		{"instance", func(c segment.Count) string { return c.Instance }},
	} {
		resp.Facets = append(resp.Facets, facet(f.name, counts.Items, f.value))
	}
	return nil
}

func facet(name string, counts []segment.Count, value func(segment.Count) string) *observev1.LogFacet {
	sum := map[string]int64{}
	for _, c := range counts {
		sum[value(c)] += c.Lines
	}
	out := &observev1.LogFacet{Name: name}
	for _, v := range slices.Sorted(maps.Keys(sum)) {
		out.Values = append(out.Values, &observev1.LogFacetValue{Value: v, Lines: sum[v]})
	}
	slices.SortStableFunc(out.GetValues(), func(a, b *observev1.LogFacetValue) int { return cmp.Compare(b.GetLines(), a.GetLines()) })
	out.Values = out.GetValues()[:min(len(out.GetValues()), facetValues)]
	return out
}

// histogram puts minutes into bars of equal width.
func histogram(counts []segment.Count, w segment.Window) []*observev1.LogBucket {
	if len(counts) == 0 {
		return nil
	}
	first, last := int64(math.MaxInt64), int64(0)
	for _, c := range counts {
		first, last = min(first, c.Minute), max(last, c.Minute)
	}
	if w.From > 0 {
		first = segment.Minute(w.From)
	}
	if w.To > 0 {
		last = segment.Minute(w.To - 1)
	}
	last = max(first, last)
	width := (last-first)/histogramBars + 1
	out := make([]*observev1.LogBucket, (last-first)/width+1)
	for i := range out {
		out[i] = &observev1.LogBucket{Start: timestamppb.New(time.Unix((first+int64(i)*width)*60, 0))} //nolint:mnd // minutes
	}
	for _, c := range counts {
		if c.Minute < first || c.Minute > last {
			continue
		}
		b := out[(c.Minute-first)/width]
		switch {
		case c.Level >= segment.LevelError:
			b.Error += c.Lines
		case c.Level == segment.LevelWarn:
			b.Warn += c.Lines
		case c.Level == segment.LevelInfo:
			b.Info += c.Lines
		default:
			b.Debug += c.Lines
		}
	}
	return out
}

func (s *logService) Tail(req *observev1.TailLogsRequest, stream grpc.ServerStreamingServer[observev1.TailLogsResponse]) error {
	f, err := readFilter(req.GetFilter())
	if err != nil {
		return err
	}
	tail, unfollow := s.archive.Follow() // before the last ones, so that no line falls between
	defer unfollow()
	sent := map[int64]struct{}{}
	if n := min(int(req.GetLast()), mostLines); n > 0 {
		q := f.query(s.patience)
		q.Limit = n
		found, err := s.archive.SearchLines(q)
		if err != nil {
			return unreadable(err)
		}
		for _, l := range slices.Backward(found.Items) {
			sent[l.ID] = struct{}{}
			if err := stream.Send(&observev1.TailLogsResponse{Line: lineToProto(l)}); err != nil {
				return err
			}
		}
	}
	return follow(stream, tail, f, sent)
}

func follow(stream grpc.ServerStreamingServer[observev1.TailLogsResponse], tail *archive.Tail, f *filter, sent map[int64]struct{}) error {
	for {
		select {
		case l, open := <-tail.Lines:
			if !open {
				return nil
			}
			if _, twice := sent[l.ID]; twice || !f.match(l) {
				continue
			}
			if err := stream.Send(&observev1.TailLogsResponse{Line: lineToProto(l), Missed: tail.Missed()}); err != nil {
				return err
			}
		case <-stream.Context().Done():
			return nil
		}
	}
}

func (s *logService) Around(_ context.Context, req *observev1.AroundLogsRequest) (*observev1.AroundLogsResponse, error) {
	number, id, ok := lineID(req.GetId())
	var line *segment.Line
	var err error
	if ok {
		if line, err = s.archive.Line(number, id); err != nil {
			return nil, unreadable(err)
		}
	}
	if line == nil {
		return nil, rpc.Errorf(observev1.TraceReason_LINE_NOT_FOUND, "no line %q is kept", req.GetId())
	}
	q := segment.LineQuery{Limit: within(int(req.GetLines()), linesAround, mostAround), Deadline: time.Now().Add(s.patience)}
	if !req.GetAllInstances() {
		q.Services, q.Instances = []string{line.Service}, []string{line.Instance}
	}
	q.To = id
	before, err := s.archive.SearchLines(q)
	if err != nil {
		return nil, unreadable(err)
	}
	q.From, q.To = id+1, 0
	after, err := s.archive.After(q)
	if err != nil {
		return nil, unreadable(err)
	}
	resp := &observev1.AroundLogsResponse{Lines: sendable(before.Items, pageBytes/2)}
	slices.Reverse(resp.GetLines())
	resp.Lines = append(resp.Lines, lineToProto(line))
	resp.Lines = append(resp.Lines, sendable(after, pageBytes/2)...)
	return resp, nil
}

// lineID names a line by its file and its time.
func lineID(text string) (number, id int64, ok bool) {
	file, at, found := strings.Cut(text, ".")
	number, err := strconv.ParseInt(file, 36, 64) //nolint:mnd // short
	if err != nil || !found {
		return 0, 0, false
	}
	id, err = strconv.ParseInt(at, 36, 64) //nolint:mnd // as above
	return number, id, err == nil
}

func lineToProto(l *segment.Line) *observev1.LogLine {
	return &observev1.LogLine{
		Id:   strconv.FormatInt(l.Segment, 36) + "." + strconv.FormatInt(l.ID, 36), //nolint:mnd // as above
		Time: timestamppb.New(time.Unix(0, l.ID)), Level: observev1.LogLevel(l.Level),
		Service: l.Service, Instance: l.Instance, TraceId: hex.EncodeToString(l.Trace), SpanId: hex.EncodeToString(l.Span),
		Message: l.Message, Attributes: objectToProto(l.Attributes),
	}
}

func levelName(level int) string {
	switch {
	case level >= segment.LevelError:
		return "error"
	case level == segment.LevelWarn:
		return "warn"
	case level == segment.LevelDebug:
		return "debug"
	}
	return "info"
}

// objectToProto reads a JSON object in its order.
func objectToProto(raw []byte) (out []*observev1.Attribute) {
	if len(raw) == 0 {
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if _, err := dec.Token(); err != nil {
		return nil
	}
	for dec.More() {
		key, err := dec.Token()
		var value json.RawMessage
		if err != nil || dec.Decode(&value) != nil {
			return out
		}
		a := &observev1.Attribute{Key: fmt.Sprint(key)}
		jsonToProto(a, value)
		out = append(out, a)
	}
	return out
}

func jsonToProto(a *observev1.Attribute, raw json.RawMessage) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if dec.Decode(&v) != nil {
		return
	}
	switch v := v.(type) {
	case string:
		a.Value = &observev1.Attribute_Text{Text: v}
	case bool:
		a.Value = &observev1.Attribute_Flag{Flag: v}
	case json.Number:
		if n, err := v.Int64(); err == nil {
			a.Value = &observev1.Attribute_Integer{Integer: n}
		} else if f, err := v.Float64(); err == nil {
			a.Value = &observev1.Attribute_Number{Number: f}
		}
	default:
		a.Value = &observev1.Attribute_Json{Json: string(raw)}
	}
}
