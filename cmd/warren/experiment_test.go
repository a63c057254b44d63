package main

import (
	"html"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
)

// trialled is a small system in which experiments are made.
type trialled struct {
	*workshop
	t   *testing.T
	url string
}

// greets tells how a greeting ends, and when.
func (s *trialled) greets() (status int, body string, took time.Duration) {
	s.t.Helper()
	began := time.Now()
	status, body = get(s.t, s.url)
	return status, body, time.Since(began)
}

func (s *trialled) well() bool {
	status, _, took := s.greets()
	return status == http.StatusOK && took < 550*time.Millisecond
}

func (s *trialled) slow() bool {
	status, _, took := s.greets()
	return status == http.StatusOK && took >= 600*time.Millisecond
}

func (s *trialled) fails() bool {
	status, _, _ := s.greets()
	return status != http.StatusOK
}

// TestExperiments puts faults into a real system, and sees that they are felt
// and that they end.
func TestExperiments(t *testing.T) {
	w := newWorkshop(t)
	w.must("new", "service", "greeting")
	u := w.up()
	s := &trialled{workshop: w, t: t, url: "http://" + u.GetSystem().GetGateway() + "/v1/greeting/greetings/Ada"}
	eventually(t, "a greeting", s.well)

	s.refuses()
	s.agrees("http://" + u.GetSystem().GetConsole())
	s.latency()
	s.errors()
	s.partition()
	s.file()
	s.kills()
	s.outlives(u)
}

func (s *trialled) start(args ...string) string {
	s.t.Helper()
	return s.must(append(append([]string{"experiment", "start"}, args...), "--yes", "--reason", "to see")...)
}

func (s *trialled) refuses() {
	s.refused("say why with --reason", "experiment", "start", "latency", "greeting")
	s.refused("say why with --reason", "experiment", "stop", "nothing")
	s.refused(`name: no experiment "nothing"; none runs`, "experiment", "stop", "nothing", "--reason", "x")
	s.refused(`unknown command "flood"`, "experiment", "start", "flood", "greeting")
	r := execute(s.t.Context(), []byte("n\n"), "--file", s.path("warren.yaml"), "experiment", "start", "kill", "greeting", "--reason", "x")
	contains(s.t, r.out+r.err, "greeting/1", "greeting has one instance", "start? [y/N]", "not started")
	if all := s.experiments(); len(all) != 0 {
		s.t.Errorf("refused, and there is %v", all)
	}
}

// agrees gives the same rubbish to the command and to the console: both name the
// field, and say the same of what is wanted.
func (s *trialled) agrees(console string) {
	s.t.Helper()
	const delay, span, every = "want more than 0 and at most 10m, such as 300ms or 2s", "want a time such as 300ms, 2s or 5m", "want 1s to 1h"
	const length, name = "want more than 0 and at most 1h, as the setting experiment.duration.max says", "want lower-case letters, digits and -"
	for _, c := range []struct{ fault, field, value, says string }{
		{"latency", "delay", "soon", span}, {"latency", "delay", "0s", delay}, {"latency", "delay", "-1s", delay}, {"latency", "delay", "11m", delay},
		{"latency", "jitter", "1d", span}, {"latency", "jitter", "-1s", "want 0 to 10m"}, {"latency", "jitter", "11m", "want 0 to 10m"},
		{"latency", "share", "0", "which is every call"}, {"error", "share", "-0.1", "which is every call"}, {"error", "share", "101", "which is every call"},
		{"error", "share", "half", "which is every call"}, {"error", "share", "NaN", "which is every call"},
		{"error", "code", "LOUD", "want the name of an error, such as UNAVAILABLE"}, {"error", "method", "a.B/C", "has no method a.B/C; it has " + contractName + "/Greet"},
		{"kill", "every", "often", span}, {"kill", "every", "0s", every}, {"kill", "every", "1ms", every}, {"kill", "every", "2h", every},
		{"kill", "for", "later", span}, {"kill", "for", "0s", length}, {"kill", "for", "2h", length}, {"latency", "for", "-1m", length},
		{"latency", "name", "A b", name}, {"latency", "name", "7", name}, {"error", "name", strings.Repeat("x", 64), name},
	} {
		s.refusedBy(console, c.field, c.says, []string{c.fault, "greeting", "--" + c.field, c.value}, url.Values{"fault": {c.fault}, "service": {"greeting"}, c.field: {c.value}})
	}
	for _, c := range []struct{ field, from, to, says string }{
		{"from", "nobody", "greeting", `no service "nobody"; there are`}, {"to", "greeting", "nobody", `no service "nobody"; there are`},
		{"to", "greeting", "greeting", "want another service"}, {"to", "greeting", "gateway", "gateway serves no contract"},
	} {
		s.refusedBy(console, c.field, c.says, []string{"partition", c.from, c.to}, url.Values{"fault": {"partition"}, "caller": {c.from}, "service": {c.to}})
	}
	s.refusedBy(console, "service", `no service "greting"; there are`, []string{"kill", "greting"}, url.Values{"fault": {"kill"}, "service": {"greting"}})
}

func (s *trialled) refusedBy(console, field, says string, args []string, query url.Values) {
	s.t.Helper()
	s.refused(says, append([]string{"experiment", "start", "--reason", "x"}, args...)...)
	s.refused(field, append([]string{"experiment", "start", "--reason", "x"}, args...)...)
	status, body := get(s.t, console+"/experiments?"+query.Encode())
	_, problem, _ := strings.Cut(body, `id="plan-problem"`)
	problem, _, _ = strings.Cut(html.UnescapeString(problem), "</p>")
	if status != http.StatusOK || !strings.Contains(problem, field+": ") || !strings.Contains(problem, says) {
		s.t.Errorf("the page about %s: %d, want %s: %s; got %q", query.Encode(), status, field, says, problem)
	}
}

func (s *trialled) experiments() []*observev1.Experiment {
	s.t.Helper()
	return ask(s.t, s.workshop, &observev1.ExperimentServiceListResponse{}, "experiment", "list", "--ended").GetExperiments()
}

func (s *trialled) latency() {
	contains(s.t, s.start("latency", "greeting", "--delay", "600ms", "--for", "1h"),
		"latency-greeting: latency of 600ms at greeting, for 1h", contractName+"/Greet", "greeting/1", "experiment stop latency-greeting")
	eventually(s.t, "the delay to be felt", s.slow)
	contains(s.t, s.must("experiment", "list"), "latency-greeting", "running", "to see")
	s.refused("an experiment called latency-greeting runs", "experiment", "start", "error", "greeting", "--name", "latency-greeting", "--reason", "x")
	s.must("experiment", "stop", "latency-greeting", "--reason", "seen enough")
	eventually(s.t, "its stop to be felt", s.well)

	s.start("latency", "greeting", "--delay", "600ms", "--for", "5s", "--method", contractName+"/Greet")
	eventually(s.t, "the delay to be felt", s.slow)
	eventually(s.t, "it to end by itself", s.well)
	eventually(s.t, "its end to be known", func() bool {
		return s.experiments()[0].GetState() == observev1.Experiment_STATE_ENDED
	})
	if out := s.must("config", "get"); strings.Contains(out, "rpc.fault") {
		s.t.Errorf("left behind: %s", out)
	}
	contains(s.t, s.must("logs", "warren", "-n", "1000"), "experiment started", "experiment stopped", "seen enough", "experiment ended")
	contains(s.t, s.must("experiment", "list", "--ended"), "STOPPED BY", "WHY", "seen enough")
	contains(s.t, s.must("config", "history"), "end of experiment latency-greeting: seen enough", "end of experiment latency-greeting: its time is over")
}

func (s *trialled) errors() {
	s.start("error", "greeting", "--code", "ABORTED", "--name", "broken")
	eventually(s.t, "calls to fail", s.fails)
	_, body, _ := s.greets()
	contains(s.t, body, "FAULT_INJECTED")
	s.must("experiment", "stop", "broken", "--reason", "seen enough")
	eventually(s.t, "calls to succeed", s.well)
}

func (s *trialled) partition() {
	s.start("partition", "gateway", "greeting")
	eventually(s.t, "the breaker to open", func() bool {
		_, body, _ := s.greets()
		return strings.Contains(body, "BREAKER_OPEN")
	})
	s.must("experiment", "stop", "partition-gateway-greeting", "--reason", "seen enough")
	eventually(s.t, "the way to open", s.well)
}

func (s *trialled) file() {
	s.write("try.yaml", `
experiments:
  - name: from-file
    reason: the same in tests and here
    for: 4s
    error: {service: greeting, share: 1}
`)
	contains(s.t, s.must("experiment", "run", s.path("try.yaml"), "--yes"), "from-file: error UNAVAILABLE from greeting, for 4s", "all experiments are over")
	eventually(s.t, "calls to succeed", s.well)
}

func (s *trialled) kills() {
	s.start("kill", "greeting", "--every", "1s", "--for", "1h")
	eventually(s.t, "an instance to be killed", func() bool { return s.experiments()[0].GetKills() > 0 })
	s.must("experiment", "stop", "kill-greeting", "--reason", "seen enough")
	s.must("wait")
	eventually(s.t, "a greeting", s.well)
}

// outlives kills the supervisor. What it began goes on under the next, and no
// longer than it was meant to.
func (s *trialled) outlives(u *upped) {
	s.start("latency", "greeting", "--delay", "600ms", "--for", "1h", "--name", "long")
	s.start("error", "greeting", "--for", "1s", "--name", "short")
	if err := u.end(syscall.SIGKILL); err == nil {
		s.t.Fatal("the supervisor ended well")
	}
	again := s.up()
	s.url = "http://" + again.GetSystem().GetGateway() + "/v1/greeting/greetings/Ada"
	eventually(s.t, "the long one to be felt, and not the short one", s.slow)
	eventually(s.t, "the short one to have ended", func() bool { return s.experiments()[0].GetState() == observev1.Experiment_STATE_ENDED })
	s.must("experiment", "stop", "long", "--reason", "seen enough")
	eventually(s.t, "all to be well", s.well)
	if out := s.must("config", "get"); strings.Contains(out, "rpc.fault") {
		s.t.Errorf("left behind: %s", out)
	}
}
