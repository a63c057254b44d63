package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
)

// eventFlow is one group's part in one topic. Of a topic that nobody reads there
// is one without a service.
type eventFlow struct {
	Topic     string   `json:"topic"`
	Service   string   `json:"service"`
	Group     string   `json:"group"`
	Published float64  `json:"published_per_second"` // by all who do
	Handled   float64  `json:"handled_per_second"`
	Failed    *float64 `json:"failed,omitempty"` // share of what is handled
	Lag       float64  `json:"lag"`
	Retries   float64  `json:"retries"`
	Dead      float64  `json:"dead_letters"`
}

// eventOutbox is what waits in a service for the broker.
type eventOutbox struct {
	Service string  `json:"service"`
	Pending float64 `json:"pending"`
	Age     float64 `json:"age_seconds"`
}

func newEvents(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "events", Short: "Show which events flow: who handles them, how far behind they are, and what waits for the broker", Args: takesNothing,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.withMetrics(func(c observev1.MetricServiceClient) error {
				flows, err := eventFlows(cmd.Context(), c)
				if err != nil {
					return err
				}
				outboxes, err := eventOutboxes(cmd.Context(), c)
				if err != nil {
					return err
				}
				if o.json {
					return printJSON(cmd.OutOrStdout(), map[string]any{"flows": flows, "outboxes": outboxes})
				}
				return printEvents(cmd.OutOrStdout(), flows, outboxes)
			})
		},
	}
}

// column is a query, and what its values are.
type column[V any] struct {
	query string
	set   func(*V, float64)
}

// collect asks for all columns, and gathers the values of each key.
func collect[K comparable, V any](
	ctx context.Context, c observev1.MetricServiceClient, key func(labels map[string]string) K, columns []column[V],
) (map[K]*V, error) {
	out := map[K]*V{}
	for _, one := range columns {
		resp, err := c.Query(ctx, &observev1.QueryRequest{Query: one.query})
		if err != nil {
			return nil, err
		}
		for _, s := range resp.GetSamples() {
			k := key(s.GetLabels())
			if out[k] == nil {
				out[k] = new(V)
			}
			one.set(out[k], s.GetValue())
		}
	}
	return out, nil
}

func eventFlows(ctx context.Context, c observev1.MetricServiceClient) ([]*eventFlow, error) {
	const (
		byGroup = "(messaging_destination_name, service, messaging_consumer_group_name)"
		handled = `sum by ` + byGroup + ` (rate(messaging_process_duration_seconds_count{outcome=~"done|failed|dead|skipped|postponed"}[1m]))`
		failed  = `sum by ` + byGroup + ` (rate(messaging_process_duration_seconds_count{outcome=~"failed|dead"}[1m]))`
		sent    = `sum by (messaging_destination_name) (rate(messaging_client_sent_messages_total{error_type=""}[1m]))` +
			` or 0 * group by (messaging_destination_name) (last_over_time(messaging_client_sent_messages_total[1h]))`
	)
	found, err := collect(ctx, c, func(l map[string]string) [3]string {
		return [3]string{l["messaging_destination_name"], l["service"], l["messaging_consumer_group_name"]}
	}, []column[eventFlow]{
		{`max by ` + byGroup + ` (warren_events_lag)`, func(f *eventFlow, v float64) { f.Lag = v }},
		{handled, func(f *eventFlow, v float64) { f.Handled = v }},
		{`(` + failed + ` or 0 * ` + handled + `) / (` + handled + ` > 0)`, func(f *eventFlow, v float64) { f.Failed = &v }},
		{`max by ` + byGroup + ` (warren_events_retries)`, func(f *eventFlow, v float64) { f.Retries = v }},
		{`max by ` + byGroup + ` (warren_dead_letters)`, func(f *eventFlow, v float64) { f.Dead = v }},
	})
	if err != nil {
		return nil, err
	}
	published, err := collect(ctx, c, func(l map[string]string) string { return l["messaging_destination_name"] },
		[]column[float64]{{sent, func(rate *float64, v float64) { *rate = v }}})
	if err != nil {
		return nil, err
	}
	out := []*eventFlow{}
	read := map[string]bool{}
	for key, f := range found {
		f.Topic, f.Service, f.Group = key[0], key[1], key[2]
		if rate := published[f.Topic]; rate != nil {
			f.Published = *rate
		}
		read[f.Topic] = true
		out = append(out, f)
	}
	for topic, rate := range published {
		if !read[topic] {
			out = append(out, &eventFlow{Topic: topic, Published: *rate})
		}
	}
	slices.SortFunc(out, func(a, b *eventFlow) int {
		return cmp.Or(strings.Compare(a.Topic, b.Topic), strings.Compare(a.Service, b.Service), strings.Compare(a.Group, b.Group))
	})
	return out, nil
}

func eventOutboxes(ctx context.Context, c observev1.MetricServiceClient) ([]*eventOutbox, error) {
	found, err := collect(ctx, c, func(l map[string]string) string { return l["service"] }, []column[eventOutbox]{
		{`max by (service) (warren_outbox_pending)`, func(b *eventOutbox, v float64) { b.Pending = v }},
		{`max by (service) (warren_outbox_age_seconds)`, func(b *eventOutbox, v float64) { b.Age = max(0, v) }},
	})
	out := []*eventOutbox{}
	for service, b := range found {
		b.Service = service
		out = append(out, b)
	}
	slices.SortFunc(out, func(a, b *eventOutbox) int { return strings.Compare(a.Service, b.Service) })
	return out, err
}

func printEvents(w io.Writer, flows []*eventFlow, outboxes []*eventOutbox) error {
	t := newTable(w, "EVENT", "PUBLISHED", "SERVICE", "GROUP", "HANDLED", "FAILED", "BEHIND", "RETRIES", "DEAD")
	for _, f := range flows {
		published := fmt.Sprintf("%.1f/s", f.Published)
		if f.Service == "" {
			t.row(f.Topic, published, "-", "-", "-", "-", "-", "-", "-")
			continue
		}
		t.row(f.Topic, published, f.Service, orDash(f.Group), fmt.Sprintf("%.1f/s", f.Handled), percent(f.Failed),
			fmt.Sprintf("%.0f", f.Lag), fmt.Sprintf("%.0f", f.Retries), fmt.Sprintf("%.0f", f.Dead))
	}
	if err := t.flush(); err != nil {
		return err
	}
	fmt.Fprintln(w)
	t = newTable(w, "OUTBOX OF", "WAITING", "OLDEST")
	for _, b := range outboxes {
		t.row(b.Service, fmt.Sprintf("%.0f", b.Pending), time.Duration(b.Age*float64(time.Second)).Round(time.Millisecond).String())
	}
	return t.flush()
}
