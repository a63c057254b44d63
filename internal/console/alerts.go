package console

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	"github.com/gowarren/warren/internal/console/frame"
)

type alertsView struct {
	Alerts, SLOs, Silences, History, Told, Rules *frame.Table
}

// Export is what fires.
func (v alertsView) Export() *frame.Table { return v.Alerts }

func (s *screens) alertList(r *frame.Request) (any, error) {
	alerts, err := s.alerts.ListAlerts(r.Context(), &observev1.ListAlertsRequest{})
	if err != nil {
		return nil, err
	}
	v := alertsView{Alerts: firing(alerts.GetAlerts(), r.Now)}
	slos, err := s.objectives(r.Context())
	r.Missing("Objectives", err)
	v.SLOs = sloTable(slos.GetSlos())
	silences, err := s.alerts.ListSilences(r.Context(), &observev1.ListSilencesRequest{})
	r.Missing("Silences", err)
	v.Silences = silenceTable(silences.GetSilences())
	const enough = 50
	history, err := s.alerts.History(r.Context(), &observev1.HistoryRequest{Limit: enough})
	r.Missing("The history", err)
	v.History = alertHistory(history.GetChanges())
	told, err := s.alerts.Deliveries(r.Context(), &observev1.DeliveriesRequest{Limit: enough})
	r.Missing("Who was told", err)
	if err == nil {
		v.Told = deliveryTable(told.GetDeliveries())
	}
	rules, err := s.alerts.ListRules(r.Context(), &observev1.ListRulesRequest{})
	r.Missing("Rules", err)
	v.Rules = ruleTable(rules.GetRules())
	return v, nil
}

func alertState(state observev1.Alert_State) frame.Status {
	switch state {
	case observev1.Alert_STATE_FIRING:
		return frame.Status{Word: "firing", Tone: frame.Bad}
	case observev1.Alert_STATE_PENDING:
		return frame.Status{Word: "pending", Tone: frame.Warn}
	}
	return frame.Status{Word: "quiet", Tone: frame.Good}
}

func firing(alerts []*observev1.Alert, now time.Time) *frame.Table {
	t := &frame.Table{
		Caption: "Alerts",
		Columns: []frame.Column{
			{Title: "Alert", Fixed: true}, {Title: "State", Fixed: true}, {Title: "Value", Number: true, Fixed: true, Wide: true},
			{Title: "For", Number: true, Fixed: true}, {Title: "", Fixed: true, Wide: true},
		},
		Empty: frame.Empty{Title: "Nothing fires", Text: "No rule finds anything to complain of."},
	}
	for i, a := range alerts {
		state := alertState(a.GetState())
		if a.GetSilence() != "" {
			state = frame.Status{Word: "silenced", Tone: frame.Idle}
		}
		if a.GetSeverity() == "none" {
			state = frame.Status{Word: "fires always", Tone: frame.Good}
		}
		actions := []frame.Link{
			{Text: "What to do", Href: alertHref(a.GetName()) + "#todo"},
			{Text: "Silence", Href: silenceHref(a.GetName(), a.GetLabels()), Asks: true},
			{Text: "Chart", Href: "/metrics?query=" + queryEscape(a.GetExpression())},
		}
		t.Rows = append(t.Rows, frame.Row{ID: fmt.Sprintf("alert-%d", i), Href: alertHref(a.GetName()), Cells: []frame.Cell{
			{Text: a.GetName() + labelsOf(a.GetLabels()), Sub: cmp.Or(a.GetAnnotations()["summary"], a.GetAnnotations()["description"])},
			{Status: &state, Sub: a.GetSeverity()}, frame.Measured(a.GetValue(), ""), lasting(now.Sub(a.GetSince().AsTime())),
			{Actions: actions},
		}})
	}
	return t
}

func lasting(d time.Duration) frame.Cell { return frame.Cell{Text: frame.Span(d), Order: d.Seconds()} }

// labelsOf is what an alert is about.
func labelsOf(labels map[string]string) string {
	var parts []string
	for _, name := range []string{"service", "instance", "method", "slo"} {
		if labels[name] != "" {
			parts = append(parts, labels[name])
		}
	}
	if parts == nil {
		return ""
	}
	return " · " + strings.Join(parts, " · ")
}

func silenceTable(silences []*observev1.SilenceEntry) *frame.Table {
	t := &frame.Table{
		Caption: "Silences",
		Columns: []frame.Column{{Title: "What", Fixed: true}, {Title: "By", Fixed: true}, {Title: "Ends", Fixed: true}, {Title: "", Fixed: true}},
		Empty:   frame.Empty{Title: "No silences", Text: "A silence keeps an alert from telling anybody for a while, with a reason."},
	}
	for _, one := range silences {
		var parts []string
		for _, m := range one.GetMatchers() {
			parts = append(parts, m.GetLabel()+matching(m)+m.GetValue())
		}
		t.Rows = append(t.Rows, frame.Row{ID: "silence-" + one.GetId(), Cells: []frame.Cell{
			{Text: strings.Join(parts, ", "), Sub: one.GetReason()}, frame.Text(one.GetAuthor()), frame.At(one.GetEnds().AsTime()),
			{Actions: []frame.Link{{Text: "End", Href: "/alerts/unsilence?id=" + one.GetId(), Asks: true}}},
		}})
	}
	return t
}

// matching is how a silence compares.
func matching(m *observev1.Matcher) string {
	sign := " = "
	switch {
	case m.GetRegex() && m.GetNegative():
		sign = " !~ "
	case m.GetRegex():
		sign = " =~ "
	case m.GetNegative():
		sign = " != "
	}
	return sign
}

func alertHistory(changes []*observev1.Change) *frame.Table {
	t := &frame.Table{
		Caption: "History",
		Columns: []frame.Column{{Title: "When", Fixed: true}, {Title: "Alert", Fixed: true}, {Title: "", Fixed: true}},
		Empty:   frame.Empty{Title: "Nothing fired yet", Text: "What begins and ends to fire is noted here."},
	}
	for i, c := range changes {
		state := frame.Status{Word: "began", Tone: frame.Bad}
		if c.GetResolved() {
			state = frame.Status{Word: "ended", Tone: frame.Good}
		}
		t.Rows = append(t.Rows, frame.Row{ID: fmt.Sprintf("change-%d", i), Href: alertHref(c.GetName()), Cells: []frame.Cell{
			frame.At(c.GetTime().AsTime()), {Text: c.GetName() + labelsOf(c.GetLabels()), Sub: c.GetAnnotations()["summary"]}, {Status: &state},
		}})
	}
	return t
}

func ruleTable(rules []*observev1.Rule) *frame.Table {
	t := &frame.Table{
		Caption: "Rules",
		Columns: []frame.Column{{Title: "Rule", Fixed: true}, {Title: "State", Fixed: true}, {Title: "Expression", Fixed: true, Wide: true}},
		Empty:   frame.Empty{Title: "No rules", Text: "Rules come with Warren and with the system file."},
	}
	for i, rule := range slices.DeleteFunc(rules, func(r *observev1.Rule) bool { return r.GetRecording() }) {
		state := alertState(rule.GetState())
		if rule.GetError() != "" {
			state = frame.Status{Word: rule.GetError(), Tone: frame.Bad}
		}
		t.Rows = append(t.Rows, frame.Row{ID: fmt.Sprintf("rule-%d", i), Href: alertHref(rule.GetName()), Cells: []frame.Cell{
			{Text: rule.GetName(), Sub: rule.GetGroup()}, {Status: &state},
			{Text: rule.GetExpression(), Mono: true, Href: "/metrics?query=" + queryEscape(rule.GetExpression())},
		}})
	}
	return t
}

func (s *screens) alertActions() []frame.Action {
	return []frame.Action{
		s.silenceAction(),
		{
			Name: "unsilence", Path: "/alerts/unsilence", Needs: frame.Operator,
			Ask: func(r *frame.Request) (frame.Form, error) {
				return frame.Form{Title: "End the silence", Submit: "End it", Back: "/alerts"}, nil
			},
			Do: func(r *frame.Request) (frame.Outcome, error) {
				_, err := s.alerts.Unsilence(r.Context(), &observev1.UnsilenceRequest{Id: r.Get("id"), Author: r.Caller.Name, Reason: r.Reason()})
				return frame.Outcome{Title: "The silence has ended", Back: "/alerts"}, err
			},
		},
	}
}
