package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
)

// withObserve calls f with a connection to what the running system is seen by.
func (o *options) withObserve(f func(grpc.ClientConnInterface) error) error {
	conn, err := o.dial()
	if err != nil {
		return err
	}
	defer conn.Close()
	err = f(conn)
	switch status.Code(err) {
	case codes.Unavailable:
		return fmt.Errorf("the supervisor in %s ended meanwhile", o.dataDir())
	case codes.Unimplemented:
		return fmt.Errorf("the system in %s keeps no such data; its file switches the engine off", o.dataDir())
	}
	return err
}

func (o *options) withMetrics(f func(observev1.MetricServiceClient) error) error {
	return o.withObserve(func(c grpc.ClientConnInterface) error { return f(observev1.NewMetricServiceClient(c)) })
}

func newMetrics(o *options) *cobra.Command {
	return newGroup(&cobra.Command{Use: "metrics", Short: "Ask the metrics of all instances, in PromQL"},
		newMetricsQuery(o), newMetricsRange(o), newMetricsLabels(o), newMetricsTargets(o))
}

func newMetricsQuery(o *options) *cobra.Command {
	var limit int32
	c := &cobra.Command{
		Use: "query <expression>", Short: "Evaluate an expression now",
		Example: `  warren metrics query 'sum by (service) (rate(rpc_server_call_duration_seconds_count[1m]))'`,
		Args:    takes(1, many, "an expression"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.withMetrics(func(c observev1.MetricServiceClient) error {
				resp, err := c.Query(cmd.Context(), &observev1.QueryRequest{Query: strings.Join(args, " "), Limit: limit})
				if err != nil {
					return err
				}
				if o.json {
					return printJSON(cmd.OutOrStdout(), resp)
				}
				printWarnings(cmd.ErrOrStderr(), resp.GetWarnings())
				return printAnswer(cmd.OutOrStdout(), resp)
			})
		},
	}
	c.Flags().Int32Var(&limit, "limit", 0, "how many series at most")
	return c
}

func printWarnings(w io.Writer, warnings []string) {
	for _, text := range warnings {
		fmt.Fprintln(w, "warning:", text)
	}
}

func printAnswer(w io.Writer, resp *observev1.QueryResponse) error {
	switch resp.GetKind() {
	case observev1.QueryResponse_KIND_SCALAR:
		_, err := fmt.Fprintln(w, number(resp.GetScalar()))
		return err
	case observev1.QueryResponse_KIND_STRING:
		_, err := fmt.Fprintln(w, resp.GetText())
		return err
	case observev1.QueryResponse_KIND_MATRIX:
		return printSeries(w, resp.GetSeries())
	}
	t := newTable(w, "VALUE", "SERIES")
	for _, s := range resp.GetSamples() {
		t.row(number(s.GetValue()), seriesName(s.GetLabels()))
	}
	return t.flush()
}

func printSeries(w io.Writer, all []*observev1.Series) error {
	t := newTable(w, "TIME", "VALUE", "SERIES")
	for _, s := range all {
		for _, p := range s.GetPoints() {
			t.row(p.GetTime().AsTime().Local().Format(time.DateTime), number(p.GetValue()), seriesName(s.GetLabels()))
		}
	}
	return t.flush()
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', 6, 64) }

// seriesName writes labels as PromQL does.
func seriesName(labels map[string]string) string {
	var parts []string
	for name, value := range labels {
		if name != "__name__" {
			parts = append(parts, name+"="+strconv.Quote(value))
		}
	}
	slices.Sort(parts)
	name := labels["__name__"]
	if len(parts) > 0 || name == "" {
		name += "{" + strings.Join(parts, ",") + "}"
	}
	return name
}

func newMetricsRange(o *options) *cobra.Command {
	var since, step time.Duration
	c := &cobra.Command{
		Use: "range <expression>", Short: "Evaluate an expression over a time",
		Args: takes(1, many, "an expression"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.withMetrics(func(c observev1.MetricServiceClient) error {
				req := &observev1.QueryRangeRequest{Query: strings.Join(args, " "), Start: timestamppb.New(time.Now().Add(-since))}
				if step > 0 {
					req.Step = durationpb.New(step)
				}
				resp, err := c.QueryRange(cmd.Context(), req)
				if err != nil {
					return err
				}
				if o.json {
					return printJSON(cmd.OutOrStdout(), resp)
				}
				printWarnings(cmd.ErrOrStderr(), resp.GetWarnings())
				return printSeries(cmd.OutOrStdout(), resp.GetSeries())
			})
		},
	}
	c.Flags().DurationVar(&since, "since", 15*time.Minute, "how far back")
	c.Flags().DurationVar(&step, "step", 0, "time between two points (default fits the range)")
	return c
}

func newMetricsLabels(o *options) *cobra.Command {
	var selectors []string
	c := &cobra.Command{
		Use: "labels [label]", Short: "List the names of labels, or the values of one; those of __name__ are the metrics",
		Args: takes(0, 1, "at most one label"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.withMetrics(func(c observev1.MetricServiceClient) error {
				if len(args) == 0 {
					resp, err := c.LabelNames(cmd.Context(), &observev1.LabelNamesRequest{Selectors: selectors})
					if err != nil {
						return err
					}
					return o.printWords(cmd.OutOrStdout(), resp, resp.GetNames())
				}
				resp, err := c.LabelValues(cmd.Context(), &observev1.LabelValuesRequest{Label: args[0], Selectors: selectors})
				if err != nil {
					return err
				}
				return o.printWords(cmd.OutOrStdout(), resp, resp.GetValues())
			})
		},
	}
	c.Flags().StringArrayVar(&selectors, "match", nil, `only of series that this selects, such as 'up{service="order"}'`)
	return c
}

func (o *options) printWords(w io.Writer, resp any, words []string) error {
	if o.json {
		return printJSON(w, resp)
	}
	for _, word := range words {
		fmt.Fprintln(w, word)
	}
	return nil
}

func newMetricsTargets(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "targets [service...]", Short: "List what is asked for metrics, and how that goes",
		ValidArgsFunction: o.completeServices,
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.withMetrics(func(c observev1.MetricServiceClient) error {
				resp, err := c.Targets(cmd.Context(), &observev1.TargetsRequest{Services: args})
				if err != nil {
					return err
				}
				if o.json {
					return printJSON(cmd.OutOrStdout(), resp)
				}
				t := newTable(cmd.OutOrStdout(), "SERVICE", "INSTANCE", "HEALTH", "SCRAPED", "TOOK", "URL", "ERROR")
				for _, one := range resp.GetTargets() {
					health := strings.ToLower(strings.TrimPrefix(one.GetHealth().String(), "HEALTH_"))
					t.row(one.GetService(), one.GetInstance(), health, age(one.GetScraped().AsTime()),
						one.GetTook().AsDuration().Round(time.Millisecond).String(), one.GetUrl(), orDash(oneLine(one.GetError())))
				}
				return t.flush()
			})
		},
	}
}
