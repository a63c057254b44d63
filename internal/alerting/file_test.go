package alerting_test

import (
	"strings"
	"testing"
	"time"

	"github.com/gowarren/warren/internal/alerting"
	"github.com/gowarren/warren/internal/metricstore"
)

func TestFileMistakes(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"unknown field", "alert: {}\n", `unknown field "alert"`},
		{"expression", "alerts: {Bad: {expr: 'sum(up', severity: page, summary: s}}\n", "alerts.yaml: rule Bad: "},
		{"template", "alerts: {Bad: {expr: up, severity: page, summary: '{{ .x'}}\n", "rule Bad: "},
		{"severity", "alerts: {Bad: {expr: up, severity: critical, summary: s}}\n", `alerts.Bad.severity: is "critical"; it is page, ticket, info or none`},
		{"no summary", "alerts: {Bad: {expr: up, severity: page}}\n", "alerts.Bad: has no expr or no summary"},
		{"name", "alerts: {bad name: {expr: up, severity: page, summary: s}}\n", "alerts.bad name: use letters and digits"},
		{"duration", "alerts: {Bad: {expr: up, severity: page, summary: s, for: long}}\n", `alerts.Bad.for: "long" is not a duration`},
		{"objective", "slos: {x: {objective: 99.9, bad: 'a[{window}]', all: 'a[{window}]'}}\n", "slos.x.objective: is 99.9; it is a share between 0 and 1"},
		{"window", "slos: {x: {objective: 0.9, bad: 'rate(a[5m])', all: 'rate(a[{window}])'}}\n", "slos.x.bad: is a rate over [{window}]"},
		{"expression of an objective", "slos: {x: {objective: 0.9, bad: 'sum(rate(a[{window}])', all: 'sum(rate(a[{window}]))'}}\n", "rule slos.x.bad: "},
		{"receiver", "receivers: {r: {}}\n", "receivers.r: needs one of webhook, email and alertmanager"},
		{"two receivers", "receivers: {r: {webhook: 'http://a', alertmanager: 'http://b'}}\n", "receivers.r: needs one of"},
		{"address", "receivers: {r: {webhook: 'chat'}}\n", "receivers.r.webhook: is no http or https URL"},
		{"secret", "receivers: {r: {webhook: 'http://a/${GONE}'}}\n", "receivers.r.webhook: the variable GONE is not set"},
		{"mail", "receivers: {r: {email: {from: a}}}\n", "receivers.r.email: needs server (host:port), from and to"},
		{"off", "off: [HighLatancy]\n", "off: there is no alert or objective HighLatancy"},
		{"period", "period: month\n", `period: "month" is not a duration`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := alerting.Parse("alerts.yaml", []byte(test.text), func(string) string { return "" })
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q in it", err, test.want)
			}
		})
	}
}

func TestFile(t *testing.T) {
	c, err := alerting.Parse("alerts.yaml", []byte(`
period: 7d
slos:
  availability: {objective: 0.99, bad: 'sum(rate(a[{window}]))', all: 'sum(rate(b[{window}]))', period: 1h}
alerts:
  HighLatency: {expr: up > 2, severity: info, summary: s, for: 1m, labels: {team: a}}
receivers:
  a: {webhook: "https://x/${TOKEN}", repeat: 1h, severities: [page]}
off: [Watchdog, latency]
`), func(name string) string { return "secret-" + name })
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Receivers) != 1 || c.Receivers[0].Kind != alerting.KindWebhook || c.Receivers[0].Repeat != time.Hour {
		t.Errorf("receivers: %+v", c.Receivers)
	}
	var names []string
	for _, o := range c.All() {
		names = append(names, o.Name)
	}
	if got := strings.Join(names, " "); got != "transactions availability" {
		t.Errorf("objectives: %s", got)
	}
	alerts := map[string]string{}
	for _, g := range c.Rules(alerting.Timing{Scrape: time.Second, Evaluate: time.Second}) {
		for _, r := range g.Rules {
			if r.Alert != "" && !strings.HasPrefix(r.Alert, "ErrorBudget") {
				if alerts[r.Alert] != "" {
					t.Errorf("%s is there twice", r.Alert)
				}
				alerts[r.Alert] = r.Expr
			}
		}
	}
	if alerts["HighLatency"] != "up > 2" || alerts["Watchdog"] != "" || alerts["InstanceDown"] == "" {
		t.Errorf("alerts: %v", alerts)
	}
}

func TestShopsFile(t *testing.T) {
	c, err := alerting.Load("../..")
	if err != nil || len(c.Objectives) == 0 {
		t.Fatalf("the shop's alerts: %+v, %v", c, err)
	}
	if err := metricstore.CheckRules(c.Rules(alerting.Timing{Scrape: time.Second, Evaluate: time.Second})); err != nil {
		t.Error(err)
	}
}

func TestEmptyFile(t *testing.T) {
	for _, text := range []string{"", "# nothing\n"} {
		if c, err := alerting.Parse("alerts.yaml", []byte(text), nil); err != nil || len(c.All()) != 3 {
			t.Errorf("%q: %v, %v", text, c, err)
		}
	}
}

func TestMatchers(t *testing.T) {
	for _, text := range []string{"a=b", "a!=b", "a=~b.*", "a!~b|c", "a="} {
		m, err := alerting.ParseMatcher(text)
		if err != nil || m.String() != text {
			t.Errorf("%s: %s, %v", text, m, err)
		}
	}
	for _, text := range []string{"", "a", "=b", "a=~(", "a!b"} {
		if m, err := alerting.ParseMatcher(text); err == nil {
			t.Errorf("%q was read as %s", text, m)
		}
	}
}
