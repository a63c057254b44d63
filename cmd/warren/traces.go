package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
)

func (o *options) withTraces(f func(observev1.TraceServiceClient) error) error {
	return o.withObserve(func(c grpc.ClientConnInterface) error { return f(observev1.NewTraceServiceClient(c)) })
}

// traceSearch are the flags of a search.
type traceSearch struct {
	request          observev1.SearchTracesRequest
	least, most, ago time.Duration
	slowest          bool
}

func newTraces(o *options) *cobra.Command {
	s := &traceSearch{}
	c := newGroup(&cobra.Command{
		Use:   "traces",
		Short: "Search the traces of the system, and show one",
		Example: `  warren traces --service order --errors --since 15m
  warren traces --slowest --min 200ms
  warren traces --attribute rpc.method=/shop.order.v1.OrderService/PlaceOrder
  warren traces show 4bf92f3577b34da6a3ce929d0e0e4736
  warren traces compare 4bf92f3577b34da6a3ce929d0e0e4736 1c9ebd3b4f1e4b0f8a6d2a7d5d3c9e10`,
	}, newTraceShow(o), newTraceCompare(o), newTraceTopology(o), newTraceStats(o))
	c.Args = takesNothing
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		return o.withTraces(func(client observev1.TraceServiceClient) error {
			resp, err := client.Search(cmd.Context(), s.read())
			if err != nil {
				return err
			}
			if o.json {
				return printJSON(cmd.OutOrStdout(), resp)
			}
			return printSummaries(cmd.OutOrStdout(), resp)
		})
	}
	flags := c.Flags()
	flags.StringVar(&s.request.Service, "service", "", "a service that took part")
	flags.StringVar(&s.request.Operation, "operation", "", "the name of a span")
	flags.DurationVar(&s.least, "min", 0, "took at least")
	flags.DurationVar(&s.most, "max", 0, "took at most")
	flags.BoolVar(&s.request.ErrorsOnly, "errors", false, "something failed")
	flags.StringToStringVar(&s.request.Attributes, "attribute", nil, "name=value of a span; warren traces stats lists the names")
	flags.StringVar(&s.request.OrderId, "order", "", "id of an order")
	flags.StringVar(&s.request.Gid, "transaction", "", "gid of a transaction")
	flags.DurationVar(&s.ago, "since", 0, "began no longer ago than this")
	flags.BoolVar(&s.slowest, "slowest", false, "the longest first, not the newest")
	flags.Int32VarP(&s.request.PageSize, "limit", "n", 20, "how many, at most 500")
	flags.StringVar(&s.request.PageToken, "page", "", "where the search before ended")
	return c
}

func (s *traceSearch) read() *observev1.SearchTracesRequest {
	req := &s.request
	if s.least > 0 {
		req.MinDuration = durationpb.New(s.least)
	}
	if s.most > 0 {
		req.MaxDuration = durationpb.New(s.most)
	}
	if s.ago > 0 {
		req.From = timestamppb.New(time.Now().Add(-s.ago))
	}
	if s.slowest {
		req.Order = observev1.TraceOrder_TRACE_ORDER_SLOWEST
	}
	return req
}

func printSummaries(w io.Writer, resp *observev1.SearchTracesResponse) error {
	if len(resp.GetTraces()) == 0 {
		fmt.Fprintln(w, "no trace like that is kept")
	} else {
		t := newTable(w, "TRACE", "START", "TOOK", "SPANS", "ERRORS", "ROOT", "SERVICES", "BELONGS TO")
		for _, s := range resp.GetTraces() {
			t.row(s.GetTraceId(), s.GetStart().AsTime().Local().Format("01-02 15:04:05.000"), brevity(s.GetDuration()),
				strconv.Itoa(int(s.GetSpans())), strconv.Itoa(int(s.GetErrors())), rootName(s), strings.Join(s.GetServices(), " "), orDash(belongs(s)))
		}
		if err := t.flush(); err != nil {
			return err
		}
	}
	if resp.GetPartial() {
		fmt.Fprintln(w, "the search ended when its time was up: there may be more")
	}
	if resp.GetNextPageToken() != "" {
		fmt.Fprintf(w, "more with --page %s\n", resp.GetNextPageToken())
	}
	return nil
}

func rootName(s *observev1.TraceSummary) string {
	name := s.GetService() + ": " + s.GetName()
	if s.GetRootless() {
		name += " (no root)"
	}
	return name
}

func belongs(s *observev1.TraceSummary) string {
	var out []string
	if s.GetOrderId() != "" {
		out = append(out, "order "+s.GetOrderId())
	}
	if s.GetGid() != "" {
		out = append(out, "transaction "+s.GetGid())
	}
	return strings.Join(out, ", ")
}

// brevity is a duration with the digits that matter.
func brevity(d *durationpb.Duration) string {
	v := d.AsDuration()
	for _, unit := range []time.Duration{time.Second, time.Millisecond, time.Microsecond} {
		if v >= unit {
			return v.Round(unit / 100).String()
		}
	}
	return v.String()
}

func newTraceShow(o *options) *cobra.Command {
	var attributes bool
	c := &cobra.Command{
		Use: "show <id>", Short: "Show the spans of a trace as a waterfall", Args: takes(1, 1, "the id of a trace"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.withTraces(func(client observev1.TraceServiceClient) error {
				all, err := wholeTrace(cmd.Context(), client, args[0])
				if err != nil {
					return err
				}
				if o.json {
					return printJSON(cmd.OutOrStdout(), all)
				}
				return printWaterfall(cmd.OutOrStdout(), all, attributes)
			})
		},
	}
	c.Flags().BoolVarP(&attributes, "attributes", "a", false, "also what spans say")
	return c
}

func newTraceTopology(o *options) *cobra.Command {
	var since time.Duration
	var unhealthy bool
	c := &cobra.Command{
		Use: "topology [service...]", Short: "Show who calls whom, how often, how it goes, and which breakers stand in between",
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.withTraces(func(client observev1.TraceServiceClient) error {
				resp, err := client.Topology(cmd.Context(), &observev1.TopologyRequest{
					Services: args, From: timestamppb.New(time.Now().Add(-since)),
				})
				if err != nil {
					return err
				}
				return o.printTopology(cmd, resp, unhealthy)
			})
		},
	}
	c.Flags().DurationVar(&since, "since", time.Hour, "how far back")
	c.Flags().BoolVar(&unhealthy, "unhealthy", false, "only where a call failed, or a breaker is not closed")
	return c
}

func newTraceStats(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "stats", Short: "Show what the store of traces and logs holds, and what can be searched", Args: takesNothing,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.withTraces(func(client observev1.TraceServiceClient) error {
				resp, err := client.Stats(cmd.Context(), &observev1.StatsRequest{})
				if err != nil {
					return err
				}
				if o.json {
					return printJSON(cmd.OutOrStdout(), resp)
				}
				names, err := client.Names(cmd.Context(), &observev1.NamesRequest{})
				if err != nil {
					return err
				}
				printStats(cmd.OutOrStdout(), resp, names)
				return nil
			})
		},
	}
}

func printStats(w io.Writer, s *observev1.StatsResponse, names *observev1.NamesResponse) {
	const mebibyte = 1 << 20
	fmt.Fprintf(w, "holds       %d traces, %d spans, %d lines in %d files\n", s.GetTraces(), s.GetSpans(), s.GetLines(), s.GetSegments())
	fmt.Fprintf(w, "on disk     %.1f of %.0f MiB, %.1f MiB waiting\n",
		float64(s.GetBytes())/mebibyte, float64(s.GetBudgetBytes())/mebibyte, float64(s.GetQueuedBytes())/mebibyte)
	fmt.Fprintf(w, "kept for    %s\n", s.GetRetention().AsDuration())
	if s.GetOldest() != nil {
		fmt.Fprintf(w, "oldest      %s ago\n", age(s.GetOldest().AsTime()))
	}
	if s.GetThinnedBefore() != nil {
		fmt.Fprintf(w, "thinned     before %s: only what failed, was slow or belongs to a transaction, and a sample\n",
			s.GetThinnedBefore().AsTime().Local().Format(time.DateTime))
	}
	for _, d := range s.GetDropped() {
		fmt.Fprintf(w, "dropped     %d spans, %d lines: %s\n", d.GetSpans(), d.GetLines(), d.GetReason())
	}
	fmt.Fprintf(w, "redacted    %d values\n", s.GetRedacted())
	if s.GetProblem() != "" {
		fmt.Fprintf(w, "problem     %s\n", s.GetProblem())
	}
	for _, file := range s.GetBroken() {
		fmt.Fprintf(w, "broken      %s\n", file)
	}
	fmt.Fprintf(w, "takes OTLP  at %s (gRPC), http://%s (HTTP)\n", s.GetGrpcAddress(), s.GetHttpAddress())
	fmt.Fprintf(w, "attributes  %s\n", strings.Join(names.GetAttributes(), " "))
}
