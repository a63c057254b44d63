package console

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/gowarren/warren/internal/console/frame"
)

// flow is one group's part in one topic; of a topic that nobody reads there is
// one without a service.
type flow struct {
	topic, service, group string

	handled, p99, failed, lag, retries, letters float64
}

// source is a service that publishes to a topic.
type source struct {
	topic, service string
	rate, refused  float64
}

// outbox is what waits in a service for the broker.
type outbox struct{ pending, age, rate float64 }

// traffic is all that is known of events.
type traffic struct {
	flows    []*flow
	sources  []*source
	outboxes map[string]*outbox
	// dead are the letters of events that the broker refused, by topic.
	dead map[string]float64
}

// lately is how long ago a service may have published or read something, for it
// to be shown as somebody who does.
const lately = "1h"

const (
	byTopic   = "service, messaging_destination_name"
	byGroup   = byTopic + ", messaging_consumer_group_name"
	unhandled = `outcome=~"failed|dead"`
	worked    = `outcome=~"done|failed|dead|skipped|postponed"`
)

// publishedBy is how many events a second the broker takes. Whoever published
// lately is there, with none.
func publishedBy(by, where string) string {
	return sentBy(by, with(where, `error_type=""`)) +
		fmt.Sprintf(` or 0 * group by (%s) (last_over_time(messaging_client_sent_messages_total{%s}[%s]))`, by, where, lately)
}

func refusedBy(by, where string) string {
	return sentBy(by, with(where, `error_type!=""`)) + " > 0"
}

func sentBy(by, where string) string {
	return fmt.Sprintf(`sum by (%s) (rate(messaging_client_sent_messages_total{%s}[%s]))`, by, where, window)
}

// handledBy is how many events a second are handled. Whoever reads them is
// there, with none.
func handledBy(by, where string) string {
	return fmt.Sprintf(`sum by (%s) (rate(messaging_process_duration_seconds_count{%s}[%s]))`, by, with(where, worked), window) +
		fmt.Sprintf(` or 0 * group by (%s) (last_over_time(warren_events_lag{%s}[%s]))`, by, where, lately)
}

func failedBy(by, where string) string {
	all := fmt.Sprintf(`sum by (%s) (rate(messaging_process_duration_seconds_count{%s}[%s]))`, by, with(where, worked), window)
	bad := fmt.Sprintf(`sum by (%s) (rate(messaging_process_duration_seconds_count{%s}[%s]))`, by, with(where, unhandled), window)
	return fmt.Sprintf(`(%s or 0 * %s) / (%s > 0)`, bad, all, all)
}

func handlingBy(by, where string) string {
	const of = `histogram_quantile(0.99, sum by (%s, le) (rate(messaging_process_duration_seconds_bucket{%s}[%s])))`
	return fmt.Sprintf(of, by, with(where, worked), window)
}

// most is the highest value that an instance tells: all of a service tell the
// same, of the same broker and the same databases.
func most(metric, by, where string) string {
	return fmt.Sprintf(`max by (%s) (%s{%s})`, by, metric, where)
}

func with(where, more string) string {
	if where == "" {
		return more
	}
	return where + "," + more
}

// traffic asks for what is known of events: of all topics, or of those that a
// matcher leaves.
func (s *screens) traffic(ctx context.Context, where string) (*traffic, error) {
	t := &traffic{outboxes: map[string]*outbox{}, dead: map[string]float64{}}
	flows, sources := map[[3]string]*flow{}, map[[2]string]*source{}
	at := func(l map[string]string) *flow {
		return entry(flows, [3]string{l["messaging_destination_name"], l["service"], l["messaging_consumer_group_name"]})
	}
	from := func(l map[string]string) *source {
		return entry(sources, [2]string{l["messaging_destination_name"], l["service"]})
	}
	of := func(l map[string]string) *outbox { return entry(t.outboxes, l["service"]) }
	for _, q := range []struct {
		query string
		set   func(labels map[string]string, v float64)
	}{
		{publishedBy(byTopic, where), func(l map[string]string, v float64) { from(l).rate = v }},
		{refusedBy(byTopic, where), func(l map[string]string, v float64) { from(l).refused = v }},
		{handledBy(byGroup, where), func(l map[string]string, v float64) { at(l).handled = v }},
		{failedBy(byGroup, where), func(l map[string]string, v float64) { at(l).failed = v }},
		{handlingBy(byGroup, where), func(l map[string]string, v float64) { at(l).p99 = v }},
		{most("warren_events_lag", byGroup, where), func(l map[string]string, v float64) { at(l).lag = v }},
		{most("warren_events_retries", byGroup, where), func(l map[string]string, v float64) { at(l).retries = v }},
		{most("warren_dead_letters", byGroup, where), func(l map[string]string, v float64) {
			if l["messaging_consumer_group_name"] == "" { // the broker has refused them
				t.dead[l["messaging_destination_name"]] += v
				return
			}
			at(l).letters = v
		}},
		{most("warren_outbox_pending", "service", ""), func(l map[string]string, v float64) { of(l).pending = v }},
		{most("warren_outbox_age_seconds", "service", ""), func(l map[string]string, v float64) { of(l).age = v }},
		{publishedBy("service", ""), func(l map[string]string, v float64) { of(l).rate = v }},
	} {
		resp, err := s.instant(ctx, q.query)
		if err != nil {
			return nil, err
		}
		for _, sample := range resp.GetSamples() {
			q.set(sample.GetLabels(), sample.GetValue())
		}
	}
	t.fill(flows, sources)
	return t, nil
}

// entry is the value of a key, which is made where there is none.
func entry[K comparable, V any](of map[K]*V, key K) *V {
	if of[key] == nil {
		of[key] = new(V)
	}
	return of[key]
}

// fill puts what was found in order.
func (t *traffic) fill(flows map[[3]string]*flow, sources map[[2]string]*source) {
	read := map[string]bool{}
	for key, f := range flows {
		f.topic, f.service, f.group = key[0], key[1], key[2]
		read[f.topic] = true
		t.flows = append(t.flows, f)
	}
	for key, one := range sources {
		one.topic, one.service = key[0], key[1]
		t.sources = append(t.sources, one)
		if !read[one.topic] {
			read[one.topic] = true
			t.flows = append(t.flows, &flow{topic: one.topic})
		}
	}
	slices.SortFunc(t.flows, func(a, b *flow) int {
		return cmp.Or(strings.Compare(a.topic, b.topic), strings.Compare(a.service, b.service), strings.Compare(a.group, b.group))
	})
	slices.SortFunc(t.sources, func(a, b *source) int {
		return cmp.Or(strings.Compare(a.topic, b.topic), strings.Compare(a.service, b.service))
	})
}

// published is who publishes a topic, and how much of it.
func (t *traffic) published(topic string) (services []string, rate float64) {
	for _, one := range t.sources {
		if one.topic == topic {
			services, rate = append(services, one.service), rate+one.rate
		}
	}
	return services, rate
}

// topics are all there are.
func (t *traffic) topics() []string {
	var out []string
	for _, f := range t.flows {
		out = append(out, f.topic)
	}
	return slices.Compact(out)
}

// muchLag is what a group may have before it for it not to be behind; the alert
// of it begins there, too.
const muchLag = 100

// state is how a flow is doing, the worst first.
func (f *flow) state() frame.Status {
	switch {
	case f.letters > 0:
		return frame.Status{Word: "gives up", Tone: frame.Bad}
	case f.failed > tooManyErrors:
		return frame.Status{Word: "fails", Tone: frame.Bad}
	case f.retries > 0:
		return frame.Status{Word: "tries again", Tone: frame.Warn}
	case f.lag > muchLag:
		return frame.Status{Word: "is behind", Tone: frame.Warn}
	case f.failed > someErrors:
		return frame.Status{Word: "fails a little", Tone: frame.Warn}
	case f.service == "":
		return frame.Status{Word: "nobody reads it", Tone: frame.Idle}
	case f.handled > 0:
		return frame.Status{Word: "flows", Tone: frame.Good}
	}
	return frame.Status{Word: "quiet", Tone: frame.Idle}
}

func (f *flow) ill() bool { t := f.state().Tone; return t == frame.Bad || t == frame.Warn }

// cells are the figures of a flow: handled, p99, errors, behind, retries, dead.
func (f *flow) cells() []frame.Cell {
	if f.service == "" {
		return slices.Repeat([]frame.Cell{frame.Text("–")}, 6)
	}
	failed := frame.Measured(f.failed, "%")
	if f.failed > someErrors {
		failed.Status = &frame.Status{Word: failed.Text, Tone: map[bool]frame.Tone{true: frame.Bad, false: frame.Warn}[f.failed > tooManyErrors]}
	}
	p99 := frame.Measured(f.p99, "s")
	if math.IsNaN(f.p99) || f.p99 == 0 {
		p99 = frame.Text("–")
	}
	dead := frame.Number(int64(f.letters))
	if f.letters > 0 {
		dead.Href = lettersHref(f.topic, f.service)
	}
	return []frame.Cell{frame.Measured(f.handled, "/s"), p99, failed, frame.Number(int64(f.lag)), frame.Number(int64(f.retries)), dead}
}

// lettersHref are the dead letters of a topic, of one service or of all.
func lettersHref(topic, service string) string {
	out := "/letters?topic=" + queryEscape(topic)
	if service != "" {
		out += "&of=" + queryEscape(service)
	}
	return out
}

func topicMatcher(topic string) string { return "messaging_destination_name=" + strconv.Quote(topic) }
