package segment

// Batch is what is written at once.
type Batch struct {
	Chunks []*Chunk
	Lines  []*Line
	Calls  []Calls
}

// ID is the id of a trace.
type ID [16]byte

// Chunk is what came of one trace at once: its spans, encoded, and what they
// say of the trace.
type Chunk struct {
	Trace         ID
	At            int64 // the time it is found by, if nothing of the trace is here yet
	Start, End    int64 // by clocks that are believed, if one is
	Spans, Errors int
	Rooted        bool   // the root is among the spans
	Service, Name string // of the root, or of the earliest span
	Services      []string
	OrderID, GID  string
	Skewed        bool // a clock is not believed
	Trusted       bool // one is
	Terms         []int64
	Operations    []Operation
	Data          []byte
}

// Extend adds what took from start to end, by a clock that is believed or not:
// a trace must not seem to last a year because of one machine's clock.
func (c *Chunk) Extend(start, end int64, skewed bool) {
	empty := !c.Skewed && !c.Trusted
	c.Start, c.End = extended(c.Start, c.End, empty, c.Trusted, start, end, !skewed)
	c.Skewed, c.Trusted = c.Skewed || skewed, c.Trusted || !skewed
}

// extended is a stretch of time with another, unless only one of them is by a
// clock that is believed: then it is that one.
func extended(start, end int64, empty, trusted bool, from, to int64, believed bool) (int64, int64) {
	switch {
	case empty, believed && !trusted:
		return from, to
	case trusted && !believed:
		return start, end
	}
	return min(start, from), max(end, to)
}

// Operation is the name of a span of a service.
type Operation struct{ Service, Name string }

// Summary is a trace as far as a segment knows it.
type Summary struct {
	Trace         ID
	At            int64
	Start, End    int64
	Duration      int64
	Spans, Errors int
	Rooted        bool
	Service, Name string
	Services      []string
	OrderID, GID  string
	Skewed        bool // a clock is not believed
	Trusted       bool // one is, and the times are its
	Truncated     bool
}

// Levels of lines.
const (
	LevelDebug = 1 + iota
	LevelInfo
	LevelWarn
	LevelError
)

// Line is a line of a log.
type Line struct {
	ID                int64 // its time in Unix nanoseconds; made unique when it is written
	Segment           int64 // where it was found
	Level             int
	Service, Instance string
	Trace, Span       []byte // nil: none
	Message           string
	Attributes        []byte // a JSON object, or nil; its words are found as those of the message
}

// Calls counts calls between two nodes within one minute and one class of
// latency.
type Calls struct {
	Minute                          int64
	Origin, Target, System, Version string
	Bucket                          int
	Calls, Errors                   int64
}

// Limits bound what one trace may take.
type Limits struct {
	Spans int   // kept spans of one trace
	Bytes int64 // encoded bytes of one trace
}

// Written is what became of a batch.
type Written struct {
	Spans, Lines int64
	Over         int64 // spans that were one too many of their trace
}
