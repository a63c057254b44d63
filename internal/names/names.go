// Package names holds the register of all names under which Warren and the shop
// tell what they do: metrics with their labels, spans, attributes and the keys of
// log lines. It is what docs/signals.md is written from and what the code is held
// to by tests; no program needs it to run.
package names

import (
	_ "embed"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	dto "github.com/prometheus/client_model/go"
)

//go:embed names.yaml
var text []byte

// Register is all there is.
type Register struct {
	Labels     map[string]Label `yaml:"labels"`
	Metrics    []Metric         `yaml:"metrics"`
	Spans      []Span           `yaml:"spans"`
	Attributes []Word           `yaml:"attributes"`
	Logs       []Word           `yaml:"logs"`
}

// Label says what keeps the number of a label's values small: a list of them, or
// something that is bounded itself.
type Label struct {
	Values []string `yaml:"values"`
	Bound  string   `yaml:"bound"`
}

// Metric is a family of metrics. Its labels have the values that it lists, or
// those of the register.
type Metric struct {
	Name   string              `yaml:"name"`
	Kind   string              `yaml:"kind"` // counter, gauge or histogram
	By     string              `yaml:"by"`   // the package that it comes from
	Help   string              `yaml:"help"`
	Labels map[string][]string `yaml:"labels"`
}

// Span is a kind of spans, under the name of one of them.
type Span struct {
	Name       string   `yaml:"name"`
	Kind       string   `yaml:"kind"`
	By         string   `yaml:"by"`
	Help       string   `yaml:"help"`
	Attributes []string `yaml:"attributes"`
}

// Word is an attribute of spans or a key of log lines.
type Word struct {
	Name string `yaml:"name"`
	Help string `yaml:"help"`
}

// Load reads the register.
func Load() (*Register, error) {
	var r Register
	if err := yaml.UnmarshalWithOptions(text, &r, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("read register of names: %w", err)
	}
	return &r, nil
}

// Metric returns a family by its name.
func (r *Register) Metric(name string) (Metric, bool) {
	i := slices.IndexFunc(r.Metrics, func(m Metric) bool { return m.Name == name })
	if i < 0 {
		return Metric{}, false
	}
	return r.Metrics[i], true
}

// Check says what of a process's metrics is not as the register has it: families
// and labels that it does not know, values that it does not list, and values that
// look as if there were ever more of them.
func (r *Register) Check(families []*dto.MetricFamily) (wrong []string) {
	for _, f := range families {
		name := f.GetName()
		if strings.HasPrefix(name, "go_") || strings.HasPrefix(name, "process_") {
			continue // the collectors of client_golang
		}
		m, known := r.Metric(name)
		if !known {
			wrong = append(wrong, name+" is not in the register")
			continue
		}
		if kind := strings.ToLower(f.GetType().String()); kind != m.Kind {
			wrong = append(wrong, fmt.Sprintf("%s is a %s; the register says %s", name, kind, m.Kind))
		}
		for _, series := range f.GetMetric() {
			for _, l := range series.GetLabel() {
				if problem := r.checkLabel(m, l.GetName(), l.GetValue()); problem != "" {
					wrong = append(wrong, fmt.Sprintf("%s{%s=%q}: %s", name, l.GetName(), l.GetValue(), problem))
				}
			}
		}
	}
	slices.Sort(wrong)
	return slices.Compact(wrong)
}

func (r *Register) checkLabel(m Metric, label, value string) string {
	values, known := m.Labels[label]
	switch general := r.Labels[label]; {
	case !known:
		return "the register does not know the label"
	case value == "":
	case len(values) > 0 && !slices.Contains(values, value), len(values) == 0 && len(general.Values) > 0 && !slices.Contains(general.Values, value):
		return "the register does not list the value"
	case len(values) == 0 && len(general.Values) == 0 && label != "service_instance_id" && looksUnbounded(value):
		return "it looks like one of ever more"
	}
	return ""
}

// unbounded is what ids, addresses and people look like: many hexadecimal digits,
// the letters of ULIDs and random texts, numbers of five digits, e-mail addresses.
var unbounded = regexp.MustCompile(`(?i)[0-9a-f]{8}-[0-9a-f]{4}|[0-9a-f]{12}|\b(?:[0-9]+[A-Z]|[A-Z]+[0-9])[0-9A-Z]{18}|` +
	`[0-9]{5}|[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+|@[a-z]`)

func looksUnbounded(value string) bool { return unbounded.MatchString(value) }
