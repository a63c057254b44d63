package export

import (
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/gowarren/warren/internal/metricstore"
)

// Rules as Prometheus' rule files have them.
type (
	ruleFile struct {
		Groups []ruleGroup `yaml:"groups"`
	}
	ruleGroup struct {
		Name     string `yaml:"name"`
		Interval string `yaml:"interval,omitempty"`
		Rules    []rule `yaml:"rules"`
	}
	rule struct {
		Record        string            `yaml:"record,omitempty"`
		Alert         string            `yaml:"alert,omitempty"`
		Expr          string            `yaml:"expr"`
		For           string            `yaml:"for,omitempty"`
		KeepFiringFor string            `yaml:"keep_firing_for,omitempty"`
		Labels        map[string]string `yaml:"labels,omitempty"`
		Annotations   map[string]string `yaml:"annotations,omitempty"`
	}
)

const written = "# Written by: warren export observability\n"

// ruleFiles makes one file of the objectives' rules, which record what they
// alert on, and one of all other alerts.
func ruleFiles(o Options) ([]File, error) {
	var slos, alerts ruleFile
	for _, g := range o.Rules {
		if len(g.Rules) == 0 {
			continue
		}
		to := &alerts
		if strings.HasPrefix(g.Name, "slo-") {
			to = &slos
		}
		to.Groups = append(to.Groups, o.group(g))
	}
	var out []File
	for name, file := range map[string]ruleFile{"prometheus/rules/slos.yml": slos, "prometheus/rules/alerts.yml": alerts} {
		text, err := yaml.Marshal(file)
		if err != nil {
			return nil, fmt.Errorf("export rules: %w", err)
		}
		out = append(out, File{Name: name, Text: append([]byte(written), text...)})
	}
	return out, nil
}

func (o Options) group(g metricstore.RuleGroup) ruleGroup {
	out := ruleGroup{Name: g.Name, Interval: duration(g.Interval)}
	for _, r := range g.Rules {
		out.Rules = append(out.Rules, rule{
			Record: r.Record, Alert: r.Alert, Expr: r.Expr, For: duration(r.For), KeepFiringFor: duration(r.KeepFiringFor),
			Labels: r.Labels, Annotations: o.annotations(r.Annotations),
		})
	}
	return out
}

// annotations lead from an alert to its page also where the repository isn't.
func (o Options) annotations(all map[string]string) map[string]string {
	const page, key = "docs/alerts.md", "runbook_url"
	section, ours := strings.CutPrefix(all[key], page)
	if o.Runbooks == "" || !ours {
		return all
	}
	out := maps.Clone(all)
	out[key] = o.Runbooks + section
	return out
}

// duration writes a duration as Prometheus reads it; none is left out of a file.
func duration(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return metricstore.FormatDuration(d)
}

// ScrapeText and EvaluateText are the intervals as Prometheus reads them, and
// TimeoutText how long a scrape may take.
func (o Options) ScrapeText() string { return duration(o.Scrape) }

// EvaluateText is how often rules are evaluated.
func (o Options) EvaluateText() string { return duration(o.Evaluate) }

// TimeoutText is how long a scrape may take: no longer than from one to the next.
func (o Options) TimeoutText() string {
	const most = 4 * time.Second
	return duration(min(most, o.Scrape))
}
