package console

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	settingsv1 "github.com/gowarren/warren/api/warren/settings/v1"
	"github.com/gowarren/warren/internal/console/frame"
)

type policiesView struct {
	Service string
	Tabs    []tab
	Table   *frame.Table
}

// Export is the list of policies.
func (v policiesView) Export() *frame.Table { return v.Table }

// servicePolicies lists what holds for a service, one number or rule a row.
func (s *screens) servicePolicies(r *frame.Request) (any, error) {
	name := r.PathValue("service")
	list, err := s.policies.List(r.Context(), &settingsv1.ListPoliciesRequest{Service: name})
	if err != nil {
		return nil, err
	}
	if len(list.GetMissing()) > 0 {
		r.Missing(strings.Join(list.GetMissing(), ", "), errors.New("nobody who serves it is ready"))
	}
	v := policiesView{Service: name}
	for _, one := range []struct{ key, name string }{{"", "All"}, {"changed", "Not by default"}} {
		v.Tabs = append(v.Tabs, tab{one.name, r.With("show", one.key), r.Get("show") == one.key})
	}
	t := frame.Table{
		Caption: "Policies in force",
		Columns: []frame.Column{
			{Key: "method", Title: "Method"}, {Key: "policy", Title: "Policy"}, {Key: "value", Title: "In force", Fixed: true}, {Key: "layer", Title: "From"},
			{Key: "scope", Title: "Said for", Wide: true}, {Key: "setting", Title: "Setting", Wide: true},
			{Key: "otherwise", Title: "Otherwise for", Fixed: true, Wide: true},
		},
		Empty: frame.Empty{Title: "No policy is like that", Text: "None fits the filter.", Clear: clearOf(r, "q", "show")},
	}
	for i, p := range list.GetPolicies() {
		if r.Get("show") == "changed" && p.GetLayer() == "default" && len(p.GetExceptions()) == 0 || !policyFits(p, r.Get("q")) {
			continue
		}
		t.Rows = append(t.Rows, policyRow(fmt.Sprintf("policy-%d", i), p))
	}
	t.Note = fmt.Sprintf("%d of %d", len(t.Rows), len(list.GetPolicies()))
	v.Table = r.Sorted(t, "")
	return v, nil
}

func policyFits(p *settingsv1.Policy, query string) bool {
	text := strings.Join([]string{p.GetMethod(), p.GetKind(), p.GetName(), p.GetSetting(), p.GetValue()}, " ")
	return strings.Contains(strings.ToLower(text), strings.ToLower(query))
}

func policyRow(id string, p *settingsv1.Policy) frame.Row {
	layer := policyLayer(p.GetLayer())
	method := frame.Cell{Text: "the process"}
	if p.GetMethod() != "" {
		method = frame.Cell{Text: methodName(p.GetMethod()), Sub: contractOf(p.GetMethod())}
	}
	setting := frame.Mono("–")
	if p.GetSetting() != "" {
		setting = frame.Cell{Text: p.GetSetting(), Mono: true, Href: settingHref(p.GetSetting())}
	}
	var others []string
	for _, e := range p.GetExceptions() {
		others = append(others, fmt.Sprintf("%s: %s (%s)", e.GetService(), readable(e.GetValue()), e.GetLayer()))
	}
	return frame.Row{ID: id, Cells: []frame.Cell{
		method, frame.Text(p.GetKind() + ", " + p.GetName()), frame.Mono(readable(p.GetValue())), {Text: layer.Word, Status: &layer, Sub: p.GetPosition()},
		frame.Text(scopeText(p)), setting, {Text: strings.Join(others, "; "), Chips: others},
	}}
}

// policyLayer tells layers apart: what somebody has set live stands out.
func policyLayer(layer string) frame.Status {
	if layer == "centre" {
		return frame.Status{Word: layer, Tone: frame.Busy}
	}
	return frame.Status{Word: layer, Tone: frame.Idle}
}

// scopeText is where a layer says it; what names the method itself is short.
func scopeText(p *settingsv1.Policy) string {
	switch {
	case p.GetLayer() == "default":
		return "–"
	case p.GetScope() == p.GetMethod():
		return "the method"
	}
	return p.GetScope()
}

func methodName(full string) string { return full[strings.LastIndexByte(full, '/')+1:] }

func contractOf(full string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(full, "/"), "/")
	return name
}

// readable leaves out of a duration what is zero: "1m0s".
func readable(value string) string {
	d, err := time.ParseDuration(value)
	if err != nil || d == 0 {
		return value
	}
	return frame.Span(d)
}

// policyKinds are the columns of the short table, in their order.
func policyKinds() []string {
	return []string{"access", "timeout", "retries", "hedging", "breaker", "limit", "idempotency"}
}

// policySummary is a row for each method, a column for each kind of policy.
func policySummary(all []*settingsv1.Policy) *frame.Table {
	t := &frame.Table{
		Caption: "Policies in force",
		Columns: []frame.Column{
			{Title: "Method", Fixed: true}, {Title: "Who may call", Fixed: true}, {Title: "Timeout", Fixed: true}, {Title: "Attempts", Fixed: true},
			{Title: "Hedged after", Fixed: true, Wide: true},
			{Title: "Breaker opens at", Fixed: true, Wide: true}, {Title: "Limits", Fixed: true}, {Title: "Idempotency", Fixed: true, Wide: true},
		},
		Empty: frame.Empty{Title: "No contract could be read", Text: "A contract is read from an instance that is ready."},
	}
	rows := map[string][]*settingsv1.Policy{}
	var order []string
	for _, p := range all {
		if p.GetMethod() == "" || strings.HasPrefix(p.GetMethod(), "/warren.") {
			continue
		}
		if rows[p.GetMethod()] == nil {
			order = append(order, p.GetMethod())
		}
		rows[p.GetMethod()] = append(rows[p.GetMethod()], p)
	}
	for _, method := range order {
		row := frame.Row{ID: "policies-" + methodName(method), Cells: []frame.Cell{{Text: methodName(method), Mono: true, Title: method}}}
		for _, kind := range policyKinds() {
			row.Cells = append(row.Cells, policyCell(kind, rows[method]))
		}
		t.Rows = append(t.Rows, row)
	}
	t.Note = "and the layer that says so"
	return t
}

// percentText makes a share readable.
func percentText(share string) string {
	v, err := strconv.ParseFloat(share, 64)
	if err != nil {
		return share
	}
	return frame.Amount(v, "%")
}

// policyCell is what a method's policies of a kind come to, and who says so.
func policyCell(kind string, all []*settingsv1.Policy) frame.Cell {
	var values, layers []string
	named := map[string]string{}
	others := 0
	for _, p := range all {
		if p.GetKind() != kind || kind == "retries" && p.GetName() != "attempts" {
			continue
		}
		named[p.GetName()] = readable(p.GetValue())
		values = append(values, readable(p.GetValue()))
		if kind == "limit" {
			values[len(values)-1] += " " + p.GetName()
		}
		if !slices.Contains(layers, p.GetLayer()) {
			layers = append(layers, p.GetLayer())
		}
		others += len(p.GetExceptions())
	}
	if len(values) == 0 {
		return frame.Text("–")
	}
	c := frame.Cell{Text: strings.Join(values, "; "), Sub: strings.Join(layers, ", ")}
	switch {
	case kind == "breaker":
		c.Text = fmt.Sprintf("%s of %s in %s", percentText(named["failures"]), named["calls"], named["window"])
	case (kind == "timeout" || kind == "hedging") && (c.Text == "0s" || c.Text == "0"):
		c.Text = "never"
	}
	if others > 0 {
		c.Sub += fmt.Sprintf(", otherwise for %d", others)
	}
	return c
}
