package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gowarren/warren/internal/supervisor"
)

// TestOutsidePrometheus watches a system that watches itself in no way, by the
// real Prometheus and Alertmanager with what was exported.
func TestOutsidePrometheus(t *testing.T) {
	w := newWorkshop(t)
	w.must("new", "service", "greeting")
	w.edit("warren.yaml", "config: embedded\n", "config: embedded\n  metrics: off\n")
	w.write("alerts.yaml", "receivers:\n  pager: {webhook: \"https://example.com/${PAGER_TOKEN}\"}\n") // which is not set here
	u := w.up()
	out := filepath.Join(w.dir, "observability")
	contains(t, w.must("export", "observability", "--out", out), "prometheus.yml", "alertmanager.yml", "overview.json")
	w.targetsAreTold(t)
	w.must("config", "set", "metrics.scrape.interval=3s", "alerts.slo.period=2h", "--reason", "to see it exported")
	contains(t, w.must("export", "observability", "--out", out, "--force"), "prometheus.yml")
	contains(t, w.read("observability/prometheus/prometheus.yml"), "scrape_interval: 3s")
	contains(t, w.read("observability/prometheus/rules/slos.yml"), "window: 12m")

	here, there := "127.0.0.1:"+freePort(t), "127.0.0.1:"+freePort(t)
	replaceIn(t, filepath.Join(out, "prometheus/prometheus.yml"), "127.0.0.1:9090", here)
	replaceIn(t, filepath.Join(out, "prometheus/prometheus.yml"), "127.0.0.1:9093", there)
	w.refused("prometheus.yml; write over them with --force", "export", "observability", "--out", out)
	toolsAgree(t, out)

	start(t, "prometheus-alertmanager", "--config.file", filepath.Join(out, "alertmanager/alertmanager.yml"),
		"--storage.path", t.TempDir(), "--web.listen-address", there, "--cluster.listen-address=")
	start(t, "prometheus", "--config.file", filepath.Join(out, "prometheus/prometheus.yml"),
		"--storage.tsdb.path", t.TempDir(), "--web.listen-address", here)
	p := outside{at: "http://" + here}
	eventually(t, "all are up", p.up("gateway", "greeting", "prometheus", "warren"))
	if status, _ := get(t, "http://"+u.GetSystem().GetGateway()+"/v1/greeting/greetings/Ada"); status != http.StatusOK {
		t.Errorf("the greeting: status %d", status)
	}
	for _, query := range []string{
		`rpc_server_call_duration_seconds_count{service="greeting",job="greeting",environment="local",rpc_method="` + contractName + `/Greet"} > 0`,
		`http_server_request_duration_seconds_count{service="gateway"} > 0`,
		`warren_fleet_instances{service="greeting",state="ready"} == 1`, // the supervisor speaks of it
	} {
		eventually(t, query, p.answers(query))
	}
	w.must("scale", "greeting=2")
	eventually(t, "a new instance is found", p.up("gateway", "greeting", "greeting", "prometheus", "warren"))
	eventually(t, "all rules are evaluated", p.rulesAreWell)
	eventually(t, "alerts arrive at Alertmanager", func() bool {
		return slices.Contains(alertsAt("http://"+there), "Watchdog")
	})
}

func (w *workshop) targetsAreTold(t *testing.T) {
	t.Helper()
	contains(t, w.must("export", "targets"), "SERVICE", "greeting/1", "gateway/1", "warren")
	for _, g := range decode[[]supervisor.TargetGroup](t, w.must("export", "targets", "--json")) {
		status, body := get(t, "http://"+g.Targets[0]+"/metrics")
		if status != http.StatusOK || !strings.Contains(body, "go_goroutines ") {
			t.Errorf("%s shows no metrics: status %d", g.Labels["instance"], status)
		}
		if status, body := get(t, "http://"+g.Targets[0]+"/readyz"); status != http.StatusOK {
			t.Errorf("%s is not ready: %s", g.Labels["instance"], body)
		}
	}
}

// toolsAgree asks those who know the languages.
func toolsAgree(t *testing.T, out string) {
	t.Helper()
	contains(t, tool(t, "promtool", "check", "config", filepath.Join(out, "prometheus/prometheus.yml")), "SUCCESS")
	rules, err := filepath.Glob(filepath.Join(out, "prometheus/rules/*.yml"))
	if err != nil || len(rules) != 2 {
		t.Fatalf("rules: %q, %v", rules, err)
	}
	contains(t, tool(t, "promtool", append([]string{"check", "rules", "--lint=all", "--lint-fatal"}, rules...)...), "SUCCESS")
	config := "--config.file=" + filepath.Join(out, "alertmanager/alertmanager.yml")
	contains(t, tool(t, "amtool", "check-config", filepath.Join(out, "alertmanager/alertmanager.yml")), "SUCCESS")
	for severity, receiver := range map[string]string{"page": "page", "ticket": "ticket", "info": "nobody", "none": "heartbeat", "other": "ticket"} {
		tool(t, "amtool", "config", "routes", "test", config, "--verify.receivers="+receiver, "severity="+severity)
	}
}

func tool(t *testing.T, name string, args ...string) string {
	t.Helper()
	text, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s, which this test needs (Debian: prometheus, prometheus-alertmanager), %q: %v\n%s", name, args, err, text)
	}
	return string(text)
}

// start runs a server until the test ends.
func start(t *testing.T, name string, args ...string) {
	t.Helper()
	log, err := os.CreateTemp(t.TempDir(), name)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s, which this test needs (Debian: prometheus, prometheus-alertmanager): %v", name, err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
		if text, err := os.ReadFile(log.Name()); err == nil && t.Failed() {
			t.Logf("%s wrote:\n%s", name, text)
		}
	})
}

func replaceIn(t *testing.T, path, from, to string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), from) {
		t.Fatalf("%s has no %s", path, from)
	}
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(text), from, to)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// outside is a Prometheus that runs.
type outside struct{ at string }

// read asks something, and leaves into as it is if there is no answer yet.
func read(url string, into any) error {
	resp, err := http.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(into)
}

// up tells whether these services are scraped, each as often as it stands there,
// no others, and all of them well.
func (p outside) up(services ...string) func() bool {
	return func() bool {
		var body struct {
			Data struct {
				ActiveTargets []struct {
					Labels map[string]string
					Health string
				}
			}
		}
		if read(p.at+"/api/v1/targets", &body) != nil {
			return false
		}
		var found []string
		for _, one := range body.Data.ActiveTargets {
			if one.Health == "up" {
				found = append(found, one.Labels["service"])
			}
		}
		slices.Sort(found)
		return len(found) == len(body.Data.ActiveTargets) && slices.Equal(found, services)
	}
}

func (p outside) answers(query string) func() bool {
	return func() bool {
		var body struct {
			Data struct{ Result []any }
		}
		return read(p.at+"/api/v1/query?query="+url.QueryEscape(query), &body) == nil && len(body.Data.Result) > 0
	}
}

func (p outside) rulesAreWell() bool {
	var body struct {
		Data struct {
			Groups []struct {
				Rules []struct{ Name, Health string }
			}
		}
	}
	if read(p.at+"/api/v1/rules", &body) != nil {
		return false
	}
	const least = 60
	n := 0
	for _, g := range body.Data.Groups {
		for _, r := range g.Rules {
			if r.Health != "ok" {
				return false
			}
			n++
		}
	}
	return n > least
}

func alertsAt(at string) (names []string) {
	var body []struct{ Labels map[string]string }
	if read(at+"/api/v2/alerts", &body) != nil {
		return nil
	}
	for _, a := range body {
		names = append(names, a.Labels["alertname"])
	}
	return names
}
