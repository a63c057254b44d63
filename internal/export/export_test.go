package export_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	prom "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/gowarren/warren/internal/alerting"
	"github.com/gowarren/warren/internal/export"
	"github.com/gowarren/warren/internal/metricstore"
	"github.com/gowarren/warren/internal/names"
)

func options(t *testing.T) export.Options {
	t.Helper()
	alerts, err := alerting.Load("../..") // the shop's
	if err != nil {
		t.Fatal(err)
	}
	limits := metricstore.DefaultLimits()
	return export.Options{
		System: "shop", Environment: "local", Discovery: "http://127.0.0.1:7071/sd", Data: "/srv/shop/.warren",
		Rules:  alerts.Rules(alerting.Timing{Scrape: limits.ScrapeInterval, Evaluate: limits.EvaluationInterval}),
		Scrape: limits.ScrapeInterval, Evaluate: limits.EvaluationInterval, SampleLimit: limits.SampleLimit,
	}
}

func files(t *testing.T) map[string]string {
	t.Helper()
	all, err := export.Files(options(t))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, f := range all {
		out[f.Name] = string(f.Text)
	}
	return out
}

// dashboard is what the tests look at of one.
type dashboard struct {
	UID        string
	Templating struct {
		List []struct{ Name, Type, Query string }
	}
	Annotations struct {
		List []struct{ Expr string }
	}
	Panels []struct {
		ID      int
		Type    string
		Title   string
		GridPos struct{ X, Y, W, H int }
		Targets []struct {
			RefID, Expr string
			Datasource  struct{ UID string }
		}
	}
}

func dashboards(t *testing.T) map[string]dashboard {
	t.Helper()
	out := map[string]dashboard{}
	for name, text := range files(t) {
		if !strings.HasPrefix(name, "grafana/dashboards/") {
			continue
		}
		var d dashboard
		if err := json.Unmarshal([]byte(text), &d); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		out[name] = d
	}
	if len(out) < 4 {
		t.Fatalf("there are %d dashboards", len(out))
	}
	return out
}

// TestDashboardsAreWhole: what Grafana would show in the wrong place, or not at
// all, it doesn't tell.
func TestDashboardsAreWhole(t *testing.T) {
	uids := map[string]bool{}
	for name, d := range dashboards(t) {
		if uids[d.UID] || d.UID == "" {
			t.Errorf("%s has the uid %q of another, or none", name, d.UID)
		}
		uids[d.UID] = true
		if v := d.Templating.List; len(v) == 0 || v[0].Name != "datasource" || v[0].Type != "datasource" || v[0].Query != "prometheus" {
			t.Errorf("%s: nobody can choose the data source: %+v", name, v)
		}
		ids, taken := map[int]bool{}, map[[2]int]string{}
		for _, p := range d.Panels {
			if ids[p.ID] {
				t.Errorf("%s: %s has the id of another", name, p.Title)
			}
			ids[p.ID] = true
			if p.GridPos.X+p.GridPos.W > 24 || p.GridPos.W == 0 || p.GridPos.H == 0 {
				t.Errorf("%s: %s is outside of the grid: %+v", name, p.Title, p.GridPos)
			}
			for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
				for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
					if other := taken[[2]int{x, y}]; other != "" {
						t.Fatalf("%s: %s lies on %s", name, p.Title, other)
					}
					taken[[2]int{x, y}] = p.Title
				}
			}
			if p.Type != "row" && len(p.Targets) == 0 {
				t.Errorf("%s: %s shows nothing", name, p.Title)
			}
			for _, one := range p.Targets {
				if one.Datasource.UID != "${datasource}" {
					t.Errorf("%s: %s asks %q", name, p.Title, one.Datasource.UID)
				}
			}
		}
	}
}

// expressions are all that the export asks Prometheus, by where.
func expressions(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for name, d := range dashboards(t) {
		for _, p := range d.Panels {
			for _, one := range p.Targets {
				out[name+": "+p.Title+" "+one.RefID] = one.Expr
			}
		}
		for n, one := range d.Annotations.List {
			out[name+": annotation "+string(rune('1'+n))] = one.Expr
		}
	}
	for _, g := range options(t).Rules {
		for _, r := range g.Rules {
			out[g.Name+": "+r.Name()+" "+r.Expr] = r.Expr
		}
	}
	return out
}

// parsable is an expression with something for what Grafana fills in.
func parsable(expr string) string {
	return strings.NewReplacer("$__rate_interval", "1m", "$service", ".*").Replace(expr)
}

func TestExpressionsAreRight(t *testing.T) {
	all := expressions(t)
	if len(all) < 150 {
		t.Errorf("only %d expressions were found", len(all))
	}
	for where, expr := range all {
		group := metricstore.RuleGroup{Name: "a", Rules: []metricstore.Rule{{Record: "a", Expr: parsable(expr)}}}
		if err := metricstore.CheckRules([]metricstore.RuleGroup{group}); err != nil {
			t.Errorf("%s: %v", where, err)
		}
	}
}

var (
	quoted   = regexp.MustCompile(`"[^"]*"`)
	matchers = regexp.MustCompile(`\{[^}]*\}`)
	grouping = regexp.MustCompile(`\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)`)
	ranges   = regexp.MustCompile(`\[[^\]]*\]`)
	word     = regexp.MustCompile(`[a-zA-Z_:][a-zA-Z0-9_:]*`)
	called   = regexp.MustCompile(`[a-zA-Z_:][a-zA-Z0-9_:]*\s*\(`)
	number   = regexp.MustCompile(`\b[0-9][0-9a-z.]*\b`)
)

// metricsOf are the metrics that an expression names, and labelsOf the labels.
func metricsOf(expr string) []string {
	for _, out := range []*regexp.Regexp{quoted, matchers, grouping, ranges, number, called} {
		expr = out.ReplaceAllString(expr, " ")
	}
	return slices.DeleteFunc(word.FindAllString(expr, -1), func(w string) bool {
		return slices.Contains([]string{"and", "or", "unless", "by", "without", "on", "ignoring", "group_left", "group_right", "bool", "offset"}, w)
	})
}

func labelsOf(expr string) (out []string) {
	expr = quoted.ReplaceAllString(expr, "")
	for _, part := range slices.Concat(matchers.FindAllString(expr, -1), grouping.FindAllString(expr, -1)) {
		part = part[strings.IndexAny(part, "{("):]
		out = append(out, word.FindAllString(part, -1)...)
	}
	return out
}

// TestNamesAreInTheRegister: a name that nobody writes is an empty graph, and an
// alert that never fires.
func TestNamesAreInTheRegister(t *testing.T) {
	register, err := names.Load()
	if err != nil {
		t.Fatal(err)
	}
	known := others(t)
	for _, m := range register.Metrics {
		known[m.Name] = true
		if m.Kind == "histogram" {
			delete(known, m.Name)
			known[m.Name+"_bucket"], known[m.Name+"_count"], known[m.Name+"_sum"] = true, true, true
		}
	}
	labels := map[string]bool{}
	for _, l := range []string{
		"service", "instance", "version", "environment", "job", "le", "quantile", "slo", "window", "severity", "alertname", "alertstate",
		"rule_group", "state", "outcome", "kind", "operation", "result",
	} {
		labels[l] = true
	}
	for l := range register.Labels {
		labels[l] = true
	}
	for where, expr := range expressions(t) {
		found := metricsOf(parsable(expr))
		if len(found) == 0 && expr != "vector(1)" {
			t.Errorf("%s: no metric was found in %s", where, expr)
		}
		for _, name := range found {
			if !known[name] {
				t.Errorf("%s: nobody writes %s", where, name)
			}
		}
		for _, l := range labelsOf(parsable(expr)) {
			if !labels[l] {
				t.Errorf("%s: nothing has the label %s", where, l)
			}
		}
	}
}

// others are metrics that aren't Warren's own: the collectors of client_golang,
// asked, the engines, Prometheus, and what the rules record.
func others(t *testing.T) map[string]bool {
	t.Helper()
	r := prom.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, f := range families {
		known[f.GetName()], known[f.GetName()+"_count"] = true, true
	}
	for _, g := range options(t).Rules {
		for _, rule := range g.Rules {
			known[rule.Record] = true
		}
	}
	for _, name := range []string{
		"up", "ALERTS", "scrape_samples_post_metric_relabeling", "scrape_sample_limit",
		"prometheus_rule_evaluation_failures_total", "prometheus_rule_group_last_duration_seconds", "prometheus_rule_group_interval_seconds",
		"prometheus_tsdb_compactions_failed_total", "prometheus_tsdb_wal_corruptions_total",
		"etcd_disk_wal_fsync_duration_seconds_bucket", "etcd_mvcc_db_total_size_in_bytes", "etcd_server_quota_backend_bytes",
	} {
		known[name] = true
	}
	return known
}

// TestRuleFilesHoldTheRules reads the files back: the rules outside are those
// inside.
func TestRuleFilesHoldTheRules(t *testing.T) {
	all := files(t)
	type one struct{ Name, Expr, For, Severity string }
	var wrote, want []one
	for _, name := range []string{"prometheus/rules/alerts.yml", "prometheus/rules/slos.yml"} {
		var f struct {
			Groups []struct {
				Rules []struct {
					Record, Alert, Expr, For string
					Labels                   map[string]string
				}
			}
		}
		if err := yaml.Unmarshal([]byte(all[name]), &f); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, g := range f.Groups {
			for _, r := range g.Rules {
				wrote = append(wrote, one{r.Record + r.Alert, r.Expr, r.For, r.Labels["severity"]})
			}
		}
	}
	for _, g := range options(t).Rules {
		for _, r := range g.Rules {
			held := ""
			if r.For > 0 {
				held = time.Duration.String(r.For)
			}
			want = append(want, one{r.Name(), r.Expr, held, r.Labels["severity"]})
		}
	}
	for i := range wrote {
		if d, err := time.ParseDuration(wrote[i].For); err == nil {
			wrote[i].For = d.String()
		}
	}
	for _, w := range want {
		if !slices.Contains(wrote, w) {
			t.Errorf("not written: %+v", w)
		}
	}
	if len(wrote) != len(want) || len(want) < 60 {
		t.Errorf("%d rules written, of %d", len(wrote), len(want))
	}
}

// TestShippersKnowTheKeys: what is renamed on the way is what lines have, and
// both shippers call it the same.
func TestShippersKnowTheKeys(t *testing.T) {
	register, err := names.Load()
	if err != nil {
		t.Fatal(err)
	}
	var filebeat struct {
		Processors []struct {
			Rename struct {
				Fields []struct{ From, To string }
			}
		}
	}
	all := files(t)
	if err := yaml.Unmarshal([]byte(all["logs/filebeat.yml"]), &filebeat); err != nil {
		t.Fatal(err)
	}
	renamed := map[string]string{}
	for _, f := range filebeat.Processors[0].Rename.Fields {
		renamed[strings.TrimPrefix(f.From, "warren.")] = f.To
	}
	bit := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^\s+Rename\s+(\S+)\s+(\S+)$`).FindAllStringSubmatch(all["logs/fluent-bit.conf"], -1) {
		bit[m[1]] = m[2]
	}
	for _, w := range register.Logs {
		if w.Name == "time" || strings.Contains(w.Name, ".") {
			continue
		}
		if renamed[w.Name] == "" || bit[w.Name] != renamed[w.Name] {
			t.Errorf("%s becomes %q by Filebeat and %q by Fluent Bit", w.Name, renamed[w.Name], bit[w.Name])
		}
	}
	if len(renamed) != len(bit) {
		t.Errorf("Filebeat renames %v, Fluent Bit %v", renamed, bit)
	}
}

func TestConfigurationsAreYAML(t *testing.T) {
	for name, text := range files(t) {
		if strings.HasSuffix(name, ".yml") {
			var read map[string]any
			if err := yaml.Unmarshal([]byte(text), &read); err != nil || len(read) == 0 {
				t.Errorf("%s: %v", name, err)
			}
		}
		if strings.Contains(text, "[[.") {
			t.Errorf("%s was not filled in", name)
		}
	}
}

func TestRunbooksAreWhereTheyAreSaid(t *testing.T) {
	o := options(t)
	o.Runbooks = "https://wiki.example.com/alerts"
	all, err := export.Files(o)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		if strings.Contains(string(f.Text), "docs/alerts.md#") {
			t.Errorf("%s leads to the repository", f.Name)
		}
		if f.Name == "prometheus/rules/alerts.yml" && !strings.Contains(string(f.Text), o.Runbooks+"#crashloop") {
			t.Errorf("%s does not lead to the page", f.Name)
		}
	}
}

func TestWriteKeepsWhatWasChanged(t *testing.T) {
	dir := t.TempDir()
	first := []export.File{{Name: "a/b.yml", Text: []byte("1")}, {Name: "c.yml", Text: []byte("2")}}
	for range 2 { // again is no harm
		if err := export.Write(dir, first, false); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "a", "b.yml")
	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	second := []export.File{{Name: "a/b.yml", Text: []byte("3")}, {Name: "d.yml", Text: []byte("4")}}
	var changed *export.Changed
	if err := export.Write(dir, second, false); !errors.As(err, &changed) || !slices.Equal(changed.Names, []string{"a/b.yml"}) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "d.yml")); err == nil {
		t.Error("some were written")
	}
	if err := export.Write(dir, second, true); err != nil {
		t.Fatal(err)
	}
	if text, _ := os.ReadFile(path); string(text) != "3" {
		t.Errorf("got %q", text)
	}
}
