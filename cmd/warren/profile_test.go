package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	settingsv1 "github.com/gowarren/warren/api/warren/settings/v1"
	"github.com/gowarren/warren/internal/flame"
)

// profiled takes profiles of a service and of the supervisor by the command, and
// looks at one in the console.
func (s *story) profiled(t *testing.T, console string) {
	file := filepath.Join(t.TempDir(), "goroutines.pb.gz")
	contains(t, s.must("profile", "greeting", "--kind", "goroutine", "--top", "5", "--output", file), "goroutine of greeting/1", "FLAT", "CUM%", "runtime.gopark")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if read, err := flame.Read(data, ""); err != nil || read.Total == 0 {
		t.Errorf("what was written: %v, %v", read, err)
	}
	for _, kind := range []string{"cpu", "heap", "allocs", "mutex", "block"} {
		shown := decode[struct {
			ID, Instance, Kind string
			Functions          []functionCost
		}](t, s.must("profile", "warren", "--kind", kind, "--seconds", "0.2", "--json"))
		if shown.ID == "" || shown.Instance != "warren" || shown.Kind != kind || shown.Functions == nil {
			t.Errorf("%s: %+v", kind, shown)
		}
	}
	kept := ask(t, s.workshop, &observev1.ListProfilesResponse{}, "profile", "list").GetProfiles()
	if len(kept) != 6 || kept[5].GetInstance() != "greeting/1" {
		t.Fatalf("kept: %v", kept)
	}
	contains(t, s.must("profile", "list", "greeting/1"), "ID", "greeting-1-goroutine", "goroutine")
	contains(t, s.must("profile", "show", kept[5].GetId()), "runtime.gopark")
	s.refused("there are", "profile", "greating")
	s.refused("is not kept", "profile", "show", "nothing")
	s.shows(t, console+"/profiles/"+kept[5].GetId())
	resp, body := fetch(t, http.MethodGet, console+"/services/greeting/1", nil)
	if resp.StatusCode != http.StatusOK || !strings.Contains(body, "/profiles/"+kept[5].GetId()) {
		t.Errorf("the instance's page does not lead to it: %s", resp.Status)
	}
}

// compared lays a trace over itself.
func (s *story) compared(t *testing.T) {
	id := s.someTrace(t)
	contains(t, s.must("traces", "compare", id, id), "Both took the same time.", "DIFFERENCE", "greeting")
	same := decode[struct{ Steps []stepCost }](t, s.must("traces", "compare", id, id, "--json")).Steps
	if len(same) == 0 || same[0].A == nil || same[0].B == nil || *same[0].A != *same[0].B || same[0].Difference != 0 {
		t.Errorf("%+v", same)
	}
	if out := s.must("traces", "compare", id, id, "--differs"); strings.Count(out, "\n") != 2 {
		t.Errorf("it differs from itself: %s", out)
	}
}

// policies tells what holds for a service, and who says so.
func (s *story) policies(t *testing.T) {
	s.must("config", "set", "rpc.timeout=1500ms", "--on", contractName, "--reason", "to see it")
	eventually(t, "the centre's word is in force", func() bool {
		return strings.Contains(s.must("policies", "greeting", "--changed"), "rpc.timeout")
	})
	out := s.must("policies", "greeting")
	contains(t, out, "METHOD", "timeout call", "1500ms", "centre", contractName, "access callers", "public", "contract", "breaker window", "default")
	found := ask(t, s.workshop, &settingsv1.ListPoliciesResponse{}, "policies", "greeting")
	if len(found.GetMissing()) > 0 || len(found.GetPolicies()) < 10 {
		t.Errorf("%v", found)
	}
}
