package experiment_test

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/internal/experiment"
)

func latency(service, method string, delay time.Duration, share float64) *observev1.Fault {
	return &observev1.Fault{Kind: &observev1.Fault_Latency{Latency: &observev1.LatencyFault{
		Service: service, Method: method, Delay: durationpb.New(delay), Share: share,
	}}}
}

func failure(service, code string) *observev1.Fault {
	return &observev1.Fault{Kind: &observev1.Fault_Error{Error: &observev1.ErrorFault{Service: service, Code: code}}}
}

func partition(from, to string) *observev1.Fault {
	return &observev1.Fault{Kind: &observev1.Fault_Partition{Partition: &observev1.PartitionFault{From: from, To: to}}}
}

func kill(service string, every time.Duration) *observev1.Fault {
	return &observev1.Fault{Kind: &observev1.Fault_Kill{Kill: &observev1.KillFault{Service: service, Every: durationpb.New(every)}}}
}

func request(f *observev1.Fault, d time.Duration) *observev1.ExperimentServiceStartRequest {
	return &observev1.ExperimentServiceStartRequest{Fault: f, Duration: durationpb.New(d), Reason: "to see", Author: "ada"}
}

func stop(name string) *observev1.ExperimentServiceStopRequest {
	return &observev1.ExperimentServiceStopRequest{Name: name, Author: "bob", Reason: "seen enough"}
}

func TestLifeOfAnExperiment(t *testing.T) {
	w := newWorld(t)
	dry := request(latency("payment", "", time.Second, 0.5), 0)
	dry.DryRun, dry.Duration, dry.Reason = true, nil, ""
	planned := w.start(dry)
	r := planned.GetRadius()
	if !slices.Equal(r.GetInstances(), []string{"payment/1", "payment/2"}) || !slices.Equal(r.GetCallers(), []string{"coordinator", "order"}) ||
		!slices.Equal(r.GetMethods(), []string{payments + "/Authorize", payments + "/Capture"}) || len(w.all()) != 0 || len(w.written()) != 0 {
		t.Errorf("dry run: %v; %v", planned, w.written())
	}
	if d := planned.GetEnds().AsTime().Sub(planned.GetStarted().AsTime()); d != 5*time.Minute {
		t.Errorf("lasts %s", d)
	}

	one := w.start(request(latency("payment", "", time.Second, 0.5), time.Hour))
	two := w.start(request(latency("payment", "", 2*time.Second, 0), time.Hour))
	if one.GetName() != "latency-payment" || two.GetName() != "latency-payment-2" {
		t.Errorf("names %s, %s", one.GetName(), two.GetName())
	}
	value := w.written()["rpc.fault.latency payment"]
	for _, want := range []string{"experiment=latency-payment ", "experiment=latency-payment-2 ", "share=0.5 delay=1s", "delay=2s", "until="} {
		if !strings.Contains(value, want) {
			t.Errorf("no %q in %s", want, value)
		}
	}
	resp, err := w.Stop(t.Context(), stop("latency-payment"))
	w.check(err)
	if e := resp.GetExperiment(); e.GetState() != observev1.Experiment_STATE_STOPPED || e.GetStoppedBy() != "bob" || e.GetStopReason() != "seen enough" {
		t.Errorf("stopped: %v", e)
	}
	if value := w.written()["rpc.fault.latency payment"]; strings.Contains(value, "experiment=latency-payment ") || !strings.Contains(value, "latency-payment-2") {
		t.Errorf("left: %s", value)
	}
	_, err = w.Stop(t.Context(), stop("latency-payment-2"))
	w.check(err)

	w.start(request(partition("order", "payment"), time.Second))
	if value := w.written()["rpc.fault.partition order"]; !strings.Contains(value, "to=payment") {
		t.Errorf("partition: %v", w.written())
	}
	eventually(t, "it ends by itself", func() bool { return w.all()[0].GetState() == observev1.Experiment_STATE_ENDED })
	if left := w.written(); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	changes, err := w.centre.History(t.Context(), 10)
	w.check(err)
	for author, reason := range map[string]string{"ada": "to see", "bob": "end of experiment latency-payment: seen enough"} {
		if !slices.ContainsFunc(changes, func(c config.Change) bool { return c.Author == author && strings.Contains(c.Reason, reason) }) {
			t.Errorf("no %q by %s in the history: %+v", reason, author, changes)
		}
	}
}

func TestRefused(t *testing.T) {
	w := newWorld(t)
	named := func(name string) *observev1.ExperimentServiceStartRequest {
		return &observev1.ExperimentServiceStartRequest{Fault: failure("payment", ""), Reason: "x", Name: name}
	}
	for want, req := range map[string]*observev1.ExperimentServiceStartRequest{
		"fault: want one of latency, error, kill and partition":                request(nil, time.Minute),
		`service: no service "nobody"`:                                         request(failure("nobody", ""), time.Minute),
		`service: no service ""`:                                               request(kill("", time.Minute), time.Minute),
		`from: no service "nobody"`:                                            request(partition("nobody", "payment"), time.Minute),
		`to: no service "nobody"`:                                              request(partition("payment", "nobody"), time.Minute),
		"method: payment has no method a/B; it has " + payments:                request(latency("payment", "/a/B", time.Second, 0), time.Minute),
		"to: order serves no contract":                                         request(partition("payment", "order"), time.Minute),
		`to: want another service`:                                             request(partition("order", "order"), time.Minute),
		`DEADLINE_EXCEEDED; got "LOUD"`:                                        request(failure("payment", "LOUD"), time.Minute),
		"share: want more than 0 and at most 1, which is every call; got 2":    request(latency("payment", "", time.Second, 2), time.Minute),
		"at most 1, which is every call; got NaN":                              request(latency("payment", "", time.Second, math.NaN()), time.Minute),
		"delay: want more than 0 and at most 10m, such as 300ms or 2s; got 0s": request(latency("payment", "", 0, 0), time.Minute),
		"such as 300ms or 2s; got 11m":                                         request(latency("payment", "", 11*time.Minute, 0), time.Minute),
		"every: want 1s to 1h; got 1ms":                                        request(kill("payment", time.Millisecond), time.Minute),
		"every: want 1s to 1h; got 0s":                                         request(kill("payment", 0), time.Minute),
		"as the setting experiment.duration.max says; got 2h":                  request(failure("payment", ""), 2*time.Hour),
		"for: want more than 0 and at most 1h":                                 request(failure("payment", ""), -time.Hour),
		"got 0s":                                                               request(failure("payment", ""), 0),
		"reason: say why":                                                      {Fault: failure("payment", ""), Reason: " "},
		"reason: want at most 2000 bytes; got 2001":                            {Fault: failure("payment", ""), Reason: strings.Repeat("x", 2001)},
		`got "A b"`: named("A b"),
		`got "7"`:   named("7"),
		`name: want lower-case letters, digits and -, a letter first, at most 63 of them; got "xx`: named(strings.Repeat("x", 64)),
	} {
		if _, err := w.Start(t.Context(), req); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	for want, req := range map[string]*observev1.ExperimentServiceStopRequest{
		`name: no experiment "nothing"; none runs`: stop("nothing"), "reason: say why": {Name: "nothing", Author: "bob"},
	} {
		if _, err := w.Stop(t.Context(), req); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if len(w.all()) != 0 || len(w.written()) != 0 {
		t.Errorf("refused, and there is %v", w.written())
	}
	limit := "1"
	_, err := w.centre.Set(t.Context(), []config.Edit{{Name: "experiment.running", New: &limit}}, "test", "few")
	w.check(err)
	eventually(t, "a second experiment is one too many", func() bool {
		_, err := w.Start(t.Context(), request(failure("payment", ""), time.Hour))
		return err != nil && strings.Contains(err.Error(), "experiment.running allows no more: stop one, or raise it")
	})
}

func TestKill(t *testing.T) {
	w := newWorld(t)
	e := w.start(request(kill("payment", time.Second), time.Hour))
	if len(e.GetRadius().GetWarnings()) != 0 || len(w.written()) != 0 {
		t.Errorf("kill: %v", e)
	}
	eventually(t, "an instance is killed", func() bool { return w.all()[0].GetKills() > 0 })
	w.fleet.mu.Lock()
	defer w.fleet.mu.Unlock()
	if !strings.HasPrefix(w.fleet.killed[0], "payment/") {
		t.Errorf("killed: %v", w.fleet.killed)
	}
}

// A runner that dies leaves experiments to the next, which ends them in time.
func TestRunnerThatDies(t *testing.T) {
	w := newWorld(t)
	w.start(request(failure("payment", "INTERNAL"), 2*time.Second))
	w.start(request(latency("payment", "", time.Second, 0), time.Hour))
	w.check(w.Close())
	if len(w.written()) != 2 {
		t.Errorf("a runner that ends takes nothing back: %v", w.written())
	}
	w.open()
	eventually(t, "the one whose time is over ends", func() bool { return len(w.written()) == 1 })
	if all := w.all(); all[0].GetState() != observev1.Experiment_STATE_RUNNING || all[1].GetState() != observev1.Experiment_STATE_ENDED {
		t.Errorf("after the second start: %v", all)
	}
	if _, err := w.Stop(t.Context(), stop("latency-payment")); err != nil || len(w.written()) != 0 {
		t.Errorf("stop: %v; %v", err, w.written())
	}
}

func TestReadFile(t *testing.T) {
	read := func(text string) ([]*observev1.ExperimentServiceStartRequest, error) {
		path := filepath.Join(t.TempDir(), "try.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return experiment.ReadFile(path)
	}
	reqs, err := read(`
experiments:
  - {name: slow, reason: why, for: 2m, latency: {service: payment, delay: 2s, jitter: 200ms, share: 0.5}}
  - error: {service: payment, code: INTERNAL}
  - kill: {service: payment, every: 10s}
  - partition: {from: order, to: payment}
`)
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, r := range reqs {
		told = append(told, experiment.Describe(r.GetFault()))
	}
	want := []string{"latency of 2s ± 200ms at payment, 50 % of the calls", "error INTERNAL from payment",
		"an instance of payment killed every 10s", "partition from order to payment"}
	if !slices.Equal(told, want) || reqs[0].GetDuration().AsDuration() != 2*time.Minute || reqs[0].GetName() != "slow" {
		t.Errorf("got %v", reqs)
	}
	for text, want := range map[string]string{
		"experiments: []":                                     "there are none",
		"experiments: [{name: x}]":                            "number 1: fault: want one of latency, error, kill and partition",
		"experiments: [{latncy: {}}]":                         "latncy",
		"experiments: [{latency: {service: a, delay: fast}}]": "fast",
		"experiments: [{error: {service: a, share: 0}}]":      "number 1: share: want more than 0 and at most 1, which is every call; got 0",
		"experiments: [{kill: {service: a, every: 0s}}]":      "number 1: every: want 1s to 1h; got 0s",
	} {
		if _, err := read(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}

// What was kept is of the past: a file that nobody can read keeps no system from
// running, and is not lost.
func TestDamagedFileIsSetAside(t *testing.T) {
	w := newWorld(t)
	w.start(request(partition("order", "payment"), time.Minute))
	w.check(w.Close())
	const half = `{"experiments": [{"name": "slo`
	w.check(os.WriteFile(w.options.Path, []byte(half), 0o600))
	w.open()
	if all := w.all(); len(all) != 0 {
		t.Errorf("experiments of a damaged file: %v", all)
	}
	if got, err := os.ReadFile(w.options.Path + ".damaged"); err != nil || string(got) != half {
		t.Errorf("set aside: %q, %v", got, err)
	}
	w.start(request(failure("payment", "INTERNAL"), time.Minute))
	w.check(w.Close())
	w.open()
	if all := w.all(); len(all) != 1 {
		t.Errorf("after it: %v", all)
	}
}
