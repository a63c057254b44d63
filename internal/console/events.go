package console

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"
	"strings"

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
		table.Empty.Title, table.Empty.Code = "No event is like that", ""
		table.Empty.Text = "The filter leaves none: nothing to worry about, if it asked for those that are not well."
	}
	v.Flows, v.Outbox, v.all = r.Sorted(table, "event"), r.Sorted(t.outboxTable(), "-age"), t.records(keep)
	v.Charts, err = s.charts(r, s.marks(r, ""),
		plan{"published", "Published", "/s", sentBy("messaging_destination_name", `error_type=""`), topicName},
		plan{"handled", "Handled", "/s", handledBy("service", ""), service},
		plan{
			"lag", "Behind", "", most("warren_events_lag", "messaging_destination_name, messaging_consumer_group_name", "") + " > 0",
			topicAndGroup,
		},
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
		{Title: "Event"}, {Title: "State"}, {Title: "Published by"}, {Title: "Published", Number: true}, {Title: "Read by"}, {Title: "Group"},
		{Title: "Handled", Number: true}, {Title: "p99", Number: true}, {Title: "Errors", Number: true}, {Title: "Behind", Number: true},
		{Title: "Retries", Number: true}, {Title: "Dead letters", Number: true},
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
