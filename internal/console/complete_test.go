package console_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"testing"

	"github.com/gowarren/warren/internal/console"
)

// TestComplete asks what may stand at places of a query.
func TestComplete(t *testing.T) {
	c := newWorld().serve(t, console.Options{})
	for _, q := range []struct {
		before, query, typed string
		first                string // the option that comes first
		has, lacks           []string
	}{
		{"gorou", "gorou", "gorou", "go_goroutines", nil, []string{"rate"}},
		{"ra", "ra", "ra", "rate", []string{"irate", "rpc_server_call_duration_seconds_count"}, nil},
		{"sum by (", "sum by () (rpc_server_call_duration_seconds_count)", "", "environment", []string{"rpc_method", "service"}, []string{"__name__", "rate"}},
		{"sum by (", "sum by (", "", "environment", []string{"service"}, nil},
		{"go_goroutines{", "go_goroutines{", "", "environment", []string{"service"}, []string{"rpc_method"}},
		{`go_goroutines{service="`, `go_goroutines{service=""}`, "", "catalog", []string{"payment"}, nil},
		{`go_goroutines{service="pay`, `go_goroutines{service="pay"}`, "pay", "payment", nil, []string{"catalog"}},
		{"rate(x[1", "rate(x[1", "1", "1m", []string{"15m"}, []string{"5m"}},
		{"x > 1", "x > 1", "", "", nil, []string{"rate"}},
	} {
		resp, body := get(t, "http://"+c.Address()+"/metrics/complete?"+url.Values{"before": {q.before}, "query": {q.query}}.Encode())
		var got struct {
			Typed   string
			Options []struct{ Text, Kind, Help string }
		}
		if err := json.Unmarshal([]byte(body), &got); err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s, %v in %s", q.before, resp.Status, err, body)
		}
		var texts []string
		for _, o := range got.Options {
			texts = append(texts, o.Text)
		}
		if got.Typed != q.typed || q.first != "" && (len(texts) == 0 || texts[0] != q.first) {
			t.Errorf("%s: typed %q, %v", q.before, got.Typed, texts)
		}
		for _, want := range q.has {
			if !slices.Contains(texts, want) {
				t.Errorf("%s: no %s in %v", q.before, want, texts)
			}
		}
		for _, no := range q.lacks {
			if slices.Contains(texts, no) {
				t.Errorf("%s: %s in %v", q.before, no, texts)
			}
		}
	}
	without := newWorld().serve(t, console.Options{}, "observe")
	if resp, _ := get(t, "http://"+without.Address()+"/metrics/complete?before=a"); resp.StatusCode != http.StatusNotImplemented {
		t.Errorf("without metrics: %s", resp.Status)
	}
}
