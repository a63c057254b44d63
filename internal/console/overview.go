package console

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	fleetv1 "github.com/gowarren/warren/api/warren/fleet/v1"
	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
	"github.com/gowarren/warren/internal/console/frame"
)

type overviewView struct {
	System   *fleetv1.System
	Verdict  frame.Status
	Since    string
	Tiles    []tile
	SLOs     *frame.Table
	Alerts   *frame.Table
	Services *frame.Table
	Charts   []frame.Chart
	Events   []happened
	Gateway  string
}

// atEdge is the service whose requests are those that arrive from outside.
const atEdge = "gateway"

// tile is one figure.
type tile struct{ Name, Value, Sub, Href string }

// overview answers: is it well, since when, and what changed?
func (s *screens) overview(r *frame.Request) (any, error) {
	list, err := s.fleet.List(r.Context(), &fleetv1.ListRequest{})
	if err != nil {
		return nil, err
	}
	v := overviewView{System: list.GetSystem(), Gateway: list.GetSystem().GetGateway()}
	const watched, few = 24 * time.Hour, 16
	begin := r.Now.Add(-watched)
	if r.Range.From.Before(begin) {
		begin = r.Range.From
	}
	all, gone := s.timeline(r.Context(), begin, r.Now)
	for _, what := range slices.Sorted(maps.Keys(gone)) {
		r.Missing(what, gone[what])
	}
	v.Events = between(all, r.Now.Add(-watched), r.Now)
	red, err := s.red(r.Context())
	r.Missing("Traffic", err)
	if err == nil {
		v.Charts, err = s.charts(r, marksOf(between(all, r.Range.From, r.Range.To), ""),
			plan{"rate", "Requests", "/s", rateOf("service", ""), service},
			plan{"errors", "Errors", "%", errorsOf("service", ""), service},
			plan{"p95", "Duration, p95", "s", quantileOf(0.95, "service", ""), service},
		)
		r.Missing("Charts", err)
	}
	alerts, err := s.alerts.ListAlerts(r.Context(), &observev1.ListAlertsRequest{})
	r.Missing("Alerts", err)
	v.Alerts = firing(loud(alerts.GetAlerts()), r.Now)
	slos, err := s.objectives(r.Context())
	if err == nil {
		v.SLOs = sloTable(slos.GetSlos())
	}
	table := serviceTable(list.GetInstances(), red, "")
	for i := range table.Columns {
		table.Columns[i].Fixed = true
	}
	slices.SortStableFunc(table.Rows, func(a, b frame.Row) int { return cmp.Compare(badness(b.Cells[1]), badness(a.Cells[1])) })
	v.Services = &table
	v.Verdict, v.Since = verdict(list, alerts.GetAlerts(), v.Events, r.Now)
	v.Events = v.Events[:min(few, len(v.Events))]
	v.Tiles, err = s.tiles(r.Context(), red)
	r.Missing("Figures", err)
	return v, nil
}

func service(labels map[string]string) string { return labels["service"] }

// badness puts the worst first.
func badness(c frame.Cell) int {
	return slices.Index([]frame.Tone{frame.Idle, frame.Good, frame.Busy, frame.Warn, frame.Bad}, c.Status.Tone)
}

// verdict is the first thing to know.
func verdict(list *fleetv1.ListResponse, alerts []*observev1.Alert, events []happened, now time.Time) (frame.Status, string) {
	h := health(list.GetInstances())
	var burning []*observev1.Alert
	for _, a := range loud(alerts) {
		if a.GetState() == observev1.Alert_STATE_FIRING && a.GetSilence() == "" {
			burning = append(burning, a)
		}
	}
	for _, e := range list.GetEngines() {
		if e.GetProblem() != "" {
			return frame.Status{Word: e.GetKind() + " is not well", Tone: frame.Bad}, e.GetProblem()
		}
	}
	switch {
	case len(burning) > 0:
		first := slices.MinFunc(burning, func(a, b *observev1.Alert) int { return a.GetSince().AsTime().Compare(b.GetSince().AsTime()) })
		said := cmp.Or(first.GetAnnotations()["summary"], first.GetName()+labelsOf(first.GetLabels()))
		status := frame.Status{Word: plural(len(burning), "alert") + " firing", Tone: frame.Bad}
		return status, "for " + frame.Span(now.Sub(first.GetSince().AsTime())) + ": " + said
	case h.Tone == frame.Bad:
		return frame.Status{Word: "Something keeps crashing", Tone: frame.Bad}, h.Word + lastTrouble(events, now)
	case h.Tone == frame.Warn:
		return frame.Status{Word: "Not everything is ready", Tone: frame.Warn}, h.Word + lastTrouble(events, now)
	}
	if said := lastTrouble(events, now); said != "" {
		return frame.Status{Word: "All is well", Tone: frame.Good}, strings.TrimPrefix(said, "; ")
	}
	return frame.Status{Word: "All is well", Tone: frame.Good}, "since it was started " + frame.Ago(list.GetSystem().GetStarted().AsTime(), now)
}

// lastTrouble is the last thing that went wrong, or that ended to do so.
func lastTrouble(events []happened, now time.Time) string {
	i := slices.IndexFunc(events, func(h happened) bool { return h.Tone == frame.Bad || h.Ended })
	if i < 0 {
		return ""
	}
	return "; the last trouble was " + frame.Ago(events[i].Time, now) + ": " + events[i].What
}

// loud leaves out alerts of no severity, which fire to show that alerts work.
func loud(alerts []*observev1.Alert) []*observev1.Alert {
	var out []*observev1.Alert
	for _, a := range alerts {
		if a.GetSeverity() != "none" {
			out = append(out, a)
		}
	}
	return out
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return strconv.Itoa(n) + " " + word + "s"
}

// tiles are the figures at the top. What can't be had is left out.
func (s *screens) tiles(ctx context.Context, all map[string]red) ([]tile, error) {
	var out []tile
	if all != nil {
		var rate, failed float64
		for name, one := range all {
			if name == atEdge {
				continue // what arrives there is answered by the others, and counted there
			}
			rate += one.rate
			failed += one.rate * one.errors
		}
		share := 0.0
		if rate > 0 {
			share = failed / rate
		}
		out = append(
			out, tile{"Requests", frame.Amount(rate, "/s"), "all services", "/services"},
			tile{"Errors", frame.Amount(share, "%"), "of all requests, 1 min", "/traces?errors=1"},
		)
	}
	found, err := s.instant(ctx, figuresQuery())
	if err != nil {
		return out, err
	}
	for _, f := range figures() {
		for _, sample := range found.GetSamples() {
			if sample.GetLabels()["figure"] == f.id {
				out = append(out, tile{f.name, frame.Amount(max(0, sample.GetValue()), f.unit), f.sub, f.href})
			}
		}
	}
	return out, nil
}

// figure is something of the whole system that its services count already.
type figure struct{ id, name, unit, sub, href, query string }

// figures are asked of the metrics: whoever looks on should not be a call to every
// service every other second, which would stand among what these are asked.
func figures() []figure {
	const letters = `sum(max by (` + byGroup + `) (warren_dead_letters)) or 0 * max(warren_outbox_pending)` // none has no series
	return []figure{
		{"active", "In flight", "", "transactions", "/transactions?show=running", "sum(warren_txn_active)"},
		{"parked", "Parked", "", "wait for an operator", "/transactions?show=parked", "max(warren_txn_parked)"},
		{"letters", "Dead letters", "", "given up", "/letters", letters},
		{"outbox", "Outbox", "s", "oldest unsent event", "/metrics?query=warren_outbox_age_seconds", "max(warren_outbox_age_seconds)"},
	}
}

// figuresQuery asks for all of them at once.
func figuresQuery() string {
	var parts []string
	for _, f := range figures() {
		parts = append(parts, fmt.Sprintf(`label_replace(%s, "figure", %q, "", "")`, f.query, f.id))
	}
	return strings.Join(parts, " or ")
}

// objectives are dear to ask for: each is a sum over weeks, which changes little.
func (s *screens) objectives(ctx context.Context) (*observev1.ListSLOsResponse, error) {
	return once(ctx, s.answers, while, "objectives", func(ctx context.Context) (*observev1.ListSLOsResponse, error) {
		return s.alerts.ListSLOs(ctx, &observev1.ListSLOsRequest{})
	})
}

func sloTable(slos []*observev1.SLO) *frame.Table {
	t := &frame.Table{
		Caption: "Objectives",
		Columns: []frame.Column{
			{Title: "Objective", Fixed: true},
			{Title: "State", Fixed: true},
			{Title: "Goal", Number: true, Fixed: true},
			{Title: "Now", Number: true, Fixed: true},
			{Title: "Budget left", Number: true, Fixed: true},
		},
		Empty: frame.Empty{
			Title: "No objectives yet", Text: "An objective says how often a service has to answer well. Rules for them come with the system file.",
		},
	}
	for _, o := range slos {
		now, left := frame.Text("–"), frame.Text("–")
		if o.Current != nil {
			now = frame.Text(frame.Amount(o.GetCurrent(), "%"))
		}
		if o.BudgetLeft != nil {
			left = frame.Cell{Text: frame.Amount(o.GetBudgetLeft(), "%"), Share: math.Max(0, math.Min(1, o.GetBudgetLeft()))}
		}
		state := alertState(o.GetState())
		t.Rows = append(t.Rows, frame.Row{ID: "slo-" + o.GetName(), Cells: []frame.Cell{
			{Text: o.GetName(), Sub: o.GetDescription()}, {Status: &state}, frame.Text(fmt.Sprintf("%.4g %%", 100*o.GetObjective())), now, left,
		}})
	}
	return t
}

// unfinished are the states of what has not ended.
func unfinished() []txnv1.State {
	return []txnv1.State{txnv1.State_STATE_PREPARED, txnv1.State_STATE_WAITING, txnv1.State_STATE_RUNNING, txnv1.State_STATE_UNDOING}
}
