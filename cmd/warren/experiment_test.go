package main

import (
	"net/http"
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
	s.refused(`no service "greting"`, "experiment", "start", "latency", "greting", "--reason", "x")
	s.refused("experiment.duration.max allows 1h", "experiment", "start", "latency", "greeting", "--for", "2h", "--reason", "x")
	s.refused("has no method a.B/C; it has "+contractName+"/Greet", "experiment", "start", "latency", "greeting", "--method", "a.B/C", "--reason", "x")
	s.refused("gateway serves no contract", "experiment", "start", "partition", "greeting", "gateway", "--reason", "x")
	s.refused("a share is more than 0", "experiment", "start", "error", "greeting", "--share", "0", "--reason", "x")
	s.refused(`no experiment "nothing"; none runs`, "experiment", "stop", "nothing")
	r := execute(s.t.Context(), []byte("n\n"), "--file", s.path("warren.yaml"), "experiment", "start", "kill", "greeting", "--reason", "x")
	contains(s.t, r.out+r.err, "greeting/1", "greeting has one instance", "start? [y/N]", "not started")
	if all := s.experiments(); len(all) != 0 {
		s.t.Errorf("refused, and there is %v", all)
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
	s.must("experiment", "stop", "latency-greeting")
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
	contains(s.t, s.must("logs", "warren", "-n", "1000"), "experiment started", "experiment stopped", "experiment ended")
}

func (s *trialled) errors() {
	s.start("error", "greeting", "--code", "ABORTED", "--name", "broken")
	eventually(s.t, "calls to fail", s.fails)
	_, body, _ := s.greets()
	contains(s.t, body, "FAULT_INJECTED")
	s.must("experiment", "stop", "broken")
	eventually(s.t, "calls to succeed", s.well)
}

func (s *trialled) partition() {
	s.start("partition", "gateway", "greeting")
	eventually(s.t, "the breaker to open", func() bool {
		_, body, _ := s.greets()
		return strings.Contains(body, "BREAKER_OPEN")
	})
	s.must("experiment", "stop", "partition-gateway-greeting")
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
	s.must("experiment", "stop", "kill-greeting")
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
	s.must("experiment", "stop", "long")
	eventually(s.t, "all to be well", s.well)
	if out := s.must("config", "get"); strings.Contains(out, "rpc.fault") {
		s.t.Errorf("left behind: %s", out)
	}
}
