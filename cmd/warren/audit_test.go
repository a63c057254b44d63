package main

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// done is an entry of the audit, as --json prints it.
type done struct{ Time, Author, Role, Via, Action, Target, Reason, From, Error string }

// audit finds in one list what the parts before did by commands, also what was
// refused.
func (s *story) audit(t *testing.T) {
	s.must("scale", "greeting=1", "--reason", "as it was")
	last := decode[[]done](t, s.must("audit", "--json", "--limit", "1"))
	if len(last) != 1 || last[0].Author != author() || last[0].Via != "cli" || last[0].Action != "scale" || last[0].Target != "greeting to 1" || last[0].Reason != "as it was" || last[0].Time == "" {
		t.Errorf("the last thing: %+v", last)
	}
	all := decode[[]done](t, s.must("audit", "--json"))
	for _, want := range []done{
		{Action: "kill", Target: "greeting/1"},
		{Action: "kill", Target: "greeting/7", Error: "kill greeting/7: no such replica; ps lists them"},
		{Action: "scale", Target: "greeting to 2"},
		{Action: "set", Target: "rpc.timeout on /" + contractName + "/Greet, rpc.retry.attempts on /" + contractName + "/Greet", Reason: "greeting is slow"},
		{Action: "set", Target: "log.level on greeting in production", Reason: "to be seen after a restart"},
		{Action: "rollback", Target: "revision 1", Reason: "it was better"},
	} {
		if !slices.ContainsFunc(all, func(d done) bool {
			return d.Action == want.Action && d.Target == want.Target && d.Reason == want.Reason && d.Error == want.Error && d.Author == author() && d.Via == "cli"
		}) {
			t.Errorf("not in the audit: %+v, only\n%+v", want, all)
		}
	}
	text := s.must("audit", "REVISION 1")
	if contains(t, text, "TIME", "rollback", "it was better"); strings.Contains(text, "greeting/7") {
		t.Errorf("filtered: %s", text)
	}
	if before := s.must("console", "audit"); before != s.must("audit") {
		t.Errorf("by its older name: %s", before)
	}
}

// inForce tells what an instance obeys, and which layer says so.
func (s *story) inForce(t *testing.T) {
	eventually(t, "the instance obeys", func() bool {
		out := s.must("config", "in-force", "log.level", "--of", "greeting")
		return strings.Contains(out, "greeting/1") && strings.Contains(out, "warn") && strings.Contains(out, "centre") && !strings.Contains(out, "gateway")
	})
	contains(t, s.must("config", "in-force", "log.level"), "SETTING", "gateway/1", "info", "default", "revision 5")
	if out := s.must("config", "in-force", "--of", "greeting/1", "--changed"); strings.Count(out, "log.level") != 1 || strings.Contains(out, "default") {
		t.Errorf("what is not the default: %s", out)
	}
	found := decode[struct {
		Values []struct{ Setting, Instance string }
	}](t, s.must("config", "in-force", "rpc.retry", "--json"))
	if len(found.Values) < 4 || !strings.HasPrefix(found.Values[0].Setting, "rpc.retry.") {
		t.Errorf("a family: %+v", found)
	}
	s.refused("name a setting, or an instance or a service with --of", "config", "in-force")
	s.refused("no setting is called log.levle", "config", "in-force", "log.levle")
	s.refused(`no instance and no service "nobody" runs`, "config", "in-force", "--of", "nobody")
}

// topology says which breakers are between services: none here, which is told.
func (s *story) topology(t *testing.T) {
	s.someTrace(t)
	contains(t, s.must("traces", "topology"), "FROM", "BREAKERS", "VERSIONS")
	found := decode[struct {
		Breakers []breaker
		Nodes    []struct{ ID string }
	}](t, s.must("traces", "topology", "--json"))
	if found.Breakers == nil || len(found.Breakers) != 0 {
		t.Errorf("breakers: %+v", found)
	}
}

// contracts lists what is served, and what one of them says.
func (s *story) contracts(t *testing.T) {
	contains(t, s.must("contracts"), "CONTRACT", contractName, "greeting")
	contains(t, s.must("contracts", contractName), "METHOD", "Greet", "public", "GET /v1/greeting/greetings/{name}", "reads")
	found := decode[struct {
		Methods []struct{ Name, Access string }
	}](t, s.must("contracts", contractName, "--json"))
	if len(found.Methods) != 1 || found.Methods[0].Name != "Greet" {
		t.Errorf("%+v", found)
	}
	s.refused("nobody serves a.B", "contracts", "a.B")
}

// auditedTogether finds what was done in the console by the command.
func (s *story) auditedTogether(t *testing.T, at string) {
	resp, body := fetch(t, http.MethodGet, at+"/audit", nil)
	contains(t, body, ">cli<", ">console<")
	if resp.StatusCode != http.StatusOK {
		t.Errorf("the page: %s", resp.Status)
	}
	all := decode[[]done](t, s.must("audit", "restart", "--json"))
	if len(all) != 1 || all[0].Via != "console" || all[0].Role != "admin" || all[0].Author != author() || all[0].Reason != "to see" || all[0].From == "" || all[0].Target != "greeting" {
		t.Errorf("by the console: %+v", all)
	}
	called := decode[[]done](t, s.must("audit", "CoordinatorService/Submit", "--json"))
	if len(called) != 1 || called[0].Action != "call" || called[0].Via != "cli" || called[0].Error != "" {
		t.Errorf("called by the command: %+v", called)
	}
}
