package frame

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
)

// TestJSON writes every kind of cell as programs want it.
func TestJSON(t *testing.T) {
	table := &Table{
		Columns: []Column{
			{Key: "name"}, {Key: "n", Number: true}, {Key: "rate", Number: true}, {Key: "none", Number: true}, {Key: "zero", Number: true}, {Key: "plain", Number: true},
			{Key: "span", Number: true}, {Key: "at", Number: true}, {Title: "Served by"}, {Key: "state"}, {Title: ""}, {Key: "odd", Number: true}, {Key: "nan", Number: true}, {Key: "cut"},
		},
		Rows: []Row{{Cells: []Cell{
			Text("=cmd"), Number(1234567), Measured(0.25, "/s"), Text("–"), Measured(0, "s"), Text("42"),
			{Text: "1 min 02 s", Order: 62.5}, At(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)), {Chips: []string{"a", "b"}}, {Status: &Status{"ready", Good}, Sub: "since then"},
			{Actions: []Link{{Text: "Kill"}}}, Text("7 of 9"), Measured(math.NaN(), "s"), {Text: "a long …", Title: "a long story"},
		}}},
	}
	var out strings.Builder
	if err := table.writeJSON(&out); err != nil {
		t.Fatal(err)
	}
	var got []map[string]any
	if err := json.Unmarshal([]byte(out.String()), &got); err != nil {
		t.Fatal(err)
	}
	want := []map[string]any{{
		"name": "=cmd", "n": 1234567.0, "rate": 0.25, "none": nil, "zero": 0.0, "plain": 42.0, "span": 62.5, "at": "2026-01-02T03:04:05Z", "served_by": []any{"a", "b"},
		"state": "ready", "odd": "7 of 9", "nan": nil, "cut": "a long story",
	}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%v\nwant %v", got, want)
	}
	out.Reset()
	if err := (&Table{}).writeJSON(&out); err != nil || strings.TrimSpace(out.String()) != "[]" {
		t.Errorf("nothing is %q, %v", out.String(), err)
	}
	out.Reset()
	if err := table.writeCSV(&out); err != nil || !strings.Contains(out.String(), "'=cmd,") || !strings.Contains(out.String(), `,"a, b",ready,`) {
		t.Errorf("%v: %s", err, out.String())
	}
}
