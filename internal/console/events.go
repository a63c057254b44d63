package console

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	contractsv1 "github.com/gowarren/warren/api/warren/contracts/v1"
	"github.com/gowarren/warren/internal/console/frame"
)

type eventsView struct {
	Lead               string
	Tiles              []tile
	Tabs               []tab
	Flows, Outbox, all *frame.Table
	Charts             []frame.Chart
	Filter             string
}

// Export is who publishes and reads what.
func (v eventsView) Export() *frame.Table { return v.all }

// eventFlows are all topics: who publishes them, who reads them, and what waits.
func (s *screens) eventFlows(r *frame.Request) (any, error) {
	t, err := s.traffic(r.Context(), "")
	if err != nil {
		return nil, err
	}
	ill := r.Get("show") == "ill"
	v := eventsView{Filter: r.Get("q"), Tabs: []tab{{"All", r.With("show", ""), !ill}, {"Not well", r.With("show", "ill"), ill}}}
	subscriptions := 0
	for _, f := range t.flows {
		if f.service != "" {
			subscriptions++
		}
	}
	v.Lead = plural(len(t.topics()), "event") + ", " + plural(subscriptions, "subscription") + "."
	v.Tiles = t.tiles()
	keep := func(f *flow) bool {
		publishers, _ := t.published(f.topic)
		text := strings.ToLower(f.topic + " " + f.service + " " + f.group + " " + strings.Join(publishers, " "))
		return (!ill || f.ill()) && strings.Contains(text, strings.ToLower(v.Filter))
	}
	table := t.table(keep)
	table.Empty.Clear = clearOf(r, "q", "show")
	if table.Empty.Clear != "" {
		table.Empty.Title, table.Empty.Text, table.Empty.Code = "No event is like that", "The filter leaves none: nothing to worry about, if it asked for those that are not well.", ""
	}
	v.Flows, v.Outbox, v.all = r.Sorted(table, "event"), r.Sorted(t.outboxTable(), "-age"), t.records(keep)
	v.Charts, err = s.charts(r, s.marks(r, ""),
		plan{"published", "Published", "/s", `sum by (messaging_destination_name) (rate(messaging_client_sent_messages_total{error_type=""}[` + window + `]))`, topicName},
		plan{"handled", "Handled", "/s", handledBy("service", ""), service},
		plan{"lag", "Behind", "", most("warren_events_lag", "messaging_destination_name, messaging_consumer_group_name", "") + " > 0", topicAndGroup},
		plan{"age", "Oldest in the outbox", "s", most("warren_outbox_age_seconds", "service", ""), service},
	)
	r.Missing("Charts", err)
	return v, nil
}

func topicName(l map[string]string) string { return shortName(l["messaging_destination_name"]) }

func topicAndGroup(l map[string]string) string {
	return topicName(l) + " · " + l["messaging_consumer_group_name"]
}

// tiles are the sums over all events.
func (t *traffic) tiles() []tile {
	var published, handled, lag, retries, letters, pending, oldest float64
	for _, one := range t.sources {
		published += one.rate
	}
	for _, f := range t.flows {
		handled, lag, retries, letters = handled+f.handled, lag+f.lag, retries+f.retries, letters+f.letters
	}
	for _, n := range t.dead {
		letters += n
	}
	for _, o := range t.outboxes {
		pending, oldest = pending+o.pending, max(oldest, o.age)
	}
	const metrics = "/metrics?query="
	return []tile{
		{"Published", frame.Amount(published, "/s"), "taken by the broker", metrics + queryEscape(publishedBy("service", ""))},
		{"Handled", frame.Amount(handled, "/s"), "by all groups", metrics + queryEscape(handledBy("service", ""))},
		{"Behind", frame.Count(int64(lag)), "at the broker, not handled", metrics + "warren_events_lag"},
		{"To be tried again", frame.Count(int64(retries)), "or behind one that is", metrics + "warren_events_retries"},
		{"Outbox", frame.Count(int64(pending)), "the oldest " + frame.Amount(oldest, "s"), metrics + "warren_outbox_age_seconds"},
		{"Dead letters", frame.Count(int64(letters)), "given up", "/letters"},
	}
}

// table is one row for each group of each topic.
func (t *traffic) table(keep func(*flow) bool) frame.Table {
	out := frame.Table{
		Caption: "Flow",
		Columns: []frame.Column{
			{Key: "event", Title: "Event"}, {Key: "state", Title: "State"}, {Key: "published", Title: "Published", Number: true, Wide: true},
			{Key: "to", Title: "Read by"}, {Key: "handled", Title: "Handled", Number: true},
			{Key: "p99", Title: "p99", Number: true, Wide: true}, {Key: "errors", Title: "Errors", Number: true, Wide: true},
			{Key: "lag", Title: "Behind", Number: true}, {Key: "retries", Title: "Again", Number: true, Wide: true}, {Key: "dead", Title: "Dead", Number: true},
		},
		Empty: frame.Empty{
			Title: "No events yet", Code: "warren new service greeting",
			Text: "An event is a message of a contract. Who publishes one writes it to an outbox in the same transaction as the work, and whoever " +
				"subscribes to it handles it exactly once. Those that were published or read within the last hour are listed here.",
		},
	}
	for _, f := range t.flows {
		if !keep(f) {
			continue
		}
		publishers, rate := t.published(f.topic)
		state := f.state()
		published := frame.Measured(rate, "/s")
		published.Sub = "by " + strings.Join(publishers, ", ")
		if len(publishers) == 0 {
			published = frame.Cell{Text: "–", Title: "nobody has published it within the last hour"}
		}
		reader := frame.Cell{Text: cmp.Or(f.service, "–")}
		if f.group != f.service {
			reader.Sub = f.group
		}
		cells := []frame.Cell{{Text: shortName(f.topic), Title: f.topic}, {Text: state.Word, Status: &state}, published, reader}
		out.Rows = append(out.Rows, frame.Row{ID: rowID("flow", f.topic, f.service, f.group), Href: topicHref(f.topic), Cells: append(cells, f.cells()...)})
	}
	out.Note = strconv.Itoa(len(out.Rows))
	return out
}

// records are flows with all that is known of them, for other programs.
func (t *traffic) records(keep func(*flow) bool) *frame.Table {
	out := &frame.Table{Columns: []frame.Column{
		{Title: "Event"}, {Title: "State"}, {Title: "Published by"}, {Title: "Published"}, {Title: "Read by"}, {Title: "Group"}, {Title: "Handled"},
		{Title: "p99"}, {Title: "Errors"}, {Title: "Behind"}, {Title: "Retries"}, {Title: "Dead letters"},
	}}
	for _, f := range t.flows {
		if !keep(f) {
			continue
		}
		publishers, rate := t.published(f.topic)
		out.Rows = append(out.Rows, frame.Row{Cells: append([]frame.Cell{
			frame.Text(f.topic), frame.Text(f.state().Word), frame.Text(strings.Join(publishers, " ")), frame.Measured(rate, "/s"), frame.Text(f.service),
			frame.Text(f.group),
		}, f.cells()...)})
	}
	return out
}

func rowID(parts ...string) string {
	return strings.NewReplacer(" ", "-", "/", "-").Replace(strings.Join(parts, "-"))
}

func topicHref(topic string) string { return "/events/" + url.PathEscape(topic) }

// outboxTable is what waits in each service for the broker.
func (t *traffic) outboxTable() frame.Table {
	out := frame.Table{
		Caption: "Outbox",
		Columns: []frame.Column{
			{Key: "service", Title: "Service"}, {Key: "waits", Title: "Events that wait", Number: true}, {Key: "age", Title: "The oldest", Number: true},
			{Key: "rate", Title: "Published", Number: true},
		},
		Empty: frame.Empty{Title: "No outbox", Text: "A service that publishes has one, in its database."},
	}
	for name, o := range t.outboxes {
		age := frame.Measured(o.age, "s")
		if o.age > 60 {
			age.Status = &frame.Status{Word: age.Text, Tone: frame.Bad}
		}
		out.Rows = append(out.Rows, frame.Row{ID: "outbox-" + name, Href: serviceHref(name), Cells: []frame.Cell{
			frame.Text(name), frame.Number(int64(o.pending)), age, frame.Measured(o.rate, "/s"),
		}})
	}
	slices.SortFunc(out.Rows, func(a, b frame.Row) int { return strings.Compare(a.ID, b.ID) })
	return out
}

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
		{Text: "Traces", Href: "/traces?" + by}, {Text: "Traces with errors", Href: "/traces?errors=1&" + by}, {Text: "Dead letters", Href: lettersHref(topic, "")},
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
			{Key: "service", Title: "Service"}, {Key: "rate", Title: "Published", Number: true}, {Key: "refused", Title: "Refused by the broker", Number: true, Wide: true},
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
			frame.Text(one.service), frame.Measured(one.rate, "/s"), frame.Measured(one.refused, "/s"), frame.Number(int64(box.pending)), frame.Measured(box.age, "s"),
		}})
	}
	return out
}

func (t *traffic) subscriberTable() frame.Table {
	out := frame.Table{
		Caption: "Read by",
		Columns: []frame.Column{
			{Key: "service", Title: "Service"}, {Key: "group", Title: "Group", Wide: true}, {Key: "state", Title: "State"}, {Key: "handled", Title: "Handled", Number: true},
			{Key: "p99", Title: "p99", Number: true}, {Key: "errors", Title: "Errors", Number: true}, {Key: "lag", Title: "Behind", Number: true},
			{Key: "retries", Title: "Again", Number: true}, {Key: "dead", Title: "Dead", Number: true},
		},
		Empty: frame.Empty{Title: "Nobody reads it", Text: "A service subscribes by a function that takes the message.", Code: "events.Subscribe(app, onOrderPlaced)"},
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
	const group, outcome = "messaging_consumer_group_name", "outcome"
	where := topicMatcher(topic)
	byGroup := func(l map[string]string) string { return l[group] }
	return s.charts(r, s.marks(r, ""),
		plan{"published", "Published", "/s", `sum by (service, error_type) (rate(messaging_client_sent_messages_total{` + where + `}[` + window + `]))`,
			func(l map[string]string) string { return strings.TrimSpace(l["service"] + " " + l["error_type"]) }},
		plan{"handled", "Handled", "/s", `sum by (` + group + `, outcome) (rate(messaging_process_duration_seconds_count{` + where + `}[` + window + `]))`,
			func(l map[string]string) string { return l[group] + " · " + l[outcome] }},
		plan{"p99", "Duration of the handler, p99", "s", handlingBy(group, where), byGroup},
		plan{"lag", "Behind", "", most("warren_events_lag", group, where), byGroup},
		plan{"retries", "Wait to be tried again", "", most("warren_events_retries", group, where), byGroup},
		plan{"dead", "Dead letters", "", most("warren_dead_letters", group, where), byGroup},
	)
}
