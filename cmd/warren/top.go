package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	"github.com/gowarren/warren/internal/alerting"
)

// load is what one service does: by the calls that it answers and, of the
// gateway, requests.
type load struct {
	Service   string   `json:"service"`
	Instances float64  `json:"instances"`
	Rate      *float64 `json:"rate,omitempty"`   // a second
	Errors    *float64 `json:"errors,omitempty"` // share of the calls
	P95       *float64 `json:"p95_seconds,omitempty"`
	CPU       *float64 `json:"cpu,omitempty"` // cores
	Memory    *float64 `json:"memory_bytes,omitempty"`
}

func newTop(o *options) *cobra.Command {
	var every time.Duration
	var once bool
	c := &cobra.Command{
		Use: "top", Short: "Show what the services do: rate, errors, latency, CPU and memory", Args: takesNothing,
		RunE: func(cmd *cobra.Command, _ []string) error {
			out := cmd.OutOrStdout()
			f, isFile := out.(interface{ Fd() uintptr })
			once = once || o.json || !isFile || !isatty.IsTerminal(f.Fd())
			return o.withMetrics(func(c observev1.MetricServiceClient) error {
				return o.top(cmd.Context(), out, c, every, once)
			})
		},
	}
	c.Flags().DurationVar(&every, "every", 2*time.Second, "how often it is shown anew")
	c.Flags().BoolVar(&once, "once", false, "show it once; so also with --json, or where nobody watches")
	return c
}

func (o *options) top(ctx context.Context, out io.Writer, c observev1.MetricServiceClient, every time.Duration, once bool) error {
	ticker := time.NewTicker(max(every, 100*time.Millisecond))
	defer ticker.Stop()
	for {
		loads, err := loads(ctx, c)
		if err != nil {
			return err
		}
		switch {
		case o.json:
			return printJSON(out, map[string]any{"services": loads})
		case once:
			return printLoads(out, loads)
		}
		fmt.Fprint(out, "\x1b[H\x1b[2J") // to the top, and clear
		if err := printLoads(out, loads); err != nil {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// loads asks for every column once, of all services.
func loads(ctx context.Context, c observev1.MetricServiceClient) ([]*load, error) {
	const (
		calls   = `{__name__=~"rpc_server_call_duration_seconds_count|http_server_request_duration_seconds_count"}[1m]`
		buckets = `{__name__=~"rpc_server_call_duration_seconds_bucket|http_server_request_duration_seconds_bucket"}`
		faulty  = `(sum by (service) (rate(rpc_server_call_duration_seconds_count{` + alerting.Faulty + `}[1m]) ` +
			`or rate(http_server_request_duration_seconds_count{` + alerting.FaultyRequests + `}[1m])) ` +
			`or 0 * sum by (service) (rate(` + calls + `)))`
	)
	found := map[string]*load{}
	for _, column := range []struct {
		query string
		set   func(*load, float64)
	}{
		{`count by (service) (up)`, func(l *load, v float64) { l.Instances = v }},
		{`sum by (service) (rate(` + calls + `))`, func(l *load, v float64) { l.Rate = &v }},
		{faulty + ` / (sum by (service) (rate(` + calls + `)) > 0)`, func(l *load, v float64) { l.Errors = &v }},
		{`histogram_quantile(0.95, sum by (service, le) (rate(` + buckets + `[1m]))) >= 0`, func(l *load, v float64) { l.P95 = &v }},
		{`sum by (service) (rate(process_cpu_seconds_total[1m]))`, func(l *load, v float64) { l.CPU = &v }},
		{`sum by (service) (process_resident_memory_bytes)`, func(l *load, v float64) { l.Memory = &v }},
	} {
		resp, err := c.Query(ctx, &observev1.QueryRequest{Query: column.query})
		if err != nil {
			return nil, err
		}
		for _, s := range resp.GetSamples() {
			service := s.GetLabels()["service"]
			if found[service] == nil {
				found[service] = &load{Service: service}
			}
			column.set(found[service], s.GetValue())
		}
	}
	out := make([]*load, 0, len(found))
	for _, l := range found {
		out = append(out, l)
	}
	slices.SortFunc(out, func(a, b *load) int { return strings.Compare(a.Service, b.Service) })
	return out, nil
}

func printLoads(w io.Writer, loads []*load) error {
	t := newTable(w, "SERVICE", "INSTANCES", "RATE", "ERRORS", "P95", "CPU", "MEMORY")
	shown := func(v *float64, format func(float64) string) string {
		if v == nil {
			return "-"
		}
		return format(*v)
	}
	for _, l := range loads {
		t.row(l.Service, fmt.Sprintf("%.0f", l.Instances),
			shown(l.Rate, func(v float64) string { return fmt.Sprintf("%.1f/s", v) }),
			percent(l.Errors),
			shown(l.P95, func(v float64) string {
				return time.Duration(v * float64(time.Second)).Round(100 * time.Microsecond).String()
			}),
			shown(l.CPU, func(v float64) string { return fmt.Sprintf("%.2f", v) }),
			shown(l.Memory, func(v float64) string { return fmt.Sprintf("%.0f MiB", v/(1<<20)) }))
	}
	return t.flush()
}
