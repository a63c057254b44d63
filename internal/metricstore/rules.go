package metricstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/rules"
)

// RuleGroup is rules that are evaluated one after the other.
type RuleGroup struct {
	Name     string
	Interval time.Duration // 0: the store's
	Rules    []Rule
}

// Rule records a series, or alerts: it has one of the two names.
type Rule struct {
	Record, Alert      string
	Expr               string
	For, KeepFiringFor time.Duration
	Labels             map[string]string
	Annotations        map[string]string
}

// Name is the rule's.
func (r Rule) Name() string { return cmp.Or(r.Alert, r.Record) }

// RuleState is a rule and how its last evaluation went.
type RuleState struct {
	Rule
	Group     string
	Err       string
	Evaluated time.Time
	Took      time.Duration
	Alerts    []Alert // that are pending or fire
}

// State is where an alert is.
type State string

// The states of alerts.
const (
	Inactive State = "inactive"
	Pending  State = "pending"
	Firing   State = "firing"
)

// Alert is what a rule found for one label set.
type Alert struct {
	Name                string
	State               State
	Labels, Annotations map[string]string
	Value               float64 `json:"-"` // may be what JSON has no number for
	Since, Fired        time.Time
	// Resolved is zero while it goes on.
	Resolved time.Time
}

const (
	// outageTolerance is for how long nothing may have run so that what was
	// pending before still counts.
	outageTolerance = time.Hour
	// graceFor is for how long a restored alert waits at least before it fires.
	graceFor = 10 * time.Second
	// resend is how often it is told that an alert goes on.
	resend = time.Minute
)

func (s *Store) startRules(ctx context.Context) {
	s.groups = &memoryGroups{parser: s.parser}
	s.rules = rules.NewManager(&rules.ManagerOptions{
		Context: ctx, Appendable: s.gate, Queryable: s.db, QueryFunc: s.ruleQuery, NotifyFunc: s.notify,
		ExternalURL: &url.URL{}, Logger: s.opts.Logger, Registerer: s.opts.Metrics, GroupLoader: s.groups, Parser: s.parser,
		OutageTolerance: outageTolerance, ForGracePeriod: graceFor, ResendDelay: resend, RestoreNewRuleGroups: true,
	})
}

// ruleQuery evaluates a rule's expression. Rules go on when people ask too much.
func (s *Store) ruleQuery(ctx context.Context, query string, at time.Time) (promql.Vector, error) {
	return rules.EngineQueryFunc(s.engine.Load(), s.db)(ctx, query, at)
}

// CheckRules tells what is wrong with rules: the first error of each, with its name.
func CheckRules(groups []RuleGroup) error {
	p := parser.NewParser(parser.Options{})
	seen := map[string]bool{}
	var errs []error
	for _, g := range groups {
		if g.Name == "" || seen[g.Name] {
			errs = append(errs, fmt.Errorf("rule group %q: the name is empty or used twice", g.Name))
		}
		seen[g.Name] = true
		for _, r := range g.Rules {
			one := r.format()
			if wrong := one.Validate(rulefmt.RuleNode{}, model.UTF8Validation, p); len(wrong) > 0 {
				err := wrong[0]
				errs = append(errs, fmt.Errorf("rule %s: %w", cmp.Or(r.Name(), "without a name"), &err))
			}
		}
	}
	return errors.Join(errs...)
}

// SetRules puts these rules in force and no others; unless one is wrong, then
// those before stay. Alerts of rules that did not change go on.
func (s *Store) SetRules(groups []RuleGroup) error {
	if err := CheckRules(groups); err != nil {
		return err
	}
	s.apply.Lock()
	defer s.apply.Unlock()
	s.groups.set(groups)
	return s.updateRules(s.limits.Load().EvaluationInterval)
}

func (s *Store) updateRules(interval time.Duration) error {
	if err := s.rules.Update(interval, []string{memoryFile}, labels.EmptyLabels(), "", nil); err != nil {
		return fmt.Errorf("put the rules in force: %w", err)
	}
	return nil
}

// Rules lists the rules in force, by group in the order of evaluation.
func (s *Store) Rules() []RuleState {
	var out []RuleState
	groups := s.rules.RuleGroups()
	for _, given := range s.groups.get() {
		n := slices.IndexFunc(groups, func(g *rules.Group) bool { return g.Name() == given.Name })
		if n < 0 {
			continue
		}
		for i, r := range groups[n].Rules() {
			if i >= len(given.Rules) {
				break // they were just changed
			}
			out = append(out, stateOf(given.Rules[i], given.Name, r))
		}
	}
	return out
}

func stateOf(given Rule, group string, r rules.Rule) RuleState {
	state := RuleState{Rule: given, Group: group, Evaluated: r.GetEvaluationTimestamp(), Took: r.GetEvaluationDuration()}
	if err := r.LastError(); err != nil {
		state.Err = err.Error()
	}
	if alerting, ok := r.(*rules.AlertingRule); ok {
		for _, a := range alerting.ActiveAlerts() {
			state.Alerts = append(state.Alerts, alertOf(a))
		}
		slices.SortFunc(state.Alerts, func(a, b Alert) int { return a.Since.Compare(b.Since) })
	}
	return state
}

// Evaluate evaluates every rule once, as of a moment, besides the evaluations that
// the store makes by the machine's clock: for who has a clock of another pace.
func (s *Store) Evaluate(ctx context.Context, at time.Time) {
	for _, g := range s.rules.RuleGroups() {
		g.Eval(ctx, at)
	}
}

func (s *Store) notify(_ context.Context, _ string, alerts ...*rules.Alert) {
	if s.opts.Notify == nil || len(alerts) == 0 {
		return
	}
	out := make([]Alert, len(alerts))
	for n, a := range alerts {
		out[n] = alertOf(a)
	}
	s.opts.Notify(out)
}

func alertOf(a *rules.Alert) Alert {
	state := map[rules.AlertState]State{rules.StatePending: Pending, rules.StateFiring: Firing}[a.State]
	if state == "" {
		state = Inactive
	}
	return Alert{
		Name: a.Labels.Get(labels.AlertName), State: state, Labels: a.Labels.Map(), Annotations: a.Annotations.Map(), Value: a.Value,
		Since: a.ActiveAt.UTC(), Fired: a.FiredAt.UTC(), Resolved: a.ResolvedAt.UTC(),
	}
}

// memoryGroups hands rules to the manager, which asks for files.
type memoryGroups struct {
	parser parser.Parser
	mu     sync.Mutex
	groups []RuleGroup
}

const memoryFile = "rules"

func (m *memoryGroups) set(groups []RuleGroup) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.groups = slices.Clone(groups)
}

func (m *memoryGroups) get() []RuleGroup {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.groups
}

// Load and Parse are what the manager asks a loader for.
func (m *memoryGroups) Load(string, bool, model.ValidationScheme) (*rulefmt.RuleGroups, []error) {
	out := &rulefmt.RuleGroups{}
	for _, g := range m.get() {
		out.Groups = append(out.Groups, g.format())
	}
	return out, nil
}

func (m *memoryGroups) Parse(query string) (parser.Expr, error) { //nolint:ireturn // the manager asks for it
	return m.parser.ParseExpr(query)
}

func (g RuleGroup) format() rulefmt.RuleGroup {
	out := rulefmt.RuleGroup{Name: g.Name, Interval: model.Duration(g.Interval)}
	for _, r := range g.Rules {
		out.Rules = append(out.Rules, r.format())
	}
	return out
}

func (r Rule) format() rulefmt.Rule {
	return rulefmt.Rule{
		Record: r.Record, Alert: r.Alert, Expr: strings.TrimSpace(r.Expr), For: model.Duration(r.For), KeepFiringFor: model.Duration(r.KeepFiringFor),
		Labels: r.Labels, Annotations: r.Annotations,
	}
}

// ParseDuration reads a duration as PromQL writes it: 30s, 5m, 1h30m, 30d.
func ParseDuration(text string) (time.Duration, error) {
	d, err := model.ParseDuration(text)
	return time.Duration(d), err
}

// FormatDuration writes a duration as ParseDuration reads it.
func FormatDuration(d time.Duration) string { return model.Duration(d).String() }
