package console

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	"github.com/gowarren/warren/internal/console/frame"
	"github.com/gowarren/warren/internal/flame"
)

// What of a profile is drawn and listed. The rest is in the file that pprof reads.
const (
	flameRows, flameBoxes = 60, 1500
	flameShare            = 0.002
	flameLabel            = 0.012 // a box less wide has no room for a word
	flameFunctions        = 200
	flameHeight           = 20 // of a row, in pixels
)

type profileView struct {
	About               *observev1.Profile
	Title, Instance     string
	Facts               []fact
	Values              []tab
	Boxes               []flameBox
	Height, Left        int
	Query, Found, Reset string
	Focus               string
	Functions           *frame.Table
	Empty               bool
	Command, Spoken     string
}

// Export is the list of functions.
func (v profileView) Export() *frame.Table { return v.Functions }

// Legend names the colours.
func (v profileView) Legend() []legend {
	return []legend{{"own", "this system"}, {"library", "libraries"}, {"standard", "standard library"}, {"runtime", "Go runtime"}}
}

// flameBox is a function in the graph; X and Width are shares of the whole.
type flameBox struct {
	Href, Class, Label, Title string
	X, Width                  float64
	Y                         int
}

func (s *screens) profile(r *frame.Request) (any, error) {
	found, err := s.profiles.Get(r.Context(), &observev1.GetProfileRequest{Id: r.PathValue("profile")})
	if err != nil {
		return nil, err
	}
	about := found.GetProfile()
	read, err := flame.Read(found.GetData(), r.Get("value"))
	if err != nil {
		return nil, &frame.Problem{Status: 422, Title: "This profile can't be read", Text: err.Error()}
	}
	focus := read.Find(r.Get("focus"))
	if focus == nil {
		focus = read.Root
	}
	v := profileView{
		About: about, Title: kindTitle(about.GetKind()), Instance: about.GetInstance(), Query: r.Get("q"), Empty: read.Total == 0,
		Command: fmt.Sprintf("warren profile show %s --output profile.pb.gz && go tool pprof -http : profile.pb.gz", about.GetId()),
	}
	if focus != read.Root {
		v.Focus, v.Reset = flame.Short(focus.Name), r.With("focus", "")
	}
	v.Facts = []fact{
		{"Taken", about.GetTime().AsTime().Local().Format("2006-01-02 15:04:05")}, {"In all", costOf(read.Total, read.Unit)},
		{"Version", cmp.Or(about.GetVersion(), "–")},
	}
	if about.GetDuration() != nil {
		v.Facts = append(v.Facts, fact{"Recorded for", frame.Span(about.GetDuration().AsDuration())})
	}
	for _, name := range read.Values {
		v.Values = append(v.Values, tab{strings.ReplaceAll(name, "_", " "), r.With("value", name), name == read.Value})
	}
	v.draw(r, read, focus)
	v.Functions = r.Sorted(functionTable(r, read, v.Query), "-flat")
	return v, nil
}

// draw places the boxes, and tells how much is what is searched for.
func (v *profileView) draw(r *frame.Request, read *flame.Profile, focus *flame.Frame) {
	boxes, left := flame.Layout(focus, flame.Limits{Rows: flameRows, Boxes: flameBoxes, Share: flameShare})
	v.Left = left
	for _, b := range boxes {
		one := flameBox{
			Href: r.With("focus", b.ID), Class: originOf(b.Name), X: b.X, Width: b.Width, Y: b.Row * flameHeight,
			Title: fmt.Sprintf("%s: %s, %s of all", b.Name, costOf(b.Total, read.Unit), frame.Amount(share(b.Total, read.Total), "%")),
		}
		switch {
		case matches(b.Name, v.Query):
			one.Class = "hit"
		case b.Above:
			one.Class = "above"
		}
		if b.Width >= flameLabel {
			one.Label = flame.Short(b.Name)
		}
		v.Height = max(v.Height, one.Y+flameHeight)
		v.Boxes = append(v.Boxes, one)
	}
	v.Spoken = fmt.Sprintf("Flame graph of %d functions below %s; the table has the figures", len(boxes), focus.Name)
	if v.Query != "" {
		v.Found = fmt.Sprintf("%s is in %s of it", v.Query, frame.Amount(share(within(focus, v.Query), focus.Total), "%"))
	}
}

// within is what functions of a name cost below a frame, those that call
// themselves once.
func within(f *flame.Frame, query string) int64 {
	if matches(f.Name, query) {
		return f.Total
	}
	var sum int64
	for _, c := range f.Children {
		sum += within(c, query)
	}
	return sum
}

func matches(name, query string) bool {
	return query != "" && strings.Contains(strings.ToLower(name), strings.ToLower(query))
}

func share(part, whole int64) float64 { return float64(part) / float64(max(whole, 1)) }

func functionTable(r *frame.Request, read *flame.Profile, query string) frame.Table {
	t := frame.Table{
		Caption: "Functions",
		Columns: []frame.Column{
			{Key: "function", Title: "Function"}, {Key: "flat", Title: "Itself", Number: true}, {Key: "flat-share", Title: "Share", Number: true, Wide: true},
			{Key: "cum", Title: "With what it called", Number: true}, {Key: "cum-share", Title: "Share", Number: true, Wide: true},
		},
		Empty: frame.Empty{Title: "No function is called that", Text: "None in this profile has it in its name.", Clear: r.With("q", "")},
	}
	all, fit := read.Functions(), 0
	for _, f := range all {
		if query != "" && !matches(f.Name, query) {
			continue
		}
		if fit++; fit > flameFunctions {
			continue
		}
		where := flame.Package(f.Name)
		if f.File != "" {
			where = fmt.Sprintf("%s:%d", f.File[strings.LastIndexByte(f.File, '/')+1:], f.Line) + " in " + where
		}
		flat, cum := share(f.Flat, read.Total), share(f.Cum, read.Total)
		t.Rows = append(t.Rows, frame.Row{ID: "function-" + f.Frame.ID, Href: r.With("focus", f.Frame.ID), Cells: []frame.Cell{
			{Text: flame.Short(f.Name), Sub: where, Title: f.Name},
			{Text: costOf(f.Flat, read.Unit), Order: float64(f.Flat)}, {Text: frame.Amount(flat, "%"), Order: flat, Share: flat},
			{Text: costOf(f.Cum, read.Unit), Order: float64(f.Cum)}, {Text: frame.Amount(cum, "%"), Order: cum, Share: cum},
		}})
	}
	t.Note = fmt.Sprintf("%d of %d", len(t.Rows), len(all))
	return t
}

// costOf writes a value in its unit.
func costOf(v int64, unit string) string {
	switch unit {
	case "nanoseconds":
		return frame.Span(time.Duration(v))
	case "bytes":
		return frame.Amount(float64(v), "B")
	}
	return frame.Count(v)
}

// originOf colours a function by whose it is.
func originOf(name string) string {
	pkg := flame.Package(name)
	first, _, _ := strings.Cut(pkg, "/")
	switch {
	case name == "all":
		return "above"
	case pkg == "runtime" || strings.HasPrefix(pkg, "runtime/") || strings.HasPrefix(pkg, "internal/runtime/"):
		return "runtime"
	case pkg == "main" || strings.HasPrefix(pkg, "github.com/gowarren/warren"):
		return "own"
	case strings.Contains(first, "."):
		return "library"
	}
	return "standard"
}
