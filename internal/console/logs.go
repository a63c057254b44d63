package console

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	"github.com/gowarren/warren/internal/console/frame"
)

type logsView struct {
	Lines   []line
	Query   string
	Level   string
	Service string
	Bars    []bar
	Facets  []facet
	More    string
	Note    string
	Around  string
	Empty   frame.Empty
}

// bar is the lines of a stretch of time; heights are shares of the most.
type bar struct {
	X, Width, Info, Warn, Error float64
	Says                        string
	Start                       time.Time
	Lines, Warnings, Errors     int64
}

type facet struct {
	Name   string
	Values []facetValue
}

type facetValue struct {
	Value, Href string
	Lines       int64
	Here        bool
}

func (s *screens) logLines(r *frame.Request) (any, error) {
	v := logsView{Query: r.Get("q"), Level: r.Get("level"), Service: r.Get("service"), Around: r.Get("around")}
	v.Empty = frame.Empty{
		Title: "No line is like that", Text: "Nothing in this span of time has these words, this service and this level.",
		Clear: clearOf(r, "q", "level", "service", "trace", "instance"),
	}
	if v.Empty.Clear == "" {
		v.Empty = frame.Empty{
			Title: "Nothing was written", Text: "No service wrote a line in this span of time. A longer one may have some.", Code: "warren logs --follow",
		}
	}
	if v.Around != "" {
		resp, err := s.logs.Around(r.Context(), &observev1.AroundLogsRequest{Id: v.Around, Lines: 40, AllInstances: true})
		if err != nil {
			return nil, err
		}
		v.Lines = linesOf(resp.GetLines())
		slices.Reverse(v.Lines)
		return v, nil
	}
	resp, err := s.logs.Search(r.Context(), &observev1.SearchLogsRequest{
		Filter: logFilter(r), From: timestamppb.New(r.Range.From), To: timestamppb.New(r.Range.To), PageSize: 200, PageToken: r.Get("page"),
	})
	if c := status.Code(err); c == codes.Unimplemented || c == codes.Unavailable {
		return s.plainLines(r, v, err)
	}
	if err != nil {
		return nil, err
	}
	v.Lines = linesOf(resp.GetLines())
	counted, err := s.countedLines(r)
	r.Missing("How many lines there are", err)
	v.Bars, v.Facets = bars(counted.GetHistogram()), facets(r, counted.GetFacets())
	if resp.GetNextPageToken() != "" {
		v.More = r.With("page", resp.GetNextPageToken())
	}
	if resp.GetPartial() {
		v.Note = "The search stopped when its time was up; there may be more."
	}
	if counted.GetFacetsPartial() {
		v.Note = strings.TrimSpace(v.Note + " Only the newest lines were counted before the time was up.")
	}
	return v, nil
}

// countedLines is how many lines there are, over time and by what. It looks at all
// of them, where the list ends with its page.
func (s *screens) countedLines(r *frame.Request) (*observev1.SearchLogsResponse, error) {
	return seldom(r, s.answers, "lines", func(ctx context.Context) (*observev1.SearchLogsResponse, error) {
		return s.logs.Search(ctx, &observev1.SearchLogsRequest{
			Filter: logFilter(r), From: timestamppb.New(r.Range.From), To: timestamppb.New(r.Range.To), PageSize: 1, Facets: true,
		})
	})
}

func logFilter(r *frame.Request) *observev1.LogFilter {
	levels := map[string]observev1.LogLevel{
		"debug": observev1.LogLevel_LOG_LEVEL_DEBUG, "info": observev1.LogLevel_LOG_LEVEL_INFO, "warn": observev1.LogLevel_LOG_LEVEL_WARN,
		"error": observev1.LogLevel_LOG_LEVEL_ERROR,
	}
	q := r.URL.Query()
	services := slices.DeleteFunc(q["service"], func(s string) bool { return s == "" })
	return &observev1.LogFilter{Query: r.Get("q"), Services: services, Instances: q["instance"], MinLevel: levels[r.Get("level")], TraceId: r.Get("trace")}
}

// plainLines are the last lines as the supervisor has them, where none are kept
// to search.
func (s *screens) plainLines(r *frame.Request, v logsView, why error) (any, error) {
	const enough = 300
	lines, err := s.lastLines(r.Context(), r.Get("service"), enough)
	if err != nil {
		return nil, err
	}
	r.Missing("The store of logs", why)
	v.Note = "These are the last lines of each instance."
	slices.Reverse(lines)
	for _, l := range lines {
		if strings.Contains(strings.ToLower(l.Said), strings.ToLower(v.Query)) && severe(l.Level) >= severe(v.Level) {
			v.Lines = append(v.Lines, l)
		}
	}
	v.Lines = v.Lines[:min(enough, len(v.Lines))]
	return v, nil
}

func severe(level string) int { return slices.Index([]string{"debug", "info", "warn", "error"}, level) }

func linesOf(all []*observev1.LogLine) []line {
	var out []line
	for _, one := range all {
		l := line{
			ID: one.GetId(), Who: one.GetInstance(), Level: strings.ToLower(strings.TrimPrefix(one.GetLevel().String(), "LOG_LEVEL_")), Said: one.GetMessage(),
			Time: one.GetTime().AsTime(), Trace: one.GetTraceId(), Span: one.GetSpanId(),
		}
		if l.Who == "" {
			l.Who = one.GetService()
		}
		for _, a := range one.GetAttributes() {
			l.More = append(l.More, fact{a.GetKey(), attributeText(a)})
		}
		out = append(out, l)
	}
	return out
}

func attributeText(a *observev1.Attribute) string {
	switch v := a.GetValue().(type) {
	case *observev1.Attribute_Text:
		return v.Text
	case *observev1.Attribute_Integer:
		return strconv.FormatInt(v.Integer, 10)
	case *observev1.Attribute_Number:
		return fmt.Sprint(v.Number)
	case *observev1.Attribute_Flag:
		return strconv.FormatBool(v.Flag)
	case *observev1.Attribute_Json:
		return v.Json
	}
	return ""
}

func bars(buckets []*observev1.LogBucket) []bar {
	most := int64(1)
	for _, b := range buckets {
		most = max(most, b.GetDebug()+b.GetInfo()+b.GetWarn()+b.GetError())
	}
	var out []bar
	for i, b := range buckets {
		width := 1 / float64(len(buckets))
		all, warned := b.GetDebug()+b.GetInfo()+b.GetWarn()+b.GetError(), b.GetWarn()+b.GetError()
		out = append(out, bar{
			X: float64(i) * width, Width: width * 0.85, Info: float64(all) / float64(most), Warn: float64(warned) / float64(most),
			Error: float64(b.GetError()) / float64(most), Start: b.GetStart().AsTime().Local(), Lines: all, Warnings: b.GetWarn(), Errors: b.GetError(),
			Says: fmt.Sprintf(
				"%s: %d lines, %d warnings, %d errors", b.GetStart().AsTime().Local().Format("15:04:05"), all, b.GetWarn(), b.GetError(),
			),
		})
	}
	return out
}

func facets(r *frame.Request, all []*observev1.LogFacet) []facet {
	var out []facet
	for _, f := range all {
		one := facet{Name: f.GetName()}
		const enough = 12
		for _, value := range f.GetValues()[:min(enough, len(f.GetValues()))] {
			name := value.GetValue()
			here := r.Has(f.GetName(), name)
			href := r.Toggled(f.GetName(), name)
			if f.GetName() == "level" {
				name = strings.ToLower(strings.TrimPrefix(name, "LOG_LEVEL_"))
				here = r.Get("level") == name
				href = r.With("level", name, "page", "")
				if here {
					href = r.With("level", "", "page", "")
				}
			}
			one.Values = append(one.Values, facetValue{name, href, value.GetLines(), here})
		}
		out = append(out, one)
	}
	return out
}
