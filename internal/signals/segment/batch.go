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
	Start, End    int64
	Spans, Errors int
	Rooted        bool   // the root is among the spans
	Service, Name string // of the root, or of the earliest span
	Services      []string
	OrderID, GID  string
	Skewed        bool
	Terms         []int64
	Operations    []Operation
	Data          []byte
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
	Skewed        bool
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
