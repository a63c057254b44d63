package transcode

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strconv"

	"google.golang.org/protobuf/proto"
)

// Content types of streams.
const (
	NDJSON = "application/x-ndjson"
	SSE    = "text/event-stream"
)

// Stream writes the answers of a server stream: as Server-Sent Events or as
// JSON, one message per line. It is not safe for concurrent use.
type Stream struct {
	plan *Plan
	sse  bool
	n    int64
	buf  []byte
}

// NewStream writes in the form of the content type, SSE or NDJSON.
func (p *Plan) NewStream(contentType string) *Stream {
	return &Stream{plan: p, sse: contentType == SSE}
}

// ContentType is what the stream's answer is.
func (s *Stream) ContentType() string {
	if s.sse {
		return SSE
	}
	return NDJSON
}

// Message writes one message; its id counts from one.
func (s *Stream) Message(w io.Writer, m proto.Message) error {
	s.n++
	s.buf = s.buf[:0]
	if s.sse {
		s.buf = append(s.buf, "id: "...)
		s.buf = append(strconv.AppendInt(s.buf, s.n, 10), "\nevent: message\ndata: "...)
	}
	var err error
	if s.buf, _, err = s.plan.Encode(s.buf, m); err != nil {
		return err
	}
	return s.end(w)
}

// Heartbeat keeps what stands between from closing an idle connection: a
// comment, or an empty line.
func (s *Stream) Heartbeat(w io.Writer) error {
	beat := "\n"
	if s.sse {
		beat = ": alive\n\n"
	}
	_, err := io.WriteString(w, beat)
	return err
}

// Close ends the stream: with an event "end", so that browsers can tell the
// end from a lost connection, or with the problem that ended it. In lines the
// problem is the value of "@problem", which no field can be called.
func (s *Stream) Close(w io.Writer, p *Problem) error {
	s.buf = s.buf[:0]
	switch {
	case p == nil && !s.sse:
		return nil
	case p == nil:
		s.buf = append(s.buf, "event: end\ndata: {}"...)
	case s.sse:
		s.buf = append(append(s.buf, "event: error\ndata: "...), p.JSON()...)
	default:
		s.buf = append(append(append(s.buf, `{"@problem":`...), p.JSON()...), '}')
	}
	return s.end(w)
}

func (s *Stream) end(w io.Writer) error {
	s.buf = append(s.buf, '\n')
	if s.sse {
		s.buf = append(s.buf, '\n')
	}
	_, err := w.Write(s.buf)
	return err
}

// ErrLineTooLong is a line of a request that is longer than allowed.
var ErrLineTooLong = errors.New("a line of the request is too long")

// Lines reads the messages of a client stream: JSON, one message per line.
type Lines struct {
	scanner *bufio.Scanner
	n       int
}

// NewLines reads lines of at most longest bytes.
func NewLines(r io.Reader, longest int) *Lines {
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 0, min(longest, 16<<10)), longest)
	return &Lines{scanner: s}
}

// Next returns the next line that is not empty, and io.EOF after the last. It
// is valid until the next call.
func (l *Lines) Next() ([]byte, error) {
	for l.scanner.Scan() {
		l.n++
		if line := bytes.TrimSpace(l.scanner.Bytes()); len(line) > 0 {
			return line, nil
		}
	}
	if err := l.scanner.Err(); errors.Is(err, bufio.ErrTooLong) {
		return nil, ErrLineTooLong
	} else if err != nil {
		return nil, err
	}
	return nil, io.EOF
}

// Blame says in which line a bad request stands.
func (l *Lines) Blame(err error) error {
	var bad *BadRequest
	if !errors.As(err, &bad) {
		return err
	}
	blamed := &BadRequest{}
	for _, v := range bad.Violations {
		blamed.add(v.Field, "line "+strconv.Itoa(l.n)+": "+v.Description)
	}
	return blamed
}
