package console

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	contractsv1 "github.com/gowarren/warren/api/warren/contracts/v1"
	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	"github.com/gowarren/warren/internal/console/frame"
)

type eventView struct {
	Topic, Short           string
	State                  frame.Status
	Links                  []frame.Link
	Contracts              []string
	Publishers, Subscribed *frame.Table
	Charts                 []frame.Chart
	Dead                   string
}

// Export is who reads it.
func (v eventView) Export() *frame.Table { return v.Subscribed }

// event is one topic.
func (s *screens) event(r *frame.Request) (any, error) {
	topic := r.PathValue("topic")
	t, err := s.traffic(r.Context(), topicMatcher(topic))
	if err != nil {
		return nil, err
	}
	if len(t.flows) == 0 {
		return nil, &frame.Problem{
			Status: http.StatusNotFound, Title: "It is not there", Text: fmt.Sprintf("Nobody has published or read %q within the last hour.", topic),
			Tip: "Events are called by the full name of their message, as shop.order.v1.OrderPlaced.",
		}
	}
	v := eventView{Topic: topic, Short: shortName(topic), State: t.worst()}
	by := "attribute=messaging.destination.name&value=" + queryEscape(topic)
	v.Links = []frame.Link{
		{Text: "Traces", Href: "/traces?" + by}, {Text: "Traces with errors", Href: "/traces?errors=1&" + by},
		{Text: "Dead letters", Href: lettersHref(topic, "")},
		{Text: "Logs", Href: "/logs?q=" + queryEscape(strconv.Quote(topic))},
	}
	if n := t.dead[topic]; n > 0 {
		v.Dead = "The broker has refused " + plural(int(n), "event") + " of this type, to be found among the dead letters."
	}
	v.Contracts, err = s.neighbours(r.Context(), topic)
	r.Missing("The contracts of its package", err)
	v.Publishers, v.Subscribed = r.Sorted(t.publisherTable(), "service"), r.Sorted(t.subscriberTable(), "service")
	v.Charts, err = s.topicCharts(r, topic)
	r.Missing("Charts", err)
	return v, nil
}

// findEvent knows an event by its name, in full or without its package.
func (s *screens) findEvent(ctx context.Context, text string) string {
	const topics = `group by (messaging_destination_name) ({__name__=~"messaging_client_sent_messages_total|warren_events_lag"})`
	resp, err := s.metrics.Query(ctx, &observev1.QueryRequest{Query: topics})
	if err != nil {
		return ""
	}
	for _, sample := range resp.GetSamples() {
		if topic := sample.GetLabels()["messaging_destination_name"]; topic != "" && (topic == text || shortName(topic) == text) {
			return topicHref(topic)
		}
	}
	return ""
}

// worst is the state of the flow that is doing worst.
func (t *traffic) worst() frame.Status {
	out := t.flows[0].state()
	for _, f := range t.flows {
		if one := f.state(); badness(frame.Cell{Status: &one}) > badness(frame.Cell{Status: &out}) {
			out = one
		}
	}
	return out
}

// neighbours are the contracts of the package in which an event stands.
func (s *screens) neighbours(ctx context.Context, topic string) ([]string, error) {
	list, err := s.contracts.List(ctx, &contractsv1.ListRequest{})
	if err != nil {
		return nil, err
	}
	var out []string
	pkg := strings.TrimSuffix(topic, shortName(topic))
	for _, c := range list.GetContracts() {
		if pkg != "" && strings.TrimSuffix(c.GetName(), shortName(c.GetName())) == pkg {
			out = append(out, c.GetName())
		}
	}
	return out, nil
}

func (t *traffic) publisherTable() frame.Table {
	out := frame.Table{
		Caption: "Published by",
		Columns: []frame.Column{
			{Key: "service", Title: "Service"}, {Key: "rate", Title: "Published", Number: true},
			{Key: "refused", Title: "Refused by the broker", Number: true, Wide: true},
			{Key: "waits", Title: "In its outbox, all events", Number: true}, {Key: "age", Title: "The oldest", Number: true},
		},
		Empty: frame.Empty{Title: "Nobody publishes it", Text: "Nobody has within the last hour."},
	}
	for _, one := range t.sources {
		box := t.outboxes[one.service]
		if box == nil {
			box = &outbox{}
		}
		out.Rows = append(out.Rows, frame.Row{ID: rowID("source", one.service), Href: serviceHref(one.service), Cells: []frame.Cell{
			frame.Text(one.service), frame.Measured(one.rate, "/s"), frame.Measured(one.refused, "/s"), frame.Number(int64(box.pending)),
			frame.Measured(box.age, "s"),
		}})
	}
	return out
}

func (t *traffic) subscriberTable() frame.Table {
	out := frame.Table{
		Caption: "Read by",
		Columns: []frame.Column{
			{Key: "service", Title: "Service"}, {Key: "group", Title: "Group", Wide: true}, {Key: "state", Title: "State"},
			{Key: "handled", Title: "Handled", Number: true},
			{Key: "p99", Title: "p99", Number: true}, {Key: "errors", Title: "Errors", Number: true}, {Key: "lag", Title: "Behind", Number: true},
			{Key: "retries", Title: "Again", Number: true}, {Key: "dead", Title: "Dead", Number: true},
		},
		Empty: frame.Empty{
			Title: "Nobody reads it", Text: "A service subscribes by a function that takes the message.", Code: "events.Subscribe(app, onOrderPlaced)",
		},
	}
	for _, f := range t.flows {
		if f.service == "" {
			continue
		}
		state := f.state()
		out.Rows = append(out.Rows, frame.Row{ID: rowID("reader", f.service, f.group), Href: serviceHref(f.service), Cells: append([]frame.Cell{
			frame.Text(f.service), frame.Text(f.group), {Text: state.Word, Status: &state},
		}, f.cells()...)})
	}
	return out
}

func (s *screens) topicCharts(r *frame.Request, topic string) ([]frame.Chart, error) {
	const group = "messaging_consumer_group_name"
	where := topicMatcher(topic)
	byGroup := func(l map[string]string) string { return l[group] }
	bySender := func(l map[string]string) string { return strings.TrimSpace(l["service"] + " " + l["error_type"]) }
	byOutcome := func(l map[string]string) string { return l[group] + " · " + l["outcome"] }
	handled := fmt.Sprintf(`sum by (%s, outcome) (rate(messaging_process_duration_seconds_count{%s}[%s]))`, group, where, window)
	charts, err := s.charts(r, s.marks(r, ""),
		plan{"published", "Published", "/s", sentBy("service, error_type", where), bySender},
		plan{"handled", "Handled", "/s", handled, byOutcome},
		plan{"p99", "Duration of the handler, p99", "s", handlingBy(group, where), byGroup},
		plan{"lag", "Behind", "", most("warren_events_lag", group, where), byGroup},
		plan{"retries", "Wait to be tried again", "", most("warren_events_retries", group, where), byGroup},
		plan{"dead", "Dead letters", "", most("warren_dead_letters", group, where), byGroup},
	)
	for i := range charts {
		if charts[i].ID == "retries" || charts[i].ID == "dead" { // who has none shows none
			charts[i].Empty = frame.Empty{Title: "None", Text: "There was none in this span of time."}
		}
	}
	return charts, err
}
