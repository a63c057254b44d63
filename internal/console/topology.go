package console

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	"github.com/gowarren/warren/internal/console/frame"
)

type topologyView struct {
	Nodes         []nodeView
	Edges         []edgeView
	Width, Height int
	Least         int // width, when the page has less room; 0: as small as it has to be
	Table         *frame.Table
	Tabs          []tab
	Note          string
	Empty         frame.Empty
	Around        string
}

// Export is who calls whom.
func (v topologyView) Export() *frame.Table { return v.Table }

type nodeView struct {
	ID, Name, Sub, Href, Says string
	Full, Kind                string
	Tone                      frame.Tone
	X, Y, W, H                int
}

type edgeView struct {
	Path, Text, Says string
	Tone             frame.Tone
	Async            bool
	TX, TY           int
}

func (s *screens) topology(r *frame.Request) (any, error) {
	found, err := seldom(r, s.answers, "topology", func(ctx context.Context) (*observev1.TopologyResponse, error) {
		return s.traces.Topology(ctx, &observev1.TopologyRequest{
			From: timestamppb.New(r.Range.From), To: timestamppb.New(r.Range.To), Services: named(r.Get("around")),
		})
	})
	if err != nil {
		return nil, err
	}
	ill := r.Get("show") == "unhealthy"
	v := topologyView{Around: r.Get("around"), Tabs: []tab{{"All", r.With("show", ""), !ill}, {"Unhealthy only", r.With("show", "unhealthy"), ill}}}
	v.Empty = frame.Empty{
		Title: "No calls in this span of time",
		Text:  "The picture is drawn from what traces have shown. Call something, and it appears; this lists what there is to call:",
		Code:  "warren routes",
	}
	broken, err := s.broken(r)
	r.Missing("The breakers", err)
	nodes, edges := found.GetNodes(), edgesOf(found.GetEdges(), broken)
	if ill {
		nodes, edges = unhealthy(nodes, edges)
		v.Empty = frame.Empty{
			Title: "Nothing is unhealthy", Clear: r.With("show", ""),
			Text: "No call in this span of time failed more often than once in a thousand, and no breaker is open.",
		}
	}
	v.draw(nodes, edges)
	v.Table = edgeTable(r, nodes, edges)
	if found.GetTruncated() {
		v.Note = "There were more edges than are kept; some are missing."
	}
	if n := found.GetUnpaired(); n > 0 {
		v.Note += fmt.Sprintf(" The other side of %s calls was not recorded; they are in no edge.", frame.Count(n))
	}
	return v, nil
}

// unhealthy leaves the edges with errors or open breakers, and who stands at
// their ends.
func unhealthy(nodes []*observev1.TopologyNode, edges []edge) ([]*observev1.TopologyNode, []edge) {
	at := map[string]bool{}
	var ill []edge
	for _, e := range edges {
		if tone := e.tone(); tone == frame.Bad || tone == frame.Warn {
			ill = append(ill, e)
			at[e.GetFrom()], at[e.GetTo()] = true, true
		}
	}
	var out []*observev1.TopologyNode
	for _, n := range nodes {
		if at[n.GetId()] {
			out = append(out, n)
		}
	}
	return out, ill
}

func edgeTone(calls, errors int64) frame.Tone {
	if calls == 0 {
		return frame.Idle
	}
	switch share := float64(errors) / float64(calls); {
	case share > tooManyErrors:
		return frame.Bad
	case share > someErrors:
		return frame.Warn
	}
	return frame.Good
}

func edgeTable(r *frame.Request, nodes []*observev1.TopologyNode, edges []edge) *frame.Table {
	t := frame.Table{
		Caption: "Who calls whom",
		Columns: []frame.Column{
			{Key: "from", Title: "From"}, {Key: "to", Title: "To"}, {Key: "rate", Title: "Calls", Number: true}, {Key: "errors", Title: "Errors", Number: true},
			{Key: "p50", Title: "p50", Number: true, Wide: true}, {Key: "p95", Title: "p95", Number: true},
			{Key: "breakers", Title: "Breakers"}, {Key: "versions", Title: "Versions", Fixed: true, Wide: true},
		},
		Note: strconv.Itoa(len(edges)),
	}
	names := map[string]string{}
	for _, n := range nodes {
		names[n.GetId()] = n.GetName()
	}
	for i, e := range edges {
		failed := frame.Measured(e.share(), "%")
		if tone := edgeTone(e.GetCalls(), e.GetErrors()); tone == frame.Bad || tone == frame.Warn {
			failed.Status = &frame.Status{Word: failed.Text, Tone: tone}
		}
		p50, p95 := e.GetP50().AsDuration(), e.GetP95().AsDuration()
		t.Rows = append(t.Rows, frame.Row{ID: fmt.Sprintf("edge-%d", i), Href: edgeTraces(r, names, e), Cells: []frame.Cell{
			{Text: names[e.GetFrom()], Sub: kindOfID(e.GetFrom())}, {Text: names[e.GetTo()], Sub: kindOfID(e.GetTo())},
			frame.Measured(e.GetCallsPerSecond(), "/s"), failed,
			{Text: frame.Span(p50), Order: p50.Seconds()}, {Text: frame.Span(p95), Order: p95.Seconds()},
			e.breakerCell(), {Chips: e.split()},
		}})
	}
	return r.Sorted(t, "-rate")
}

// edgeTraces leads from an edge to the traces that drew it: to those with an error
// if there are any, else to the slowest.
func edgeTraces(r *frame.Request, names map[string]string, e edge) string {
	q := url.Values{}
	for _, key := range []string{"from", "to"} {
		if v := r.Get(key); v != "" {
			q.Set(key, v)
		}
	}
	for _, id := range []string{e.GetFrom(), e.GetTo()} { // who called knows most of it
		if kindOfID(id) == "" {
			q.Set("service", names[id])
			break
		}
	}
	if e.GetErrors() > 0 {
		q.Set("errors", "1")
	} else {
		q.Set("order", "slowest")
	}
	return "/traces?" + q.Encode()
}

func kindOfID(id string) string {
	kind, _, _ := strings.Cut(id, ":")
	if kind == "service" {
		return ""
	}
	return kind
}
