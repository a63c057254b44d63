package control

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	fleetv1 "github.com/gowarren/warren/api/warren/fleet/v1"
	settingsv1 "github.com/gowarren/warren/api/warren/settings/v1"
)

// TestInForceOfInstances asks for one setting of all, and for all of one
// instance, of which one is a revision behind.
func TestInForceOfInstances(t *testing.T) {
	s := settled(t)
	for _, req := range []*settingsv1.SetRequest{set("test.pause", "all", "5s"), set("test.mode", "order", "fast"), set("test.password", "order", "pa55word three")} {
		if _, err := s.Set(t.Context(), req); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.InForce(t.Context(), &settingsv1.InForceRequest{}); status.Code(err) != codes.Unimplemented {
		t.Errorf("of nobody: %v", err)
	}
	s.instances = func() ([]*fleetv1.Instance, error) {
		return []*fleetv1.Instance{
			{Id: "payment/1", Service: "payment", Number: 1, State: fleetv1.State_STATE_READY, SettingsRevision: 3},
			{Id: "order/2", Service: "order", Number: 2, State: fleetv1.State_STATE_CRASH_LOOP},
			{Id: "order/1", Service: "order", Number: 1, State: fleetv1.State_STATE_READY, SettingsRevision: 1},
		}, nil
	}
	for _, c := range []struct{ setting, of, want string }{
		{"test.pause", "", "test.pause order/1 ready 1 5s centre all;test.pause order/2 crash_loop 0 5s centre all;test.pause payment/1 ready 3 5s centre all"},
		{"", "order/1", "later.token order/1 ready 1 [redacted] file all;test.mode order/1 ready 1 slow default ;test.password order/1 ready 1 [redacted] file all;test.pause order/1 ready 1 5s centre all"},
		{"test.mode", "order", "test.mode order/1 ready 1 slow default ;test.mode order/2 crash_loop 0 fast centre order"},
	} {
		found, err := s.InForce(t.Context(), &settingsv1.InForceRequest{Setting: c.setting, Of: c.of})
		var got []string
		for _, v := range found.GetValues() {
			got = append(got, fmt.Sprintf("%s %s %s %d %s %s %s", v.GetSetting(), v.GetInstance(), v.GetState(), v.GetRevision(),
				v.GetValue().GetValue(), v.GetValue().GetLayer(), v.GetValue().GetScope()))
		}
		if text := strings.Join(got, ";"); err != nil || found.GetRevision() != 3 || text != c.want {
			t.Errorf("%s of %s: %v\n got %s\nwant %s", c.setting, c.of, err, text, c.want)
		}
		if strings.Contains(found.String(), "pa55word") {
			t.Errorf("a secret is told: %v", found)
		}
	}
	for _, req := range []*settingsv1.InForceRequest{{Setting: "test.paus"}, {Of: "nobody"}} {
		if _, err := s.InForce(t.Context(), req); status.Code(err) != codes.NotFound {
			t.Errorf("%v: %v", req, err)
		}
	}
}

// TestInForce takes the value of a process from the layers, now and at the
// revision that it runs.
func TestInForce(t *testing.T) {
	text := func(s string) *string { return &s }
	one := &settingsv1.Setting{Name: "a", Default: "1", Values: []*settingsv1.Value{
		{Scope: "order", Value: "5", Layer: "centre"}, {Scope: "all", Value: "4", Layer: "centre"}, {Scope: "/x.Y/Z", Value: "9", Layer: "centre"},
		{Scope: "payment", Value: "3", Layer: "file"}, {Scope: "all", Value: "2", Layer: "file"},
	}}
	changes := []*settingsv1.Change{
		{Revision: 9, Edits: []*settingsv1.Edit{{Name: "a", Scope: "all", Old: text("7"), New: text("4")}}},
		{Revision: 8, Edits: []*settingsv1.Edit{{Name: "b", Scope: "all", New: text("0")}, {Name: "a", Scope: "all", New: text("7")}}},
		{Revision: 7, Edits: []*settingsv1.Edit{{Name: "a", Scope: "order", Old: text("6"), New: text("5")}}},
	}
	for _, c := range []struct {
		service     string
		revision    int64
		want, layer string
	}{
		{"order", 9, "5", "centre"}, {"payment", 9, "4", "centre"}, {"cart", 9, "4", "centre"}, {"cart", 0, "4", "centre"}, // the centre's comes first, also where the file's is narrower
		{"cart", 8, "7", "centre"}, {"cart", 7, "2", "file"}, {"payment", 7, "3", "file"}, {"order", 7, "5", "centre"}, {"order", 6, "6", "centre"},
	} {
		if got := resolved(one, c.service, past("a", changes, c.revision)); got.GetValue() != c.want || got.GetLayer() != c.layer {
			t.Errorf("%s at revision %d: %s of %s, want %s of %s", c.service, c.revision, got.GetValue(), got.GetLayer(), c.want, c.layer)
		}
	}
	if got := resolved(&settingsv1.Setting{Default: "1"}, "cart", nil); got.GetValue() != "1" || got.GetLayer() != "default" {
		t.Errorf("by default: %v", got)
	}
}
