package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
)

// waterfallWidth is that of the bars, in characters.
const waterfallWidth = 40

func printWaterfall(w io.Writer, t *observev1.GetTraceResponse, attributes bool) error {
	s := t.GetSummary()
	fmt.Fprintf(w, "%s  %s\n%s, %s, %d spans, %d failed\n", s.GetTraceId(), rootName(s),
		s.GetStart().AsTime().Local().Format("2006-01-02 15:04:05.000"), brevity(s.GetDuration()), s.GetSpans(), s.GetErrors())
	if to := belongs(s); to != "" {
		fmt.Fprintln(w, to)
	}
	fmt.Fprintln(w)
	first, last := extent(t.GetSpans())
	table := newTable(w, "", "TOOK", "SELF", "SERVICE", "SPAN")
	for _, span := range t.GetSpans() {
		name := strings.Repeat("  ", int(span.GetDepth())) + oneLine(span.GetName())
		table.row(bar(span, first, last), brevity(span.GetDuration()), brevity(span.GetSelf()), span.GetService(), name+marks(span))
		if attributes {
			for _, line := range details(span) {
				table.row("", "", "", "", strings.Repeat("  ", int(span.GetDepth())+2)+line)
			}
		}
	}
	return table.flush()
}

func extent(spans []*observev1.Span) (first, last time.Time) {
	for i, s := range spans {
		start := s.GetStart().AsTime()
		end := start.Add(s.GetDuration().AsDuration())
		if i == 0 || start.Before(first) {
			first = start
		}
		if end.After(last) {
			last = end
		}
	}
	return first, last
}

// bar is when a span ran; with = where it decided how long the trace took.
func bar(s *observev1.Span, first, last time.Time) string {
	total := max(last.Sub(first), 1)
	at := func(d time.Duration) int { return int(float64(d) / float64(total) * waterfallWidth) }
	start := min(at(s.GetStart().AsTime().Sub(first)), waterfallWidth-1)
	length := max(1, min(at(s.GetDuration().AsDuration()), waterfallWidth-start))
	stroke := "-"
	if s.GetCritical() {
		stroke = "="
	}
	return "|" + strings.Repeat(" ", start) + strings.Repeat(stroke, length) + strings.Repeat(" ", waterfallWidth-start-length) + "|"
}

func marks(s *observev1.Span) string {
	var out strings.Builder
	if s.GetStatus() == observev1.SpanStatus_SPAN_STATUS_ERROR {
		out.WriteString("  ERROR " + oneLine(s.GetStatusMessage()))
	}
	if s.GetMissingParent() {
		out.WriteString("  (its parent " + s.GetParentId() + " is missing)")
	}
	if s.GetAdjusted() != nil {
		out.WriteString("  (clock differs by " + brevity(s.GetAdjusted()) + ")")
	}
	for _, l := range s.GetLinks() {
		out.WriteString("  → " + l.GetTraceId())
	}
	return out.String()
}

func details(s *observev1.Span) (out []string) {
	for _, a := range s.GetAttributes() {
		out = append(out, a.GetKey()+"="+attributeText(a))
	}
	for _, e := range s.GetEvents() {
		words := []string{"+" + e.GetTime().AsTime().Sub(s.GetStart().AsTime()).String(), e.GetName()}
		for _, a := range e.GetAttributes() {
			words = append(words, a.GetKey()+"="+attributeText(a))
		}
		out = append(out, strings.Join(words, " "))
	}
	return out
}

func attributeText(a *observev1.Attribute) string {
	switch v := a.GetValue().(type) {
	case *observev1.Attribute_Integer:
		return strconv.FormatInt(v.Integer, 10)
	case *observev1.Attribute_Number:
		return strconv.FormatFloat(v.Number, 'g', -1, 64)
	case *observev1.Attribute_Flag:
		return strconv.FormatBool(v.Flag)
	case *observev1.Attribute_Json:
		return v.Json
	}
	text := a.GetText()
	if text == "" || strings.ContainsAny(text, " \"=") || strings.ContainsFunc(text, unicode.IsControl) {
		return strconv.Quote(text)
	}
	return text
}
