package names_test

import (
	"flag"
	"os"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"

	"github.com/gowarren/warren/internal/names"
)

var write = flag.Bool("write", false, "write the tables into docs/signals.md")

func register(t *testing.T) *names.Register {
	t.Helper()
	r, err := names.Load()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestSignalsAreTold: docs/signals.md holds the register as it is.
func TestSignalsAreTold(t *testing.T) {
	const document, begin, end = "../../docs/signals.md", "<!-- names -->\n", "<!-- /names -->\n"
	data, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(data), begin)
	now, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatalf("%s has no place for the tables", document)
	}
	want := register(t).Markdown()
	if now == want {
		return
	}
	if !*write {
		t.Fatalf("%s is not what internal/names/names.yaml says; write it by: go test ./internal/names -run Told -write", document)
	}
	if err := os.WriteFile(document, []byte(before+begin+want+end+after), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestRegisterIsWhole(t *testing.T) {
	r, seen := register(t), map[string]bool{}
	for _, m := range r.Metrics {
		switch {
		case seen[m.Name]:
			t.Errorf("%s is there twice", m.Name)
		case m.Help == "" || m.By == "":
			t.Errorf("%s: nothing says what it means, or where it comes from", m.Name)
		case (m.Kind == "counter") != strings.HasSuffix(m.Name, "_total"):
			t.Errorf("%s is a %s: counters, and they alone, end in _total", m.Name, m.Kind)
		case m.Kind != "counter" && m.Kind != "gauge" && m.Kind != "histogram":
			t.Errorf("%s: there is no kind %q", m.Name, m.Kind)
		}
		seen[m.Name] = true
		for label, values := range m.Labels {
			general, known := r.Labels[label]
			if len(values) == 0 && (!known || len(general.Values) == 0 && general.Bound == "") {
				t.Errorf("%s: nothing bounds the label %s", m.Name, label)
			}
		}
	}
}

func TestCheck(t *testing.T) {
	r := register(t)
	series := func(name string, kind dto.MetricType, labels ...string) *dto.MetricFamily {
		m := &dto.Metric{}
		for i := 0; i < len(labels); i += 2 {
			m.Label = append(m.Label, &dto.LabelPair{Name: &labels[i], Value: &labels[i+1]})
		}
		return &dto.MetricFamily{Name: new(name), Type: kind.Enum(), Metric: []*dto.Metric{m}}
	}
	for problem, f := range map[string]*dto.MetricFamily{
		"":                            series("warren_rpc_panics_total", dto.MetricType_COUNTER, "rpc_method", "shop.catalog.v1.CatalogService/GetProduct"),
		"is not in the register":      series("warren_rpc_surprises_total", dto.MetricType_COUNTER),
		"the register says counter":   series("warren_rpc_panics_total", dto.MetricType_GAUGE),
		"does not know the label":     series("warren_rpc_panics_total", dto.MetricType_COUNTER, "user", "7"),
		"does not list the value":     series("warren_rpc_shed_total", dto.MetricType_COUNTER, "priority", "highest"),
		"it looks like one of ever m": series("http_server_request_duration_seconds", dto.MetricType_HISTOGRAM, "http_route", "/v1/products/0197a1b2c3d4e5f6"),
		"it looks like one of ever":   series("http_server_request_duration_seconds", dto.MetricType_HISTOGRAM, "http_route", "/v1/orders/01K9ZS3V7Q8W2N4B6M8X0C1D2E"),
		"it looks like one of":        series("http_server_request_duration_seconds", dto.MetricType_HISTOGRAM, "http_route", "/v1/users/alice@example.com"),
	} {
		wrong := strings.Join(r.Check([]*dto.MetricFamily{f}), "\n")
		if problem == "" && wrong != "" || !strings.Contains(wrong, problem) {
			t.Errorf("got %q, want %q", wrong, problem)
		}
	}
}
