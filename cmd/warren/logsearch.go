package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
)

// logSearch are the flags that make of printing a search, in the store of logs.
type logSearch struct {
	query, level, trace, page, around string
	since                             time.Duration
	facets                            bool
}

func (s *logSearch) flags(f *pflag.FlagSet) {
	f.StringVar(&s.query, "search", "", `words that all stand in the line; "in quotes" in this order, -not, begin*`)
	f.StringVar(&s.level, "level", "", "debug, info, warn or error, and above")
	f.StringVar(&s.trace, "trace", "", "only lines of this trace")
	f.DurationVar(&s.since, "since", 0, "only lines no older than this")
	f.BoolVar(&s.facets, "facets", false, "how many lines match by service, level and instance")
	f.StringVar(&s.around, "around", "", "the lines around the one with this id")
	f.StringVar(&s.page, "page", "", "where the search before ended")
}

func (s *logSearch) used() bool {
	return s.query != "" || s.level != "" || s.trace != "" || s.since > 0 || s.facets || s.around != "" || s.page != ""
}

func (s *logSearch) filter(args []string) (*observev1.LogFilter, error) {
	out := &observev1.LogFilter{Query: s.query, TraceId: s.trace}
	for _, name := range args {
		if strings.Contains(name, "/") {
			out.Instances = append(out.Instances, name)
		} else {
			out.Services = append(out.Services, name)
		}
	}
	if s.level != "" {
		level, ok := observev1.LogLevel_value["LOG_LEVEL_"+strings.ToUpper(s.level)]
		if !ok {
			return nil, fmt.Errorf("unknown level %q; there are debug, info, warn and error", s.level)
		}
		out.MinLevel = observev1.LogLevel(level)
	}
	return out, nil
}

func (o *options) searchLogs(cmd *cobra.Command, s *logSearch, args []string, follow bool, n int32) error {
	filter, err := s.filter(args)
	if err != nil {
		return err
	}
	return o.withObserve(func(conn grpc.ClientConnInterface) error {
		c := observev1.NewLogServiceClient(conn)
		switch {
		case s.around != "":
			resp, err := c.Around(cmd.Context(), &observev1.AroundLogsRequest{Id: s.around, Lines: n})
			if err != nil {
				return err
			}
			return o.printLines(cmd, resp, resp.GetLines())
		case follow:
			return o.tailLogs(cmd, c, &observev1.TailLogsRequest{Filter: filter, Last: n})
		}
		req := &observev1.SearchLogsRequest{Filter: filter, PageSize: n, PageToken: s.page, Facets: s.facets}
		if s.since > 0 {
			req.From = timestamppb.New(time.Now().Add(-s.since))
		}
		resp, err := c.Search(cmd.Context(), req)
		if err != nil {
			return err
		}
		return o.printFound(cmd, resp)
	})
}

func (o *options) tailLogs(cmd *cobra.Command, c observev1.LogServiceClient, req *observev1.TailLogsRequest) error {
	stream, err := c.Tail(cmd.Context(), req)
	if err != nil {
		return err
	}
	for {
		resp, err := stream.Recv()
		if ended := errors.Is(err, io.EOF) || cmd.Context().Err() != nil; ended {
			return nil
		}
		if err != nil {
			return err
		}
		if resp.GetMissed() > 0 && !o.json {
			fmt.Fprintf(cmd.OutOrStdout(), "... %d lines missed\n", resp.GetMissed())
		}
		if err := o.printLines(cmd, resp, []*observev1.LogLine{resp.GetLine()}); err != nil {
			return err
		}
	}
}

func (o *options) printFound(cmd *cobra.Command, resp *observev1.SearchLogsResponse) error {
	if o.json {
		return printJSON(cmd.OutOrStdout(), resp)
	}
	w := cmd.OutOrStdout()
	slices.Reverse(resp.GetLines()) // as people read: the newest last
	if err := o.printLines(cmd, resp, resp.GetLines()); err != nil {
		return err
	}
	if len(resp.GetLines()) == 0 {
		fmt.Fprintln(w, "no line like that is kept")
	}
	for _, f := range resp.GetFacets() {
		for i, v := range f.GetValues() {
			name := ""
			if i == 0 {
				name = f.GetName()
			}
			fmt.Fprintf(w, "%-10s %8d  %s\n", name, v.GetLines(), v.GetValue())
		}
	}
	if resp.GetPartial() {
		fmt.Fprintln(w, "the search ended when its time was up: there may be more")
	}
	if resp.GetNextPageToken() != "" {
		fmt.Fprintf(w, "older ones with --page %s\n", resp.GetNextPageToken())
	}
	return nil
}

func (o *options) printLines(cmd *cobra.Command, whole any, lines []*observev1.LogLine) error {
	if o.json {
		return printJSON(cmd.OutOrStdout(), whole)
	}
	width := 0
	for _, l := range lines {
		width = max(width, len(l.GetInstance()))
	}
	for _, l := range lines {
		var b strings.Builder
		for _, a := range l.GetAttributes() {
			if !strings.Contains(constant, " "+a.GetKey()+" ") {
				b.WriteString(" " + a.GetKey() + "=" + attributeText(a))
			}
		}
		if l.GetTraceId() != "" {
			b.WriteString(" trace_id=" + l.GetTraceId())
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%-*s | %s %s %s%s\n", width, l.GetInstance(), l.GetTime().AsTime().Local().Format("15:04:05.000"),
			strings.TrimPrefix(l.GetLevel().String(), "LOG_LEVEL_"), plain(l.GetMessage()), b.String())
	}
	return nil
}
