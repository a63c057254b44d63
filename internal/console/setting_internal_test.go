package console

import (
	"testing"

	settingsv1 "github.com/gowarren/warren/api/warren/settings/v1"
)

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
