package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/internal/doctor"
	"github.com/gowarren/warren/internal/lint"
)

const (
	contractFile = "api/myshop/greeting/v1/greeting.proto"
	contractName = "myshop.greeting.v1.GreetingService"
)

// TestSystem goes through the life of a system as its user does, with every
// command. The parts build on one another: starting a system is what costs.
func TestSystem(t *testing.T) {
	w := newWorkshop(t)
	w.must("new", "service", "greeting")
	w.edit("warren.yaml", "gateway:", "environments:\n  production:\n    engines: {registry: \"etcd://a:2379,b:2379,c:2379/{system}\", database: \"postgres://db/{service}\"}\n  staging:\n    services: {greeting: {replicas: 2}}\n\ngateway:")
	w.git("init", "-q")
	w.git("add", "api")
	w.git("commit", "-qm", "the first contract")
	u := w.up()
	s := &story{workshop: w, gateway: "http://" + u.GetSystem().GetGateway()}
	for _, part := range []struct {
		name string
		play func(*testing.T)
	}{
		{"up", func(t *testing.T) { s.up(t, u) }},
		{"edge", s.edge},
		{"ps", s.ps},
		{"wait", s.waitFor},
		{"logs", s.logs},
		{"logs that follow", s.follow},
		{"call", s.call},
		{"routes", s.routes},
		{"contracts", s.contracts},
		{"config", s.config},
		{"config refuses", s.configRefuses},
		{"config in force", s.inForce},
		{"scale", s.scale},
		{"kill", s.kill},
		{"audit", s.audit},
		{"restart with new code", s.restart},
		{"restart with broken code", s.brokenCode},
		{"lint", s.lint},
		{"generate", s.generate},
		{"doctor", s.doctor},
		{"new service", s.newService},
		{"completion", s.completion},
		{"second up", s.secondUp},
		{"another system beside it", s.beside},
		{"killed supervisor", func(t *testing.T) { s.killed(t, u) }},
	} {
		if !t.Run(part.name, part.play) {
			return // the next part would only tell of the same
		}
	}
}

// story is a system in the middle of its life.
type story struct {
	*workshop
	gateway string
}

func (s *story) get(t *testing.T, path string) (int, string) {
	t.Helper()
	return get(t, s.gateway+path)
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func contains(t *testing.T, text string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(text, want) {
			t.Errorf("want %q in:\n%s", want, text)
		}
	}
}

func (s *story) up(t *testing.T, u *upped) {
	sys := u.GetSystem()
	if sys.GetName() != "myshop" || sys.GetEnvironment() != "local" || sys.GetPid() != int64(u.cmd.Process.Pid) || sys.GetReadyAfter() == nil {
		t.Errorf("system: %v", sys)
	}
	if len(u.GetInstances()) != 2 || len(u.GetEngines()) != 5 {
		t.Errorf("list: %v", u.ListResponse)
	}
	contains(t, u.printed(t), "building greeting", "built greeting in ", "etcd is ready after ", "nats is ready after ", "greeting/1 is ready after ", "gateway/1 is ready after ")
}

func (s *story) edge(t *testing.T) {
	if status, body := s.get(t, "/v1/greeting/greetings/Ada"); status != 200 || body != `{"greeting":"Hello, Ada!"}` {
		t.Errorf("got %d %s", status, body)
	}
	status, body := s.get(t, "/v1/greeting/greetings/A")
	if status != 400 {
		t.Errorf("bad input: got %d %s", status, body)
	}
	contains(t, body, `"field":"name"`, "must be at least 2 characters")
}

func (s *story) ps(t *testing.T) {
	contains(t, s.must("ps"), "INSTANCE", "gateway/1", "greeting/1", "ready", "registry", "embedded", "sqlite")
	if out := s.must("ps"); strings.Contains(out, "NEEDS") {
		t.Errorf("all are ready, and ps says what they need: %s", out)
	}
	out := s.must("ps", "greeting")
	if contains(t, out, "NEEDS", "settings", "ok"); strings.Contains(out, "gateway/1") || strings.Contains(out, "fails") {
		t.Errorf("ps of one service: %s", out)
	}
	if one := s.instances("greeting"); len(one) != 1 || one[0].GetPid() == 0 || one[0].GetAddress() == "" || one[0].GetAdmin() == "" {
		t.Errorf("instances: %v", one)
	}
	s.refused(`no service "greting"; there are greeting, gateway`, "ps", "greting")
}

func (s *story) waitFor(t *testing.T) {
	if out := s.must("wait"); out != "" {
		t.Errorf("wait prints %q", out)
	}
	contains(t, s.must("wait", "greeting", "--json"), `"greeting/1"`)
	s.refused(`no service "nobody"; there are greeting, gateway`, "wait", "nobody")
}

func (s *story) logs(t *testing.T) {
	eventually(t, "the gateway's log has the request, which it writes a little later", func() bool {
		return strings.Contains(s.must("logs"), "/v1/greeting/greetings/Ada")
	})
	contains(t, s.must("logs"), "greeting/1 | ", "gateway/1  | ", "INFO ready")
	if out := s.must("logs", "greeting/1", "-n", "1"); strings.Count(out, "\n") != 1 || strings.Contains(out, "gateway") {
		t.Errorf("one line: %q", out)
	}
	contains(t, s.must("logs", "warren"), "building greeting")
	dec := json.NewDecoder(strings.NewReader(s.must("logs", "greeting", "--json")))
	var first struct {
		Instance string `json:"instance"`
		Line     string `json:"line"`
		Time     string `json:"time"`
	}
	if err := dec.Decode(&first); err != nil || first.Instance != "greeting/1" || first.Line == "" || first.Time == "" {
		t.Errorf("JSON: %+v, %v", first, err)
	}
	s.refused(`no service "nobody"; there are greeting, gateway`, "logs", "nobody")
}

// follower takes what a command prints, and tells when text has come.
type follower struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (f *follower) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.text.Write(p)
}

func (f *follower) has(want string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.Contains(f.text.String(), want)
}

func (s *story) follow(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var out follower
	root := newRoot()
	root.SetArgs([]string{"--file", s.path("warren.yaml"), "logs", "-f", "-n", "1", "gateway"})
	root.SetOut(&out)
	ended := make(chan int)
	go func() { ended <- run(ctx, root) }()
	eventually(t, "the last line", func() bool { return out.has("gateway/1 | ") })
	s.get(t, "/v1/greeting/greetings/Follower")
	eventually(t, "the line of a request", func() bool { return out.has("/v1/greeting/greetings/Follower") })
	cancel()
	if status := <-ended; status != 0 {
		t.Errorf("status %d", status)
	}
}

func (s *story) call(t *testing.T) {
	contains(t, s.must("call", contractName+"/Greet", `{"name": "Ada"}`), `"greeting": "Hello, Ada!"`)
	contains(t, s.must("call", "/"+contractName+"/Greet", `{"name": "Ada"}`, "--json"), `"greeting": "Hello, Ada!"`)
	r := execute(t.Context(), []byte(`{"name": "Grace"}`), "--file", s.path("warren.yaml"), "call", contractName+"/Greet", "-")
	contains(t, r.out, "Hello, Grace!")

	s.refused("\n  name: must be at least 2 characters", "call", contractName+"/Greet", `{"name": "A"}`)
	s.refused(`FailedPrecondition: "nobody" is not greeted (NAME_REFUSED in greeting.myshop)`, "call", contractName+"/Greet", `{"name": "nobody"}`)
	s.refused("has no method Great; it has Greet", "call", contractName+"/Great")
	s.refused("want an object, such as {}, not a list; it has name", "call", contractName+"/Greet", "[]")
	s.refused("; it has name", "call", contractName+"/Greet", `{"nam": "Ada"}`)
	s.refused("did you mean "+contractName+"?", "call", "shop.GreetingService/Greet")
	s.refused("nobody serves a.B; there are "+contractName, "call", "a.B/C")
}

func (s *story) routes(t *testing.T) {
	contains(t, s.must("routes"), "METHOD", "GET", "/v1/greeting/greetings/{name}", "public", contractName+"/Greet", "true")
	routes := decode[[]route](t, s.must("routes", "--json"))
	if !slices.ContainsFunc(routes, func(r route) bool {
		return r.Method == "GET" && r.Access == "public" && r.Target == "/"+contractName+"/Greet" && r.Available
	}) {
		t.Errorf("routes: %+v", routes)
	}
}

func (s *story) config(t *testing.T) {
	contains(t, s.must("config", "list"), "rpc.timeout", "duration", "trace.sample", "log.level")
	if defs := decode[[]config.Definition](t, s.must("config", "list", "--json")); len(defs) < 10 {
		t.Errorf("definitions: %v", defs)
	}
	contains(t, s.must("config", "get"), "revision 0")
	out := s.must("config", "set", "rpc.timeout=300ms", "rpc.retry.attempts=2", "--on", contractName+"/Greet", "--reason", "greeting is slow")
	contains(t, out, "rpc.timeout", "/"+contractName+"/Greet", "(unset)", "300ms", "revision 1")
	contains(t, s.must("config", "get", "rpc.timeout"), "300ms")
	if out := s.must("config", "get", "rpc.timeout"); strings.Contains(out, "rpc.retry") {
		t.Errorf("get of one name: %s", out)
	}
	contains(t, s.must("config", "get", "rpc.retry"), "rpc.retry.attempts")
	eventually(t, "the instance runs revision 1", func() bool { return s.instances("greeting")[0].GetSettingsRevision() == 1 })

	change := decode[config.Change](t, s.must("config", "set", "rpc.retry.attempts-", "--on", contractName+"/Greet", "--reason", "as before", "--json"))
	if change.Revision != 2 || change.Reason != "as before" || change.Author == "" || len(change.Edits) != 1 {
		t.Errorf("change: %+v", change)
	}
	contains(t, s.must("config", "set", "rpc.timeout=300ms", "--on", contractName+"/Greet", "--reason", "again"), "nothing to change")
	contains(t, s.must("config", "diff", "1"), "rpc.retry.attempts", "2", "(unset)")
	if edits := decode[[]config.Edit](t, s.must("config", "diff", "0", "1", "--json")); len(edits) != 2 {
		t.Errorf("diff: %+v", edits)
	}
	contains(t, s.must("config", "diff", "--with", "production"), "rpc.timeout")
	contains(t, s.must("config", "history"), "greeting is slow", "as before", "(unset) → 300ms")
	if all := decode[[]config.Change](t, s.must("config", "history", "--json", "-n", "1")); len(all) != 1 || all[0].Revision != 2 {
		t.Errorf("history: %+v", all)
	}
	contains(t, s.must("config", "rollback", "1", "--reason", "it was better"), "rpc.retry.attempts", "revision 3")
	if c := decode[config.Change](t, s.must("config", "rollback", "0", "--reason", "from the start", "--json")); c.Revision != 4 {
		t.Errorf("rollback: %+v", c)
	}
	got := decode[struct {
		Revision int64          `json:"revision"`
		Entries  []config.Entry `json:"entries"`
	}](t, s.must("config", "get", "--json"))
	if got.Revision != 4 || len(got.Entries) != 0 {
		t.Errorf("get: %+v", got)
	}
	s.must("config", "set", "log.level=debug", "--on", "greeting", "--reason", "to be seen after a restart", "--environment", "production")
	contains(t, s.must("config", "get", "--environment", "production"), "log.level", "revision 1")
	s.must("config", "set", "log.level=warn", "--on", "greeting", "--reason", "to be seen after a restart")
}

func (s *story) configRefuses(t *testing.T) {
	s.refused(`"3" is not a duration such as 250ms, 2s or 1m30s`, "config", "set", "rpc.timeout=3", "--reason", "x")
	s.refused(`unknown setting "rpc.timout"; did you mean rpc.timeout?`, "config", "set", "rpc.timout=3s", "--reason", "x")
	s.refused("trace.sample", "config", "set", "trace.sample=7", "--reason", "x")
	s.refused("revision", "config", "rollback", "99", "--reason", "x")
	nowhere := func(want, on string) { s.refused(want, "config", "set", "log.level=info", "--reason", "x", "--on", on) }
	nowhere("set on greting: no service is called greting; did you mean greeting?; --force sets it all the same", "greting")
	nowhere("has no method Great; it has Greet", contractName+"/Great")
	nowhere("did you mean "+contractName+"?", strings.Replace(contractName, "Service", "Servcie", 1))
	nowhere("did you mean "+contractName+"?", strings.Replace(contractName, "Service", "Servcie", 1)+"/Greet")
	nowhere("did you mean greeting?", "greting:"+contractName+"/Greet")
	s.refused(`there is no environment "prod"`, "config", "get", "--environment", "prod")
	if out := s.must("config", "get"); !strings.Contains(out, "revision 5") {
		t.Errorf("a refused change changed something: %s", out)
	}
}

func (s *story) scale(t *testing.T) {
	contains(t, s.must("scale", "greeting=2"), "greeting/2")
	s.must("wait", "greeting")
	if out := s.must("scale", "greeting=1", "--json"); strings.Contains(out, "greeting/2") {
		t.Errorf("after scaling down: %s", out)
	}
	if got := len(s.instances("greeting")); got != 1 {
		t.Errorf("%d instances", got)
	}
	s.refused("it listens on a fixed address and runs once", "scale", "gateway=2")
	s.refused(`no service "nobody"`, "scale", "nobody=2")
	s.refused("add --yes if that is meant", "scale", "greeting=100000")
	s.refused("want 0 to", "scale", "greeting=100000", "--yes")
}

func (s *story) kill(t *testing.T) {
	before := s.instances("greeting")[0]
	s.must("kill", "greeting/1")
	eventually(t, "the instance is back", func() bool {
		now := s.instances("greeting")[0]
		return now.GetRestarts() == 1 && now.GetPid() != 0 && now.GetPid() != before.GetPid() && now.GetState().String() == "STATE_READY"
	})
	if how := s.instances("greeting")[0].GetLastExit().GetHow(); how != "killed by SIGKILL" {
		t.Errorf("last exit: %q", how)
	}
	contains(t, s.must("ps", "greeting"), "1 (killed by SIGKILL)")
	contains(t, s.must("logs", "warren"), "greeting/1 ended (killed by SIGKILL)")
	s.must("kill", "greeting/1", "--signal", "cont", "--json")
	s.refused("kill greeting/7: no such replica; ps lists them", "kill", "greeting/7")
	s.refused(`unknown signal "LOUD"; for instance SIGKILL`, "kill", "greeting/1", "--signal", "LOUD")
}

// restart shows what the tutorial does: the contract says more, the code is
// written anew, and the running system takes it over.
func (s *story) restart(t *testing.T) {
	s.edit(contractFile, "// GreetingReason is", `// Echo is needed by the test only.
service EchoService {
  // Count greets several times.
  rpc Count(GreetRequest) returns (stream GreetResponse) {
    option (warren.v1.method) = {access: ACCESS_PUBLIC};
  }
}

// GreetingReason is`)
	s.must("generate", s.path("api"))
	s.edit("greeting/service.go", `"Hello, "`, `"Welcome, "`)
	s.edit("greeting/main.go", "return nil", "greetingv1.RegisterEchoServiceServer(app, &echo{})\n\treturn nil")
	s.write("greeting/echo.go", `package main

import greetingv1 "example.com/myshop/api/myshop/greeting/v1"

type echo struct{ greetingv1.UnimplementedEchoServiceServer }

func (e *echo) Count(req *greetingv1.GreetRequest, stream greetingv1.EchoService_CountServer) error {
	for _, text := range []string{"one ", "two "} {
		if err := stream.Send(&greetingv1.GreetResponse{Greeting: text + req.GetName()}); err != nil {
			return err
		}
	}
	return nil
}
`)
	before := s.instances("greeting")[0].GetPid()
	contains(t, s.must("restart", "greeting"), "greeting/1", "ready")
	if after := s.instances("greeting")[0]; after.GetPid() == before || after.GetRestarts() != 1 {
		t.Errorf("after the restart: %v", after)
	}
	contains(t, s.must("call", contractName+"/Greet", `{"name": "Ada"}`), "Welcome, Ada!")
	contains(t, s.must("call", "myshop.greeting.v1.EchoService/Count", `{"name": "Ada"}`), `"one Ada"`, `"two Ada"`)
	s.refused("name: must be at least 2 characters", "call", "myshop.greeting.v1.EchoService/Count", `{"name": "A"}`)
	contains(t, s.must("restart", "--json"), `"gateway/1"`)
	s.refused(`no service "nobody"`, "restart", "greeting", "nobody")
}

func (s *story) brokenCode(t *testing.T) {
	whole := s.read("greeting/echo.go")
	s.write("greeting/echo.go", whole+"\nfunc broken() { undefined() }\n")
	before := s.instances("greeting")[0].GetPid()
	s.refused("echo.go:16:17: undefined: undefined", "restart", "greeting")
	if after := s.instances("greeting")[0].GetPid(); after != before {
		t.Errorf("the process changed from %d to %d", before, after)
	}
	s.write("greeting/echo.go", whole)
}

func (s *story) lint(t *testing.T) {
	contains(t, s.must("lint"), "1 file, 2 methods, 0 problems")
	contains(t, s.must("lint", "--against", "HEAD"), "0 problems")
	contains(t, s.must("lint", "--registered"), "0 problems")
	whole := s.read(contractFile)
	s.edit(contractFile, "string name = 1", "int64 name = 1")
	for _, args := range [][]string{{"lint", "--against", "HEAD"}, {"lint", "--registered"}} {
		r := s.warren(args...)
		if r.status != 1 || r.err != "" || !strings.Contains(r.out, "greeting.proto:") {
			t.Errorf("%v: %+v", args, r)
		}
	}
	r := s.warren("lint", "--json")
	if report := decode[lint.Report](t, r.out); r.status != 1 || len(report.Problems) == 0 {
		t.Errorf("a length for a number: %+v", report) // min_len is a rule of strings
	}
	s.write(contractFile, whole)
	s.refused("find revision nowhere", "lint", "--against", "nowhere")
}

func (s *story) generate(t *testing.T) {
	s.must("generate", "--check", s.path("api"))
	stale := s.read("api/myshop/greeting/v1/greeting.pb.go")
	s.write("api/myshop/greeting/v1/greeting.pb.go", stale+"\n// by hand\n")
	r := s.warren("generate", "--check")
	if r.status != 1 || !strings.Contains(r.out, "greeting.pb.go: is not what its contract generates") || !strings.Contains(r.err, "run: warren generate") {
		t.Errorf("stale code: %+v", r)
	}
	if r := s.warren("generate", "--check", "--json"); len(decode[map[string][]string](t, r.out)["stale"]) != 1 {
		t.Errorf("stale code: %+v", r)
	}
	contains(t, s.must("generate"), "2 files are current")
	contains(t, s.must("generate", "--json"), "greeting_grpc.pb.go")
	if s.read("api/myshop/greeting/v1/greeting.pb.go") != stale {
		t.Error("the code was not written anew")
	}
}

func (s *story) doctor(t *testing.T) {
	contains(t, s.must("doctor"), "machine", "go1.", "the system runs already", "2 methods in 1 files")
	out := s.must("doctor", "--against", "production")
	contains(t, out, "differs", "registry: it survives, in local (etcd inside the supervisor)", "an etcd cluster", "PostgreSQL")
	findings := decode[doctor.Findings](t, s.must("doctor", "--json"))
	if findings.Worst() == doctor.Broken || len(findings) < 5 {
		t.Errorf("findings: %v", findings)
	}
	r := s.warren("doctor", "--environment", "production")
	if r.status != 1 || !strings.Contains(r.out, "does not answer") {
		t.Errorf("engines that are not there: %+v", r)
	}
}

func (s *story) newService(t *testing.T) {
	s.refused("has a service of that name", "new", "service", "greeting")
	made := decode[struct {
		Service string
		Files   []string
	}](t, s.must("new", "service", "parting", "--json"))
	if made.Service != "parting" || !slices.Contains(made.Files, "parting/main.go") {
		t.Errorf("made %+v", made)
	}
	for _, args := range [][]string{{"restart", "parting"}, {"scale", "parting=2"}, {"ps", "parting"}} {
		s.refused("service parting is new in warren.yaml, and this system was started without it; warren down, then warren up", args...)
	}
}

func (s *story) completion(t *testing.T) {
	for args, want := range map[string]string{
		"restart": "gateway\ngreeting\n:4\n", "restart greeting": "gateway\n:4\n", "ps": "gateway\ngreeting\n:4\n",
		"kill": "gateway/1\ngreeting/1\n:4\n", "scale": "gateway=\ngreeting=\n:6\n",
		"logs": "gateway\ngateway/1\ngreeting\ngreeting/1\nwarren\n:4\n",
	} {
		r := s.warren(append(append([]string{"__complete"}, strings.Fields(args)...), "")...)
		if r.out != want {
			t.Errorf("%s: got %q, want %q", args, r.out, want)
		}
	}
}

func (s *story) secondUp(t *testing.T) {
	s.refused("another system runs in it; stop that one with warren down, or give this one a folder of its own with --data", "up")
}

func (s *story) beside(t *testing.T) {
	data := t.TempDir()
	u := s.workshop.up("--data", data, "--environment", "staging")
	if u.GetSystem().GetGateway() == strings.TrimPrefix(s.gateway, "http://") || u.GetSystem().GetData() != data {
		t.Errorf("system: %v", u.GetSystem())
	}
	for _, gateway := range []string{s.gateway, "http://" + u.GetSystem().GetGateway()} {
		if status, body := get(t, gateway+"/v1/greeting/greetings/Ada"); status != 200 {
			t.Errorf("%s: %d %s", gateway, status, body)
		}
	}
	// Each has its own registry, settings and processes; and the environment
	// in which it runs is that of the commands to it.
	if sys := u.GetSystem(); sys.GetEnvironment() != "staging" || len(u.GetInstances()) != 4 {
		t.Errorf("staging: %v", u.ListResponse)
	}
	s.must("--data", data, "config", "set", "log.level=debug", "--reason", "to look")
	contains(t, s.must("--data", data, "config", "get", "--environment", "staging"), "revision 1")
	contains(t, s.must("--data", data, "config", "get", "--environment", "local"), "revision 0")
	contains(t, s.must("config", "get"), "revision 5")
	contains(t, s.must("--data", data, "ps"), "parting/1")
	if out := s.must("ps"); strings.Contains(out, "parting") {
		t.Errorf("the first system knows the second's service: %s", out)
	}
	if out := s.must("--data", data, "down", "--json"); strings.TrimSpace(out) != "{}" {
		t.Errorf("down: %q", out)
	}
	if err := u.wait(); err != nil {
		t.Errorf("down: %v\n%s", err, u.printed(t))
	}
	s.must("wait")
}

func (s *story) killed(t *testing.T, u *upped) {
	pids := []int64{}
	for _, i := range list(t, s.must("ps", "--json")).GetInstances() {
		pids = append(pids, i.GetPid())
	}
	if err := u.end(syscall.SIGKILL); err == nil {
		t.Fatal("the supervisor ended well")
	}
	for _, pid := range pids {
		eventually(t, "no process outlives the supervisor", func() bool { return !alive(pid) })
	}
	for _, args := range []string{"ps", "logs", "wait", "down"} {
		s.refused("is not running: it was killed, and its processes with it; start the system again with: warren up", args)
	}
	for _, args := range [][]string{{"routes"}, {"config", "get"}, {"call", contractName + "/Greet"}} {
		s.refused("start one with: warren up", args...)
	}
	again := s.workshop.up()
	contains(t, s.must("config", "get"), "log.level", "warn")
	if status, body := get(t, "http://"+again.GetSystem().GetGateway()+"/v1/greeting/greetings/Ada"); status != 200 {
		t.Errorf("after the second start: %d %s", status, body)
	}
	s.must("down")
	if err := again.wait(); err != nil {
		t.Errorf("down: %v", err)
	}
	s.refused("no system runs in", "ps")

	fresh := s.workshop.up("--fresh")
	contains(t, s.must("config", "get"), "revision 0")
	if err := fresh.end(syscall.SIGINT); err != nil {
		t.Errorf("Ctrl-C: %v", err)
	}
	contains(t, fresh.printed(t), "draining; press Ctrl-C again to stop hard")
}
