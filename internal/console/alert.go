package console

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	"github.com/gowarren/warren/docs"
	"github.com/gowarren/warren/internal/console/frame"
)

type alertView struct {
	Name, Lead  string
	State       frame.Status
	Todo        [][]run // by paragraph
	Page        string  // where to read on, of who writes alerts of their own
	Links       []frame.Link
	Facts       []fact
	Expressions []string
	Now, Burns  *frame.Table
	Chart       *frame.Chart
	History     *frame.Table
	Told        *frame.Table
}

// Export is what it finds now.
func (v alertView) Export() *frame.Table { return v.Now }

// alert is one alert: what it means, what to do, what it finds, what it asks for,
// and what it did before.
func (s *screens) alert(r *frame.Request) (any, error) {
	name := r.PathValue("alert")
	found, err := s.alerts.ListAlerts(r.Context(), &observev1.ListAlertsRequest{})
	if err != nil {
		return nil, err
	}
	rules, err := s.alerts.ListRules(r.Context(), &observev1.ListRulesRequest{})
	r.Missing("Its rule", err)
	of := slices.DeleteFunc(rules.GetRules(), func(rule *observev1.Rule) bool { return rule.GetRecording() || rule.GetName() != name })
	now := slices.DeleteFunc(found.GetAlerts(), func(a *observev1.Alert) bool { return a.GetName() != name })
	const enough = 200
	history, err := s.alerts.History(r.Context(), &observev1.HistoryRequest{Name: name, Limit: enough})
	r.Missing("The history", err)
	if len(of)+len(now)+len(history.GetChanges()) == 0 {
		return nil, &frame.Problem{
			Status: http.StatusNotFound, Title: "It is not there", Text: fmt.Sprintf("No rule is called %q, and none was.", name),
			Tip: "Alerts lists the rules in force.",
		}
	}
	v := alertView{Name: name, State: alertState(observev1.Alert_STATE_INACTIVE), History: alertHistory(history.GetChanges())}
	v.Now = firing(now, r.Now)
	v.Now.Caption, v.Now.Empty = "What it finds", frame.Empty{Title: "It finds nothing", Text: "All is as the rule wants it."}
	if len(now) > 0 {
		v.State = gravest(now)
	}
	v.rule(of, now)
	s.alertPast(r, &v, of)
	return v, nil
}

// gravest is the state of an alert that finds several things.
func gravest(all []*observev1.Alert) frame.Status {
	worst := slices.MaxFunc(all, func(a, b *observev1.Alert) int { return cmp.Compare(a.GetState(), b.GetState()) })
	if worst.GetSeverity() == "none" {
		return frame.Status{Word: "fires always", Tone: frame.Good}
	}
	return alertState(worst.GetState())
}

// rule tells what is asked for, and what is to be done.
func (v *alertView) rule(rules []*observev1.Rule, now []*observev1.Alert) {
	annotations := map[string]string{}
	for _, a := range now {
		maps.Copy(annotations, a.GetAnnotations())
	}
	for _, one := range rules {
		for key, text := range one.GetAnnotations() {
			annotations[key] = cmp.Or(annotations[key], text)
		}
		if !slices.Contains(v.Expressions, one.GetExpression()) {
			v.Expressions = append(v.Expressions, one.GetExpression())
		}
	}
	v.Lead = annotations["description"]
	if strings.Contains(v.Lead, "{{") { // the rule's own, which nothing has filled in
		v.Lead = ""
	}
	v.Page = cmp.Or(annotations["runbook"], annotations["runbook_url"])
	if v.Todo = prose(docs.Runbook(v.Name)); v.Todo != nil && strings.HasPrefix(v.Page, "docs/") {
		v.Page = "" // it is this text
	}
	if len(rules) == 0 {
		return
	}
	first := rules[0]
	v.Facts = []fact{
		{"Severity", cmp.Or(first.GetSeverity(), "–")}, {"Has to hold for", lastingText(first.GetFor().AsDuration())}, {"Of", cmp.Or(first.GetSource(), "–")},
		{"Group", first.GetGroup()},
	}
	if at := first.GetEvaluated(); at != nil {
		v.Facts = append(v.Facts, fact{"Looked at", at.AsTime().Local().Format(time.TimeOnly) + ", which took " + frame.Span(first.GetTook().AsDuration())})
	}
	for _, one := range rules {
		if one.GetError() != "" {
			v.Facts = append(v.Facts, fact{"Went wrong", one.GetError()})
		}
	}
}

func lastingText(d time.Duration) string {
	if d == 0 {
		return "no time: it fires at once"
	}
	return frame.Span(d)
}

// alertPast adds when it was true, whom it told, and, of an objective's alert,
// how fast budgets burn.
func (s *screens) alertPast(r *frame.Request, v *alertView, rules []*observev1.Rule) {
	if len(v.Expressions) == 1 {
		chart, _, err := s.chart(r, plan{"rule", "What the rule finds", "", v.Expressions[0], nil})
		r.Missing("When it was true", err)
		if err == nil {
			chart.Empty = frame.Empty{Title: "Nothing was found", Text: "In this span of time the rule was not true at any moment."}
			chart.Marks = s.marks(r, "")
			v.Chart = &chart
		}
	}
	objectives := map[string]bool{}
	for _, one := range rules {
		if name := one.GetLabels()["slo"]; name != "" {
			objectives[name] = true
		}
	}
	if len(objectives) > 0 {
		slos, err := s.alerts.ListSLOs(r.Context(), &observev1.ListSLOsRequest{})
		r.Missing("Objectives", err)
		v.Burns = burnTable(slices.DeleteFunc(slos.GetSlos(), func(o *observev1.SLO) bool { return !objectives[o.GetName()] }))
	}
	told, err := s.alerts.Deliveries(r.Context(), &observev1.DeliveriesRequest{})
	r.Missing("Whom it told", err)
	if err == nil {
		v.Told = deliveryTable(slices.DeleteFunc(told.GetDeliveries(), func(d *observev1.Delivery) bool { return !slices.Contains(d.GetAlerts(), v.Name) }))
	}
	v.Links = append(v.Links, frame.Link{Text: "Silence", Href: silenceHref(v.Name, nil), Asks: true})
}

// burnTable is how fast error budgets are spent, a row for each window.
func burnTable(slos []*observev1.SLO) *frame.Table {
	t := &frame.Table{
		Caption: "How fast error budgets burn",
		Columns: []frame.Column{
			{Title: "Objective", Fixed: true}, {Title: "Over", Number: true, Fixed: true}, {Title: "Burns", Number: true, Fixed: true},
			{Title: "Alert from", Number: true, Fixed: true}, {Title: "Severity", Fixed: true, Wide: true},
		},
		Note: "1 × spends the budget in just its period",
	}
	times := func(v float64) string { return frame.Amount(v, "×") }
	for _, o := range slos {
		for i, b := range o.GetBurns() {
			burns := frame.Text("–")
			if b.Rate != nil {
				burns = frame.Measured(b.GetRate(), "×")
				if b.GetRate() > b.GetThreshold() {
					burns.Status = &frame.Status{Word: burns.Text, Tone: frame.Bad}
				}
			}
			t.Rows = append(t.Rows, frame.Row{ID: fmt.Sprintf("burn-%s-%d", o.GetName(), i), Cells: []frame.Cell{
				{Text: o.GetName(), Sub: fmt.Sprintf("%.4g %% over %s", 100*o.GetObjective(), frame.Span(o.GetPeriod().AsDuration()))},
				lasting(b.GetWindow().AsDuration()), burns, {Text: times(b.GetThreshold()), Order: b.GetThreshold()}, frame.Text(b.GetSeverity()),
			}})
		}
	}
	return t
}

// deliveryTable is who was told, and how that went.
func deliveryTable(all []*observev1.Delivery) *frame.Table {
	t := &frame.Table{
		Caption: "Who was told",
		Columns: []frame.Column{
			{Title: "When", Fixed: true}, {Title: "Receiver", Fixed: true}, {Title: "Of", Fixed: true}, {Title: "How it went", Fixed: true},
		},
		Empty: frame.Empty{
			Title: "Nobody was told yet", Text: "Receivers stand in alerts.yaml: a webhook, an address for mail, or an Alertmanager.",
			Code: "warren alerts deliveries",
		},
	}
	const most = 50
	for i, d := range all[:min(most, len(all))] {
		state := frame.Status{Word: "delivered", Tone: frame.Good}
		switch {
		case d.GetError() != "" && d.GetRetried():
			state = frame.Status{Word: "to be tried again", Tone: frame.Warn}
		case d.GetError() != "":
			state = frame.Status{Word: "given up", Tone: frame.Bad}
		}
		what := "fires"
		if d.GetResolved() {
			what = "fires no more"
		}
		t.Rows = append(t.Rows, frame.Row{ID: fmt.Sprintf("delivery-%d", i), Cells: []frame.Cell{
			frame.At(d.GetTime().AsTime()), {Text: d.GetReceiver(), Sub: d.GetKind()}, {Text: strings.Join(d.GetAlerts(), ", "), Sub: what},
			{Status: &state, Sub: d.GetError()},
		}})
	}
	return t
}

func alertHref(name string) string { return "/alerts/" + url.PathEscape(name) }

// silenceHref asks to silence an alert: what it finds for these labels, or all.
func silenceHref(name string, labels map[string]string) string {
	q := url.Values{"alert": {name}}
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		if !slices.Contains([]string{"alertname", "severity", "window"}, key) { // what says nothing of where, and may change
			q.Add("with", key+"="+labels[key])
		}
	}
	return "/alerts/silence?" + q.Encode()
}

// matchers select the alerts that a link of silenceHref names.
func matchers(r *frame.Request) []*observev1.Matcher {
	out := []*observev1.Matcher{{Label: "alertname", Value: r.Get("alert")}}
	for _, text := range r.URL.Query()["with"] {
		if label, value, ok := strings.Cut(text, "="); ok {
			out = append(out, &observev1.Matcher{Label: label, Value: value})
		}
	}
	return out
}

func (s *screens) silenceAction() frame.Action {
	return frame.Action{
		Name: "silence", Path: "/alerts/silence", Needs: frame.Operator,
		Ask: func(r *frame.Request) (frame.Form, error) {
			name, where := r.Get("alert"), strings.Join(r.URL.Query()["with"], ", ")
			if name == "" {
				return frame.Form{}, &frame.Problem{Status: http.StatusUnprocessableEntity, Title: "Which alert?", Text: "A silence is of one alert."}
			}
			says := "All that it finds goes on being watched and shown, but tells nobody until the time is over."
			if where != "" {
				says = "What it finds for " + where + " goes on being watched and shown, but tells nobody until the time is over. Anything else it tells of."
			}
			return frame.Form{
				Title: "Silence " + name, Submit: "Silence", Back: "/alerts", Says: []string{says},
				Fields: []frame.Field{{Name: "for", Label: "For", Kind: "choice", Value: "1h", Choices: []string{"15m", "1h", "4h", "24h"}}},
			}, nil
		},
		Do: func(r *frame.Request) (frame.Outcome, error) {
			d, err := time.ParseDuration(r.PostForm.Get("for"))
			if err != nil || d <= 0 {
				return frame.Outcome{}, &frame.Problem{Status: http.StatusUnprocessableEntity, Title: "Not a time", Text: "For how long?"}
			}
			_, err = s.alerts.Silence(r.Context(), &observev1.SilenceRequest{
				Matchers: matchers(r), Duration: durationpb.New(d), Reason: r.Reason(), Author: r.Caller.Name,
			})
			return frame.Outcome{Title: r.Get("alert") + " is silent for " + frame.Span(d), Back: "/alerts"}, err
		},
	}
}
