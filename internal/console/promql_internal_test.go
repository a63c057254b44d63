package console

import (
	"slices"
	"strings"
	"testing"
)

// TestPlaces stops in the middle of queries, as people do.
func TestPlaces(t *testing.T) {
	for before, want := range map[string]place{
		"":                                     {want: wantExpression},
		"rpc_ser":                              {want: wantExpression, typed: "rpc_ser"},
		"sum by (service) (ra":                 {want: wantExpression, typed: "ra"},
		"sum(rate(x[1m])) / s":                 {want: wantExpression, typed: "s"},
		"sum by (":                             {want: wantLabel},
		"sum by (service, inst":                {want: wantLabel, typed: "inst"},
		"sum(x) without(":                      {want: wantLabel},
		"a * on (instance) group_left (ver":    {want: wantLabel, typed: "ver"},
		"up{":                                  {want: wantLabel, metric: "up"},
		"up{service=\"a\", ver":                {want: wantLabel, typed: "ver", metric: "up"},
		"rate(up{service=\"":                   {want: wantValue, metric: "up", label: "service"},
		"up{a=\"b,c\", service=~\"cata|ord":    {want: wantValue, typed: "cata|ord", metric: "up", label: "service"},
		"up{service!=\"ca":                     {want: wantValue, typed: "ca", metric: "up", label: "service"},
		"{__name__=\"u":                        {want: wantValue, typed: "u", label: "__name__"},
		"up{service=\"a\\\"b":                  {want: wantValue, typed: "a\\\"b", metric: "up", label: "service"},
		"rate(up[":                             {want: wantTime},
		"rate(up[5":                            {want: wantTime, typed: "5"},
		"up{service":                           {want: wantLabel, typed: "service", metric: "up"},
		"up{service=":                          {},
		"rate(up[1m])":                         {},
		"sum(up) ":                             {},
		"up > 12":                              {},
		"label_replace(up, \"a":                {},
		"sum by (service":                      {want: wantLabel, typed: "service"},
		"rate(up{service=\"a\"}[1m]) ) ) } re": {want: wantExpression, typed: "re"},
	} {
		if got := placeAt(before); got != want {
			t.Errorf("%s|: %+v, want %+v", before, got, want)
		}
	}
}

func TestMetricsIn(t *testing.T) {
	for query, want := range map[string]string{
		"sum by (service) (rate(rpc_a_total{service=\"b_total\"}[5m]))": "rpc_a_total",
		"a / on (x) b * 2":                  "a,b",
		"histogram_quantile(0.9, c_bucket)": "c_bucket",
		"":                                  "",
	} {
		if got := strings.Join(metricsIn(query), ","); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
}

// TestWordsAreOnce keeps the list of words free of repeats.
func TestWordsAreOnce(t *testing.T) {
	var seen []string
	for _, w := range promWords() {
		if slices.Contains(seen, w.Text) || w.Text == "" || w.Kind == "" {
			t.Errorf("%+v", w)
		}
		seen = append(seen, w.Text)
	}
}
