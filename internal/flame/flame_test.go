package flame_test

import (
	"bytes"
	"compress/gzip"
	"runtime/pprof"
	"strings"
	"testing"

	"github.com/google/pprof/profile"

	"github.com/gowarren/warren/internal/flame"
)

// made writes a profile of stacks, the outermost call first, with what each cost.
func made(t *testing.T, types []*profile.ValueType, stacks map[string][]int64) []byte {
	t.Helper()
	p := &profile.Profile{SampleType: types}
	known := map[string]*profile.Location{}
	for text, values := range stacks {
		s := &profile.Sample{Value: values}
		for name := range strings.SplitSeq(text, ";") {
			if known[name] == nil {
				f := &profile.Function{ID: uint64(len(known) + 1), Name: name, Filename: "/src/" + name + ".go"}
				p.Function = append(p.Function, f)
				known[name] = &profile.Location{ID: f.ID, Line: []profile.Line{{Function: f, Line: 7}}}
				p.Location = append(p.Location, known[name])
			}
			s.Location = append([]*profile.Location{known[name]}, s.Location...)
		}
		p.Sample = append(p.Sample, s)
	}
	var b bytes.Buffer
	if err := p.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

var cpu = []*profile.ValueType{{Type: "samples", Unit: "count"}, {Type: "cpu", Unit: "nanoseconds"}}

func read(t *testing.T, data []byte, value string) *flame.Profile {
	t.Helper()
	p, err := flame.Read(data, value)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestTree(t *testing.T) {
	p := read(t, made(t, cpu, map[string][]int64{
		"main;serve;parse":       {3, 30},
		"main;serve;write;parse": {2, 20},
		"main;serve":             {1, 10},
		"main;fib;fib;fib":       {4, 40},
	}), "")
	if p.Value != "cpu" || p.Unit != "nanoseconds" || p.Total != 100 || strings.Join(p.Values, " ") != "samples cpu" {
		t.Errorf("%s in %s of %v: %d", p.Value, p.Unit, p.Values, p.Total)
	}
	want := map[string][2]int64{"fib": {40, 40}, "parse": {50, 50}, "serve": {10, 60}, "main": {0, 100}, "write": {0, 20}}
	all := p.Functions()
	if len(all) != len(want) || all[0].Name != "parse" {
		t.Errorf("functions: %d, first %s", len(all), all[0].Name)
	}
	for _, f := range all {
		if got := [2]int64{f.Flat, f.Cum}; got != want[f.Name] {
			t.Errorf("%s: %v, want %v", f.Name, got, want[f.Name])
		}
		if p.Find(f.Frame.ID) != f.Frame || f.Frame.Name != f.Name || f.File == "" || f.Line != 7 {
			t.Errorf("%s: its frame is %+v", f.Name, f.Frame)
		}
	}
	if main := p.Root.Children[0]; main.Children[0].Name != "serve" || main.Children[1].Name != "fib" {
		t.Error("the most expensive is not first")
	}
	if again := read(t, made(t, cpu, map[string][]int64{"main;fib": {1, 1}}), "samples"); again.Root.Children[0].Children[0].ID != p.Root.Children[0].Children[1].ID {
		t.Error("the id of a frame is another one in another profile")
	}
	if p.Find("nothing") != nil {
		t.Error("found what is not there")
	}
}

func TestLayout(t *testing.T) {
	p := read(t, made(t, cpu, map[string][]int64{"a;b;c": {1, 600}, "a;b;d": {1, 300}, "a;e": {1, 99}, "a;f": {1, 1}}), "")
	limits := flame.Limits{Rows: 10, Boxes: 100, Share: 0.005}
	text := func(boxes []flame.Box) string {
		var b strings.Builder
		for _, x := range boxes {
			b.WriteString(strings.Repeat(" ", x.Row) + x.Name + ";")
		}
		return b.String()
	}
	boxes, left := flame.Layout(p.Root, limits)
	if got := text(boxes); got != "all; a;  b;  e;   c;   d;" || left != 1 {
		t.Errorf("%s, %d left out", got, left)
	}
	if e := boxes[3]; e.X != 0.9 || e.Width != 0.099 {
		t.Errorf("e at %v, %v", e.X, e.Width)
	}
	boxes, _ = flame.Layout(boxes[2].Frame, limits)
	if got := text(boxes); got != "all; a;  b;   c;   d;" || !boxes[1].Above || boxes[2].Above || boxes[4].X < 0.66 {
		t.Errorf("below b: %s %+v", got, boxes)
	}
	for name, l := range map[string]flame.Limits{"rows": {Rows: 2, Boxes: 100}, "boxes": {Rows: 9, Boxes: 2}} {
		if boxes, left := flame.Layout(p.Root, l); text(boxes) != "all; a;" || left != 5 {
			t.Errorf("%s: %s, %d left out", name, text(boxes), left)
		}
	}
}

// TestOwn reads what this process says of itself.
func TestOwn(t *testing.T) {
	for _, name := range []string{"goroutine", "heap", "allocs", "mutex", "block"} {
		var b bytes.Buffer
		if err := pprof.Lookup(name).WriteTo(&b, 0); err != nil {
			t.Fatal(err)
		}
		p := read(t, b.Bytes(), "")
		want := map[string]string{"goroutine": "goroutine", "heap": "inuse_space", "allocs": "alloc_space", "mutex": "delay", "block": "delay"}
		if p.Value != want[name] {
			t.Errorf("%s is about %s", name, p.Value)
		}
		if name == "goroutine" && (p.Total == 0 || len(p.Functions()) < 3) {
			t.Errorf("%d goroutines", p.Total)
		}
	}
}

func TestUnreadable(t *testing.T) {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, _ = w.Write([]byte("nothing of the kind"))
	_ = w.Close()
	for _, data := range [][]byte{nil, []byte("text"), packed.Bytes()} {
		if _, err := flame.Read(data, ""); err == nil || !strings.HasPrefix(err.Error(), "read the profile: ") {
			t.Errorf("%q: %v", data, err)
		}
	}
}

func TestNames(t *testing.T) {
	for name, want := range map[string][2]string{
		"net/http.(*conn).serve":                          {"net/http", "http.(*conn).serve"},
		"runtime.gcBgMarkWorker":                          {"runtime", "runtime.gcBgMarkWorker"},
		"github.com/x/y.v2/z.Do":                          {"github.com/x/y.v2/z", "z.Do"},
		"slices.pdqsort[go.shape.*uint8,example.com/a.B]": {"slices", "slices.pdqsort[go.shape.*uint8,example.com/a.B]"},
		"0x4711": {"0x4711", "0x4711"},
	} {
		if got := [2]string{flame.Package(name), flame.Short(name)}; got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}
