package signals

import (
	"cmp"
	"encoding/hex"
	"encoding/json"
	"math"
	"slices"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	"github.com/gowarren/warren/internal/signals/segment"
)

// tree is a trace put together from its spans, which came in any order, some
// twice and some not at all.
type tree struct {
	resources []*observev1.Resource
	known     map[string]int32 // resources by what they say
	nodes     map[pcommon.SpanID]*node
	roots     []*node
	skewed    bool // a clock was far off when its spans came
	moved     bool // a span is shown at another time than it says
}

type node struct {
	span       *observev1.Span
	start, end int64 // adjusted
	parent     *node
	children   []*node
}

func newTree(id segment.ID, chunks []ptrace.Traces, skewed bool) *tree {
	t := &tree{known: map[string]int32{}, nodes: map[pcommon.SpanID]*node{}, skewed: skewed}
	for _, td := range chunks {
		for _, rs := range td.ResourceSpans().All() {
			resource := t.resource(rs.Resource())
			for _, ss := range rs.ScopeSpans().All() {
				for _, s := range ss.Spans().All() {
					if segment.ID(s.TraceID()) == id {
						t.add(s, ss.Scope(), resource)
					}
				}
			}
		}
	}
	t.link()
	t.adjust()
	for _, root := range t.roots {
		root.order()
	}
	slices.SortFunc(t.roots, byStart)
	return t
}

func (t *tree) resource(r pcommon.Resource) int32 {
	attrs := attributesToProto(r.Attributes())
	key, err := json.Marshal(r.Attributes().AsRaw())
	if err == nil {
		if i, ok := t.known[string(key)]; ok {
			return i
		}
	}
	get := func(key string) string {
		if v, ok := r.Attributes().Get(key); ok {
			return v.AsString()
		}
		return ""
	}
	i := int32(len(t.resources))
	t.resources = append(t.resources, &observev1.Resource{
		Service: cmp.Or(get("service.name"), "unknown"), Instance: get("service.instance.id"), Version: get("service.version"), Attributes: attrs,
	})
	t.known[string(key)] = i
	return i
}

// add takes a span. One that was sent twice counts once.
func (t *tree) add(s ptrace.Span, scope pcommon.InstrumentationScope, resource int32) {
	if t.nodes[s.SpanID()] != nil {
		return
	}
	start, end := int64(s.StartTimestamp()), int64(max(s.StartTimestamp(), s.EndTimestamp()))
	out := &observev1.Span{
		SpanId: s.SpanID().String(), ParentId: s.ParentSpanID().String(), Service: t.resources[resource].GetService(), Name: s.Name(),
		Kind: observev1.SpanKind(s.Kind()), Duration: durationpb.New(time.Duration(end - start)),
		Status: observev1.SpanStatus(s.Status().Code()), StatusMessage: s.Status().Message(),
		Attributes: attributesToProto(s.Attributes()), Resource: resource, Scope: scope.Name(),
		Dropped: int32(min(s.DroppedAttributesCount()+s.DroppedEventsCount()+s.DroppedLinksCount(), 1<<30)), //nolint:mnd // within its type
	}
	for _, e := range s.Events().All() {
		out.Events = append(out.Events, &observev1.SpanEvent{
			Name: e.Name(), Time: timestamppb.New(e.Timestamp().AsTime()), Attributes: attributesToProto(e.Attributes()),
		})
	}
	for _, l := range s.Links().All() {
		out.Links = append(out.Links, &observev1.SpanLink{
			TraceId: l.TraceID().String(), SpanId: l.SpanID().String(), Attributes: attributesToProto(l.Attributes()),
		})
	}
	t.nodes[s.SpanID()] = &node{span: out, start: start, end: end}
}

// link hangs spans below their parents. Those whose parent is missing, and one
// of a circle, are roots.
func (t *tree) link() {
	for id, n := range t.nodes {
		parent := t.parent(n)
		if parent == nil || parent == n || t.nodes[id] != n {
			n.span.MissingParent = n.span.GetParentId() != ""
			t.roots = append(t.roots, n)
			continue
		}
		if circular(parent, n) {
			n.span.MissingParent = true
			t.roots = append(t.roots, n)
			continue
		}
		n.parent = parent
		parent.children = append(parent.children, n)
	}
}

func (t *tree) parent(n *node) *node {
	raw, err := hex.DecodeString(n.span.GetParentId())
	if err != nil || len(raw) != len(pcommon.SpanID{}) {
		return nil
	}
	return t.nodes[pcommon.SpanID(raw)]
}

func circular(from, to *node) bool {
	for n := from; n != nil; n = n.parent {
		if n == to {
			return true
		}
	}
	return false
}

// adjust moves what machines recorded whose clocks differ, so that causes come
// before effects: with its parent, and a part whose parent is missing to where the
// trace begins.
func (t *tree) adjust() {
	for _, root := range t.roots {
		t.visit(root, 0)
	}
	first := slices.IndexFunc(t.roots, func(n *node) bool { return !n.span.GetMissingParent() })
	if first < 0 {
		return
	}
	begin := t.roots[first]
	for _, root := range t.roots {
		if shift := t.misplaced(root, begin); root.span.GetMissingParent() && shift != 0 {
			t.visit(root, shift)
		}
	}
}

// visit moves a span and what is below it.
func (t *tree) visit(n *node, shift int64) {
	n.start, n.end = n.start+shift, n.end+shift
	if p := n.parent; p != nil && p.span.GetResource() != n.span.GetResource() {
		more := int64(0)
		if n.remote() {
			more = n.skew(p)
		}
		if more == 0 {
			more = t.misplaced(n, p)
		}
		n.start, n.end = n.start+more, n.end+more
		shift += more
	}
	n.span.Start = timestamppb.New(time.Unix(0, n.start))
	if shift != 0 {
		t.moved = true
		n.span.Adjusted = durationpb.New(n.span.GetAdjusted().AsDuration() + time.Duration(shift))
	}
	for _, c := range n.children {
		t.visit(c, shift)
	}
}

// farOff is what no event is waited for in a trace of which a clock is known to be
// wrong.
const farOff = time.Minute

// misplaced is by how much a span is to be moved that nobody waits for: one cannot
// begin before what caused it.
func (t *tree) misplaced(n, cause *node) int64 {
	if n.start < cause.start || t.skewed && n.start > cause.end+int64(farOff) {
		return cause.start - n.start
	}
	return 0
}

// extent is from when to when the spans are shown.
func (t *tree) extent() (start, end int64) {
	start, end = math.MaxInt64, math.MinInt64
	for _, n := range t.nodes {
		start, end = min(start, n.start), max(end, n.end)
	}
	return start, end
}

// remote says whether the span is the other side of a call that waits for it.
func (n *node) remote() bool {
	return n.span.GetKind() == observev1.SpanKind_SPAN_KIND_SERVER
}

// skew is by how much a span is to be moved that does not lie within its caller:
// into its middle.
func (n *node) skew(p *node) int64 {
	if n.start >= p.start && n.end <= p.end {
		return 0
	}
	shift := p.start - n.start // at least not before its caller
	if room := (p.end - p.start) - (n.end - n.start); room > 0 {
		shift += room / 2 //nolint:mnd // both ways take as long
	} else if n.start >= p.start {
		return 0 // it outlived its caller, who gave up
	}
	return shift
}

func byStart(a, b *node) int {
	return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(a.span.GetSpanId(), b.span.GetSpanId()))
}

// order sorts children, and finds out how much of its time each span was by
// itself.
func (n *node) order() {
	slices.SortFunc(n.children, byStart)
	busy, until := int64(0), n.start
	for _, c := range n.children {
		from, to := max(c.start, until), min(c.end, n.end)
		if to > from {
			busy += to - from
			until = to
		}
		c.order()
	}
	n.span.Self = durationpb.New(time.Duration(max(0, n.end-n.start-busy)))
}

// critical marks the path that decided how long the trace took: from the end
// of a span back, always the child that ended last.
func (n *node) critical() {
	n.span.Critical = true
	at := n.end
	byEnd := slices.Clone(n.children)
	slices.SortFunc(byEnd, func(a, b *node) int { return cmp.Compare(b.end, a.end) })
	for _, c := range byEnd {
		if c.end <= at && c.start >= n.start {
			c.critical()
			at = c.start
		}
	}
}

// waterfall lists the spans, parents before children.
func (t *tree) waterfall() []*observev1.Span {
	out := make([]*observev1.Span, 0, len(t.nodes))
	if len(t.roots) > 0 {
		longest := slices.MaxFunc(t.roots, func(a, b *node) int { return cmp.Compare(a.end-a.start, b.end-b.start) })
		longest.critical()
	}
	var visit func(n *node, depth int32)
	visit = func(n *node, depth int32) {
		n.span.Depth = depth
		out = append(out, n.span)
		for _, c := range n.children {
			visit(c, depth+1)
		}
	}
	for _, root := range t.roots {
		visit(root, 0)
	}
	return out
}

func attributesToProto(m pcommon.Map) []*observev1.Attribute {
	out := make([]*observev1.Attribute, 0, m.Len())
	for key, v := range m.All() {
		out = append(out, attributeToProto(key, v))
	}
	slices.SortFunc(out, func(a, b *observev1.Attribute) int { return cmp.Compare(a.GetKey(), b.GetKey()) })
	return out
}

func attributeToProto(key string, v pcommon.Value) *observev1.Attribute {
	out := &observev1.Attribute{Key: key}
	switch v.Type() {
	case pcommon.ValueTypeInt:
		out.Value = &observev1.Attribute_Integer{Integer: v.Int()}
	case pcommon.ValueTypeDouble:
		out.Value = &observev1.Attribute_Number{Number: v.Double()}
	case pcommon.ValueTypeBool:
		out.Value = &observev1.Attribute_Flag{Flag: v.Bool()}
	case pcommon.ValueTypeMap, pcommon.ValueTypeSlice:
		out.Value = &observev1.Attribute_Json{Json: v.AsString()}
	default:
		out.Value = &observev1.Attribute_Text{Text: v.AsString()}
	}
	return out
}
