package main

import (
	"strings"
	"testing"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
)

func TestCounted(t *testing.T) {
	for n, want := range map[int]string{0: "0 problems", 1: "1 problem", 2: "2 problems"} {
		if got := counted(n, "problem"); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
}

// Whoever has something logged, or names a span, does not write on the terminal of
// whoever reads it.
func TestWhatOthersWroteIsPlain(t *testing.T) {
	const erase, title = "\x1b[2J", "\x1b]0;owned\a"
	var out strings.Builder
	err := printWaterfall(&out, &observev1.GetTraceResponse{Spans: []*observev1.Span{{
		Name: "GET " + erase, Status: observev1.SpanStatus_SPAN_STATUS_ERROR, StatusMessage: "no\n" + title,
		Attributes: []*observev1.Attribute{{Key: "user", Value: &observev1.Attribute_Text{Text: erase}}},
	}}}, true)
	if err != nil {
		t.Fatal(err)
	}
	if err := printSummaries(&out, &observev1.SearchTracesResponse{Traces: []*observev1.TraceSummary{{Service: "s" + title, Name: erase, Services: []string{erase}}}}); err != nil {
		t.Fatal(err)
	}
	line := `{"time":"2026-01-02T03:04:05Z","level":"INFO","msg":"\u001b[2Jgone","user":"\u001b]0;owned\u0007","stack":"a\nb","key\u001b[2J":{"a":"\u009b2J"}}` + "\n"
	for what, got := range map[string]string{"a waterfall": out.String(), "a line": readable(line), "a plain line": readable("panic: " + erase + "\n"), "a text": plain(erase + title + "two\nlines")} {
		if strings.ContainsAny(got, "\x1b\a\u009b") || !strings.Contains(got, "\n") {
			t.Errorf("%s is %q", what, got)
		}
	}
}
