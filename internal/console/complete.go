package console

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	"github.com/gowarren/warren/internal/console/frame"
)

// completion is what may stand in place of what was typed last.
type completion struct {
	Typed   string   `json:"typed"`
	Options []option `json:"options"`
}

type option struct {
	Text string `json:"text"`
	// Insert is what is written; empty: the text.
	Insert string `json:"insert,omitempty"`
	// Kind is "metric", "function", "aggregation", "keyword", "label", "value" or
	// "time".
	Kind string `json:"kind"`
	Help string `json:"help,omitempty"`
}

// mostOptions bounds a list that people read.
const mostOptions = 40

// complete tells what may stand where somebody types: behind before, within
// query.
func (s *screens) complete(r *frame.Request) (any, error) {
	p := placeAt(r.Get("before"))
	out := &completion{Typed: p.typed, Options: []option{}}
	var err error
	switch p.want {
	case wantExpression:
		err = s.expressions(r, out)
	case wantLabel:
		err = s.labelNames(r, cmp.Or(p.metric, ""), out)
	case wantValue:
		err = s.labelValues(r, p, out)
	case wantTime:
		for _, one := range []string{"30s", "1m", "5m", "15m", "30m", "1h", "6h", "1d", "7d"} {
			if strings.HasPrefix(one, p.typed) {
				out.Options = append(out.Options, option{Text: one, Kind: "time"})
			}
		}
	}
	out.Options = out.Options[:min(mostOptions, len(out.Options))]
	return out, err
}

// expressions are metrics, functions and words of the language. What begins as
// it was typed comes before what contains it.
func (s *screens) expressions(r *frame.Request, out *completion) error {
	meta, err := s.metrics.Metadata(r.Context(), &observev1.MetadataRequest{})
	if err != nil {
		return err
	}
	names, err := s.metrics.LabelValues(r.Context(), &observev1.LabelValuesRequest{Label: "__name__", Contains: out.Typed, Limit: 10 * mostOptions})
	if err != nil {
		return err
	}
	help := map[string]string{}
	for _, m := range meta.GetMetrics() {
		help[m.GetName()] = strings.TrimSuffix(m.GetType()+": "+m.GetHelp(), ": ")
	}
	for _, name := range names.GetValues() {
		out.Options = append(out.Options, option{Text: name, Kind: "metric", Help: helpOf(help, name)})
	}
	typed := strings.ToLower(out.Typed)
	for _, w := range promWords() {
		if strings.Contains(w.Text, typed) {
			out.Options = append(out.Options, w)
		}
	}
	slices.SortStableFunc(out.Options, func(a, b option) int {
		return cmp.Compare(farFrom(a.Text, typed), farFrom(b.Text, typed))
	})
	return nil
}

func farFrom(text, typed string) int {
	at := strings.Index(strings.ToLower(text), typed)
	if at > 0 {
		return 1
	}
	return at
}

// helpOf is what is known of a series: histograms have several.
func helpOf(help map[string]string, name string) string {
	if text := help[name]; text != "" {
		return text
	}
	for _, end := range []string{"_bucket", "_count", "_sum"} {
		if base, ok := strings.CutSuffix(name, end); ok && help[base] != "" {
			return help[base]
		}
	}
	return ""
}

// labelNames are those of the metric, else of all that the query names.
func (s *screens) labelNames(r *frame.Request, metric string, out *completion) error {
	request := &observev1.LabelNamesRequest{}
	for _, name := range metricsIn(cmp.Or(metric, r.Get("query"))) {
		request.Selectors = append(request.Selectors, selectorOf(name))
	}
	found, err := s.metrics.LabelNames(r.Context(), request)
	if err != nil {
		return err
	}
	for _, name := range found.GetNames() {
		if name != "__name__" && strings.Contains(strings.ToLower(name), strings.ToLower(out.Typed)) {
			out.Options = append(out.Options, option{Text: name, Kind: "label"})
		}
	}
	return nil
}

func (s *screens) labelValues(r *frame.Request, p place, out *completion) error {
	request := &observev1.LabelValuesRequest{Label: p.label, Contains: out.Typed, Limit: mostOptions}
	if p.metric != "" {
		request.Selectors = []string{selectorOf(p.metric)}
	}
	found, err := s.metrics.LabelValues(r.Context(), request)
	if err != nil {
		return err
	}
	for _, value := range found.GetValues() {
		quoted := strconv.Quote(value)
		out.Options = append(out.Options, option{Text: value, Insert: quoted[1 : len(quoted)-1], Kind: "value"})
	}
	return nil
}

func selectorOf(metric string) string { return "{__name__=" + strconv.Quote(metric) + "}" }
