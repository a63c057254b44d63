package main

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestMistakesInTheCommandLineAreOneLine(t *testing.T) {
	tests := map[string]struct {
		args string
		want string
	}{
		"unknown command":        {"restrat", `unknown command "restrat"; did you mean restart?`},
		"far from any command":   {"frobnicate", `unknown command "frobnicate"; warren --help lists the commands`},
		"unknown below a group":  {"config gett", `unknown command "gett"; did you mean get?`},
		"unknown kind":           {"new servise x", `unknown command "servise"; did you mean service?`},
		"unknown flag":           {"ps --all", "unknown flag: --all; warren ps --help lists the flags"},
		"wrong value of a flag":  {"wait --timeout soon", `invalid argument "soon" for "--timeout" flag`},
		"flag without value":     {"up --gateway", "flag needs an argument: --gateway; warren up --help lists the flags"},
		"nothing to scale":       {"scale", "warren scale takes one service=replicas, such as catalog=3; got nothing"},
		"too much to kill":       {"kill a/1 b/1", "warren kill takes one instance, such as catalog/1; warren ps lists them; got a/1 b/1"},
		"words after down":       {"down now", "warren down takes no arguments; got now"},
		"no name":                {"new service", "warren new service takes the name of the service; got nothing"},
		"nothing to call":        {"call", "warren call takes contract/method and, if it needs one, a request in JSON; got nothing"},
		"no method":              {"call shop.catalog.v1.CatalogService", "want contract/method, for instance"},
		"replicas in words":      {"scale catalog=three", "want service=replicas, for instance catalog=3"},
		"nothing to set":         {"config set", "warren config set takes settings as name=value, or name- to remove a value; got nothing"},
		"no reason":              {"config set rpc.timeout=1s", "say why with --reason"},
		"no reason to roll back": {"config rollback 1", "say why with --reason"},
		"no value":               {"config set rpc.timeout --reason x", "want name=value, or name- to remove the value"},
		"scope that is none":     {"config set rpc.timeout=1s --reason x --on a/b/c", "a/b/c"},
		"revision in words":      {"config rollback last --reason x", `"last" is no revision: want a number; warren config history lists them`},
		"nothing to compare":     {"config diff", "name a revision"},
		"no reason to skip":      {"tx skip checkout/1 ship", "say why with --reason"},
		"no step to skip":        {"tx skip checkout/1 --reason x", "warren tx skip takes a transaction and one of its steps; warren tx show lists them; got checkout/1"},
		"no transaction":         {"tx retry --reason x", "warren tx retry takes one transaction; warren tx list lists them; got nothing"},
		"no request to edit":     {"tx edit checkout/1 ship --reason x", "give the request either as JSON or with --data-file"},
		"state that is none":     {"tx list --state lost", `there is no state "lost"; there are failed, prepared, running, succeeded, undoing, waiting`},
		"nobody to profile":      {"profile", "warren profile takes a service, an instance such as catalog/1, or warren; warren ps lists them; got nothing"},
		"kind that is none":      {"profile order --kind brain", `unknown kind "brain"; there are cpu, heap, allocs, goroutine, mutex and block`},
		"two comparisons":        {"lint --against main --registered ../../api", "choose one"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := execute(t.Context(), nil, strings.Fields(tt.args)...)
			if r.status != 1 || r.out != "" || !strings.HasPrefix(r.err, "warren: ") || !strings.Contains(r.err, tt.want) {
				t.Errorf("status %d, got %q, want %q", r.status, r.err+r.out, tt.want)
			}
			if strings.Count(r.err, "\n") != 1 {
				t.Errorf("more than one line: %q", r.err)
			}
		})
	}
}

func TestCommandsWithoutASystemSayHowToStartOne(t *testing.T) {
	file := t.TempDir() + "/warren.yaml"
	for _, args := range []string{
		"ps", "logs", "wait", "restart", "scale a=1", "kill a/1", "down",
		"routes", "call a.B/C", "config get", "config list", "config history", "config set a=1 --reason x",
		"tx list", "tx show checkout/1", "tx retry checkout/1 --reason x",
	} {
		r := execute(t.Context(), nil, append([]string{"--file", file}, strings.Fields(args)...)...)
		if r.status != 1 || !strings.HasSuffix(r.err, "start one with: warren up\n") {
			t.Errorf("warren %s: status %d, %q", args, r.status, r.err)
		}
	}
	r := execute(t.Context(), nil, "--file", file, "up")
	if want := "begin a system with: warren new service greeting"; r.status != 1 || !strings.Contains(r.err, want) {
		t.Errorf("warren up: status %d, %q, want %q", r.status, r.err, want)
	}
	if r := execute(t.Context(), nil, "--file", file, "doctor"); r.status != 1 || !strings.Contains(r.err, file) {
		t.Errorf("warren doctor: status %d, %q", r.status, r.err)
	}
}

func TestVersion(t *testing.T) {
	if r := execute(t.Context(), nil, "version"); r.status != 0 || !strings.HasPrefix(r.out, "warren ") {
		t.Errorf("got %+v", r)
	}
	r := execute(t.Context(), nil, "version", "--json")
	if v := decode[map[string]string](t, r.out); v["version"] == "" || !strings.HasPrefix(v["go"], "go1.") || v["platform"] == "" {
		t.Errorf("got %v", v)
	}
}

func TestHelpAndCompletion(t *testing.T) {
	if r := execute(t.Context(), nil); r.status != 0 || !strings.Contains(r.out, "Look into it:") {
		t.Errorf("help: %+v", r)
	}
	if r := execute(t.Context(), nil, "config"); r.status != 0 || !strings.Contains(r.out, "rollback") {
		t.Errorf("help of a group: %+v", r)
	}
	if r := execute(t.Context(), nil, "completion", "bash"); r.status != 0 || !strings.Contains(r.out, "__start_warren") {
		t.Errorf("completion: status %d, %.100q", r.status, r.out)
	}
	// Without a system there is nothing to complete, and no error either.
	r := execute(t.Context(), nil, "--file", t.TempDir()+"/warren.yaml", "__complete", "restart", "")
	if r.status != 0 || !strings.HasPrefix(r.out, ":") {
		t.Errorf("completion of services: %+v", r)
	}
}

func TestWhatTheUserEndsIsNoError(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if r := execute(ctx, nil, "--file", "testdata/none.yaml", "generate", "../../api"); r.status != interrupted || r.err != "" {
		t.Errorf("got %+v", r)
	}
}

// TestGatewayAlone shows the flags of a process of a system.
func TestGatewayAlone(t *testing.T) {
	play := func(args ...string) (string, error) {
		cmd := exec.Command(os.Args[0], append([]string{"gateway"}, args...)...)
		cmd.Env = append(os.Environ(), playing+"=1")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	out, err := play("--help")
	if err != nil || !strings.Contains(out, "--registry") || !strings.Contains(out, "WARREN_REGISTRY") {
		t.Errorf("help: %v\n%s", err, out)
	}
	out, err = play("--registri", "x")
	if want := "warren: read flags: flag provided but not defined: -registri; --help lists them\n"; err == nil || out != want {
		t.Errorf("a wrong flag: %v, got %q, want %q", err, out, want)
	}
}

func TestReadable(t *testing.T) {
	tests := map[string]string{
		"plain text":  "plain text",
		"{not JSON":   "{not JSON",
		"{}":          "{}",
		`{"msg":"x"}`: `{"msg":"x"}`,
		`{"time":"2026-01-02T03:04:05.678Z","level":"WARN","msg":"slow","service":"a","instance":"a/1.1","version":"v","environment":"local","ms":12.5,"why":"too much","user":"","path":"/v1"}`: `WARN slow ms=12.5 why="too much" path=/v1`,
		`{"time":"2026-01-02T03:04:05Z","level":"ERROR","msg":"panic","stack":"a\nb\n","tags":["x","y"]}`:                                                                                        "ERROR panic stack=\n    a\n    b tags=[\"x\",\"y\"]",
	}
	for text, want := range tests {
		got := readable(text)
		if len(got) > 13 && got[2] == ':' {
			got = got[13:] // the time is this machine's
		}
		if got != want {
			t.Errorf("%s:\ngot  %q\nwant %q", text, got, want)
		}
	}
}
