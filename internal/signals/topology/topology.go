// Package topology learns from spans who calls whom: it brings the two sides of
// a call together, which come from two processes in any order.
package topology

import (
	"math"
	"time"
)

// Kind is a span's part in a call.
type Kind uint8

// The kinds of spans that matter here.
const (
	Internal Kind = iota
	Server
	Client
	Producer
	Consumer
)

// Key is a span's place: its trace and its own id.
type Key struct {
	Trace [16]byte
	Span  [8]byte
}

// Span is what is known of one side of a call.
type Span struct {
	Key
	Parent   [8]byte // zero: none
	Kind     Kind
	Service  string
	Version  string
	Failed   bool
	Duration time.Duration
	// Whom it leans on, where that is nobody who records spans: the id of a
	// database, of a topic or of somebody outside.
	Peer   string
	System string
	// The peer may record spans, too: it is only taken for what is said here
	// if none of its spans comes.
	MayAnswer bool
}

// Edge is who calls whom. A call from outside has no origin.
type Edge struct{ Origin, Target, System, Version string }

// Cell counts the calls over an edge that took about as long.
type Cell struct {
	Edge
	Bucket int
}

// Count is how many calls there were, and how many of them failed.
type Count struct{ Calls, Errors int64 }

// window is how long one side waits for the other, and how many wait.
const (
	window  = 30 * time.Second
	waiting = 50_000
)

// ServiceNode is the id of a service.
func ServiceNode(name string) string { return "service:" + name }

// DatabaseNode is the id of a database.
func DatabaseNode(system, name string) string {
	if name == "" {
		return "database:" + system
	}
	return "database:" + system + "/" + name
}

// TopicNode is the id of what messages are sent to.
func TopicNode(name string) string { return "topic:" + name }

// ExternalNode is the id of somebody outside.
func ExternalNode(name string) string { return "external:" + name }

// Pairs brings the sides of calls together. One goroutine uses it.
type Pairs struct {
	seen     map[Key]*caller
	orphans  map[Key][]Span // by their parent
	order    []entry        // oldest first
	cells    map[Cell]Count
	unpaired int64
	held     int
}

// caller is a span that others may have for their parent.
type caller struct {
	Span
	answered bool
}

type entry struct {
	key    Key
	at     time.Time
	orphan bool
}

// New returns pairs that know nothing yet.
func New() *Pairs {
	return &Pairs{seen: map[Key]*caller{}, orphans: map[Key][]Span{}, cells: map[Cell]Count{}}
}

// Add takes a span.
func (p *Pairs) Add(s Span, now time.Time) {
	self := ServiceNode(s.Service)
	switch s.Kind {
	case Producer:
		if s.Peer != "" {
			p.count(Edge{Origin: self, Target: s.Peer, System: s.System}, s)
		}
		return
	case Consumer:
		if s.Peer != "" {
			p.count(Edge{Origin: s.Peer, Target: self, System: s.System, Version: s.Version}, s)
		}
	case Client:
		if s.Peer != "" && !s.MayAnswer {
			p.count(Edge{Origin: self, Target: s.Peer, System: s.System}, s)
			return
		}
	case Server:
		p.server(s, now)
	}
	p.remember(s, now)
}

func (p *Pairs) server(s Span, now time.Time) {
	if s.Parent == ([8]byte{}) {
		p.count(Edge{Target: ServiceNode(s.Service), System: s.System, Version: s.Version}, s)
		return
	}
	key := Key{s.Trace, s.Parent}
	if c := p.seen[key]; c != nil {
		p.pair(c, s)
		return
	}
	p.orphans[key] = append(p.orphans[key], s)
	p.order = append(p.order, entry{key, now, true})
	p.held++
}

// remember keeps a span for those that have it for their parent.
func (p *Pairs) remember(s Span, now time.Time) {
	c := &caller{Span: s}
	p.seen[s.Key] = c
	p.order = append(p.order, entry{s.Key, now, false})
	for _, answer := range p.orphans[s.Key] {
		p.pair(c, answer)
		p.held--
	}
	delete(p.orphans, s.Key)
	p.expire(now)
}

// pair counts a call whose sides have both come: as the caller saw it, and once
// more for each further try within it.
func (p *Pairs) pair(c *caller, s Span) {
	edge := Edge{Origin: ServiceNode(c.Service), Target: ServiceNode(s.Service), System: s.System, Version: s.Version}
	if c.Kind == Client && !c.answered {
		s.Duration, s.Failed = c.Duration, c.Failed || s.Failed
	}
	c.answered = true
	p.count(edge, s)
}

// expire gives up on what has waited long enough, or is one too many.
func (p *Pairs) expire(now time.Time) {
	for len(p.order) > 0 {
		e := p.order[0]
		if now.Sub(e.at) < window && len(p.seen)+p.held <= waiting {
			return
		}
		p.order = p.order[1:]
		p.drop(e)
	}
}

func (p *Pairs) drop(e entry) {
	if e.orphan {
		for _, s := range p.orphans[e.key] {
			p.unpaired++
			p.held--
			p.count(Edge{Target: ServiceNode(s.Service), System: s.System, Version: s.Version}, s)
		}
		delete(p.orphans, e.key)
		return
	}
	c := p.seen[e.key]
	delete(p.seen, e.key)
	if c == nil || c.Kind != Client || c.answered {
		return
	}
	if c.Peer == "" {
		p.unpaired++
		return
	}
	p.count(Edge{Origin: ServiceNode(c.Service), Target: c.Peer, System: c.System}, c.Span)
}

// cells that are counted between two flushes: names that a sender makes up
// must not take all memory.
const mostCells = 20_000

func (p *Pairs) count(e Edge, s Span) {
	cell := Cell{e, Bucket(s.Duration)}
	n, known := p.cells[cell]
	if !known && len(p.cells) >= mostCells {
		p.unpaired++
		return
	}
	n.Calls++
	if s.Failed {
		n.Errors++
	}
	p.cells[cell] = n
}

// Flush returns what was counted since the last time.
func (p *Pairs) Flush(now time.Time) map[Cell]Count {
	p.expire(now)
	if len(p.cells) == 0 {
		return nil
	}
	out := p.cells
	p.cells = map[Cell]Count{}
	return out
}

// Unpaired is how many calls had one side only.
func (p *Pairs) Unpaired() int64 { return p.unpaired }

// perOctave is how many classes of latency lie between one and its double.
const perOctave = 4

// Bucket is the class of latency of a duration.
func Bucket(d time.Duration) int {
	if d < 1 {
		return 0
	}
	return int(math.Floor(math.Log2(float64(d)) * perOctave))
}

// Latency is the duration in the middle of a class.
func Latency(bucket int) time.Duration {
	return time.Duration(math.Exp2((float64(bucket) + 0.5) / perOctave))
}

// Quantile is the latency that a share of the calls did not exceed.
func Quantile(q float64, counts map[int]int64) time.Duration {
	var total int64
	least, most := math.MaxInt, math.MinInt
	for b, n := range counts {
		total += n
		least, most = min(least, b), max(most, b)
	}
	if total == 0 {
		return 0
	}
	rank := int64(math.Ceil(q * float64(total)))
	for b := least; b <= most; b++ {
		if rank -= counts[b]; rank <= 0 {
			return Latency(b)
		}
	}
	return Latency(most)
}
