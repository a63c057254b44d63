package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	"github.com/gowarren/warren/internal/tracediff"
)

func newTraceCompare(o *options) *cobra.Command {
	var differs bool
	c := &cobra.Command{
		Use: "compare <id> <id>", Short: "Compare two traces, step by step", Args: takes(2, 2, "the ids of two traces; warren traces lists them"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.withTraces(func(client observev1.TraceServiceClient) error {
				a, err := wholeTrace(cmd.Context(), client, args[0])
				if err != nil {
					return err
				}
				b, err := wholeTrace(cmd.Context(), client, args[1])
				if err != nil {
					return err
				}
				steps := tracediff.Align(a.GetSpans(), b.GetSpans())
				if o.json {
					return printJSON(cmd.OutOrStdout(), map[string]any{"a": args[0], "b": args[1], "steps": stepsToJSON(steps)})
				}
				fmt.Fprintln(cmd.OutOrStdout(), tracediff.Verdict(a.GetSummary(), b.GetSummary(), steps, func(d time.Duration) string {
					return brevity(durationpb.New(d))
				}))
				return printSteps(cmd.OutOrStdout(), steps, differs)
			})
		},
	}
	c.Flags().BoolVar(&differs, "differs", false, "only what differs")
	return c
}

// wholeTrace reads all spans of a trace.
func wholeTrace(ctx context.Context, client observev1.TraceServiceClient, id string) (*observev1.GetTraceResponse, error) {
	all := &observev1.GetTraceResponse{}
	for token := ""; ; {
		resp, err := client.Get(ctx, &observev1.GetTraceRequest{TraceId: id, PageToken: token})
		if err != nil {
			return nil, err
		}
		if token == "" {
			all.Summary, all.Resources = resp.GetSummary(), resp.GetResources()
		}
		all.Spans = append(all.Spans, resp.GetSpans()...)
		if token = resp.GetNextPageToken(); token == "" {
			return all, nil
		}
	}
}

func printSteps(w io.Writer, steps []*tracediff.Step, differs bool) error {
	t := newTable(w, "A", "B", "DIFFERENCE", "SERVICE", "SPAN")
	for _, s := range steps {
		if differs && !s.Differs() {
			continue
		}
		t.row(tookText(s.A), tookText(s.B), differenceText(s), s.Service, strings.Repeat("  ", s.Depth)+oneLine(s.Name))
	}
	return t.flush()
}

func tookText(t tracediff.Tally) string {
	if t.Spans == 0 {
		return "-"
	}
	text := brevity(durationpb.New(t.Took))
	if t.Spans > 1 {
		text += fmt.Sprintf(" (%d)", t.Spans)
	}
	if t.Failed > 0 {
		text += " failed"
	}
	return text
}

func differenceText(s *tracediff.Step) string {
	d := s.Difference()
	switch {
	case !s.Common() && s.A.Spans > 0:
		return "in A only"
	case !s.Common():
		return "in B only"
	case d > 0:
		return "+" + brevity(durationpb.New(d))
	case d < 0:
		return "-" + brevity(durationpb.New(-d))
	}
	return "0"
}

// stepCost is a step as programs read it, durations in seconds.
type stepCost struct {
	Service    string   `json:"service"`
	Span       string   `json:"span"`
	Depth      int      `json:"depth"`
	A          *float64 `json:"a_seconds,omitempty"`
	B          *float64 `json:"b_seconds,omitempty"`
	Difference float64  `json:"difference_seconds"`
}

func stepsToJSON(steps []*tracediff.Step) []stepCost {
	out := []stepCost{}
	for _, s := range steps {
		one := stepCost{Service: s.Service, Span: s.Name, Depth: s.Depth, Difference: s.Difference().Seconds()}
		if seconds := s.A.Took.Seconds(); s.A.Spans > 0 {
			one.A = &seconds
		}
		if seconds := s.B.Took.Seconds(); s.B.Spans > 0 {
			one.B = &seconds
		}
		out = append(out, one)
	}
	return out
}
