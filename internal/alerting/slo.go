package alerting

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gowarren/warren/internal/metricstore"
)

// Objective is an SLO: which share of events shall be good over a period.
type Objective struct {
	Name, Description string
	Service           string
	Target            float64 // 0.999
	// Period is what the error budget is for; 0: the one that holds for all.
	Period time.Duration
	// Bad and All are rates of events in PromQL, of which the range is written
	// {window}.
	Bad, All string
	// MinEvents is how many events the long window of an alert needs: a share of
	// a handful says nothing.
	MinEvents float64
	Runbook   string
	Source    string
}

const (
	severityLabel = "severity"
	windowPlace   = "{window}"
	// defaultPeriod is the period of objectives that name none.
	defaultPeriod = 30 * 24 * time.Hour
	// defaultMinEvents is MinEvents where nobody says otherwise.
	defaultMinEvents = 30
)

// burnWindow is one pair of windows: an alert wants the budget to burn this
// fast over both, the long one to be sure and the short one to end soon.
type burnWindow struct {
	long, short time.Duration
	rate        float64
	severity    string
}

// standard is the table for a period of 30 days; the Google SRE workbook gives
// the reasons for its numbers.
func standard() []burnWindow {
	return []burnWindow{
		{long: time.Hour, short: 5 * time.Minute, rate: 14.4, severity: Page},
		{long: 6 * time.Hour, short: 30 * time.Minute, rate: 6, severity: Page},
		{long: 24 * time.Hour, short: 2 * time.Hour, rate: 3, severity: Ticket},
		{long: 3 * 24 * time.Hour, short: 6 * time.Hour, rate: 1, severity: Ticket},
	}
}

// windows scales the table to a period. A window is not shorter than a few
// scrapes: a rate needs two samples, and one more for the one that was late.
func windows(period, scrape time.Duration) []burnWindow {
	const shortest, longer = 4, 3
	out := standard()
	for n := range out {
		scaled := func(d time.Duration) time.Duration {
			return (time.Duration(float64(d) * float64(period) / float64(defaultPeriod))).Truncate(time.Second)
		}
		w := &out[n]
		w.short = max(scaled(w.short), shortest*scrape)
		w.long = max(scaled(w.long), longer*w.short)
	}
	return out
}

// defaultObjectives are kept by every system that has a gateway.
func defaultObjectives() []Objective {
	const requests = `http_server_request_duration_seconds`
	return []Objective{
		{
			Name: "availability", Description: "Requests at the gateway are not answered with a status of 500 and more.", Service: "gateway",
			Target: 0.999, Source: own,
			Bad: `sum(rate(` + requests + `_count{` + AtGateway + `,` + FaultyRequests + `}[{window}]))`,
			All: `sum(rate(` + requests + `_count{` + AtGateway + `}[{window}]))`,
		},
		{
			Name: "latency", Description: "Requests at the gateway are answered within half a second.", Service: "gateway",
			Target: 0.95, Source: own,
			Bad: `sum(rate(` + requests + `_count{` + AtGateway + `}[{window}])) - sum(rate(` + requests + `_bucket{` + AtGateway + `,le="0.5"}[{window}]))`,
			All: `sum(rate(` + requests + `_count{` + AtGateway + `}[{window}]))`,
		},
		{
			Name: "transactions", Description: "Transactions come to an end without an operator.", Service: "coordinator", Target: 0.999, Source: own,
			Bad: `sum(rate(warren_txn_parked_total[{window}]))`, All: `sum(rate(warren_txn_begun_total[{window}]))`,
		},
	}
}

// names of the recorded series; all have the label slo.
const (
	badRate    = "slo:bad_events:rate"
	allRate    = "slo:events:rate"
	errorRatio = "slo:error_ratio" // with the label window
)

// Timing is how often things happen that rules must know of.
type Timing struct {
	Period           time.Duration // of objectives that name none
	Scrape, Evaluate time.Duration
}

// group makes an objective's rules: the rates are recorded once, what the
// longer windows hold is added up from that.
func (o Objective) group(t Timing) metricstore.RuleGroup {
	pairs := windows(o.period(t), t.Scrape)
	base := pairs[0].short
	interval := max(t.Evaluate, min(30*time.Second, (base/10).Truncate(time.Second)))
	g := metricstore.RuleGroup{Name: "slo-" + o.Name, Interval: interval}
	record := func(name, expr string, more map[string]string) {
		g.Rules = append(g.Rules, metricstore.Rule{Record: name, Expr: expr, Labels: o.labels(more)})
	}
	all, bad := o.over(o.All, base), o.over(o.Bad, base)
	record(allRate, all, nil)
	// Nothing bad has no series as long as nothing bad ever happened.
	record(badRate, "("+bad+") or 0 * ("+all+")", nil)
	for _, w := range spans(pairs) {
		length := metricstore.FormatDuration(w)
		expr := fmt.Sprintf("sum_over_time(%[1]s%[3]s[%[4]s]) / sum_over_time(%[2]s%[3]s[%[4]s])", badRate, allRate, o.selector(nil), length)
		if w == base {
			expr = badRate + o.selector(nil) + " / " + allRate + o.selector(nil)
		}
		record(errorRatio, expr, map[string]string{"window": length})
	}
	for _, severity := range []string{Page, Ticket} {
		g.Rules = append(g.Rules, o.alert(severity, pairs, interval))
	}
	return g
}

// Burning are the alerts of objectives.
const (
	burningFast = "ErrorBudgetBurnsFast"
	burningSlow = "ErrorBudgetBurnsSlowly"
)

func (o Objective) alert(severity string, pairs []burnWindow, interval time.Duration) metricstore.Rule {
	name := burningFast
	if severity == Ticket {
		name = burningSlow
	}
	var pairsOf []string
	for _, p := range pairs {
		if p.severity != severity {
			continue
		}
		threshold := strconv.FormatFloat(o.threshold(p.rate), 'g', 6, 64)
		pairsOf = append(pairsOf, fmt.Sprintf("(%s > %s and ignoring (window) %s > %s and ignoring (window) sum_over_time(%s[%s]) * %g >= %g)",
			errorRatio+o.selector(map[string]string{"window": metricstore.FormatDuration(p.long)}), threshold,
			errorRatio+o.selector(map[string]string{"window": metricstore.FormatDuration(p.short)}), threshold,
			allRate+o.selector(nil), metricstore.FormatDuration(p.long), interval.Seconds(), o.minEvents()))
	}
	runbook := o.Runbook
	if runbook == "" {
		runbook = runbooks + strings.ToLower(name)
	}
	return metricstore.Rule{
		// It is one alert, whichever windows see it: the longer ones see it for longer,
		// and nobody is to be woken by them when it is over.
		Alert: name, Expr: "max without (window) (" + strings.Join(pairsOf, " or ignoring (window) ") + ")",
		Labels: o.labels(map[string]string{severityLabel: severity}),
		Annotations: map[string]string{
			"summary": "The error budget of " + o.Name + " burns",
			"description": "{{ $value | humanizePercentage }} of the latest events were bad, of which " +
				strconv.FormatFloat((1-o.Target)*100, 'g', 4, 64) + " % are allowed. " + o.Description,
			"runbook_url": runbook,
		},
	}
}

// threshold is the share of bad events at which the budget burns at a rate. A
// low target allows so many that none would reach it: then it is nearly all.
func (o Objective) threshold(rate float64) float64 { return min(rate*(1-o.Target), mostBad) }

const mostBad = 0.95

func (o Objective) period(t Timing) time.Duration {
	switch {
	case o.Period > 0:
		return o.Period
	case t.Period > 0:
		return t.Period
	}
	return defaultPeriod
}

func (o Objective) minEvents() float64 {
	if o.MinEvents > 0 {
		return o.MinEvents
	}
	return defaultMinEvents
}

func (o Objective) over(expr string, w time.Duration) string {
	return strings.ReplaceAll(expr, windowPlace, metricstore.FormatDuration(w))
}

func (o Objective) labels(more map[string]string) map[string]string {
	out := map[string]string{"slo": o.Name}
	if o.Service != "" {
		out["service"] = o.Service
	}
	maps.Copy(out, more)
	return out
}

func (o Objective) selector(more map[string]string) string {
	all := map[string]string{"slo": o.Name}
	maps.Copy(all, more)
	parts := make([]string, 0, len(all))
	for _, name := range sortedKeys(all) {
		parts = append(parts, name+"="+strconv.Quote(all[name]))
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// spans are all windows, each once, the shortest first.
func spans(pairs []burnWindow) []time.Duration {
	var out []time.Duration
	for _, p := range pairs {
		out = append(out, p.short, p.long)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
