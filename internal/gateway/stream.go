package gateway

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/gowarren/warren/internal/transcode"
)

// stream answers a request with a stream: what the client sends is JSON, one
// message per line; what it gets is that or Server-Sent Events.
func (e *exchange) stream() {
	m := e.endpoint.method
	ctx, cancel := context.WithCancelCause(e.ctx)
	defer cancel(nil)
	var first proto.Message
	var lines *transcode.Lines
	var p *transcode.Problem
	if m.ClientStreams {
		lines, p = e.lines()
	} else {
		first, p = e.request()
	}
	if p != nil {
		e.fail(p)
		return
	}
	desc := &grpc.StreamDesc{StreamName: m.Name, ClientStreams: m.ClientStreams, ServerStreams: m.ServerStreams}
	s, err := e.g.client.NewStream(ctx, desc, m.FullName)
	if err != nil {
		e.failCall(err)
		return
	}
	if m.ClientStreams {
		defer e.sendBeside(s, lines, cancel)()
	} else if err := sendOne(s, first); err != nil {
		e.failCall(err)
		return
	}
	if m.ServerStreams {
		e.answers(ctx, s)
	} else {
		e.lastAnswer(ctx, s)
	}
}

func sendOne(s grpc.ClientStream, m proto.Message) error {
	if err := s.SendMsg(m); err != nil && !errors.Is(err, io.EOF) { // EOF: why comes with the answer
		return err
	}
	return s.CloseSend()
}

// sendBeside sends the lines while answers are received. What it returns stops
// that and waits: nobody may read the body when the handler is over.
func (e *exchange) sendBeside(s grpc.ClientStream, lines *transcode.Lines, cancel context.CancelCauseFunc) (stop func()) {
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		if err := e.sendLines(s, lines); err != nil && !errors.Is(err, io.EOF) {
			cancel(err)
			return
		}
		_ = s.CloseSend() // its error comes back from the answer
	}()
	return func() {
		cancel(nil)
		e.stopReading(sent)
	}
}

// stopReading waits until nobody reads the body any more. A read may wait for
// a client that sends nothing: a deadline that has passed ends it.
func (e *exchange) stopReading(done <-chan struct{}) {
	select {
	case <-done:
	default:
		_ = e.w.control.SetReadDeadline(e.start)
		<-done
	}
}

// lines makes the body readable by lines.
func (e *exchange) lines() (*transcode.Lines, *transcode.Problem) {
	if contentType := e.r.Header.Get("Content-Type"); !e.found.route.plan.Accepts(contentType) {
		return nil, transcode.NewProblem(http.StatusUnsupportedMediaType, "UNSUPPORTED_MEDIA_TYPE", "send the messages as "+transcode.NDJSON)
	}
	if e.endpoint.method.ServerStreams && e.r.ProtoMajor == 1 {
		_ = e.w.control.EnableFullDuplex() // without it, answers wait for the last line
	}
	body, p := e.decompressed(&patientBody{e: e}, endless)
	if p != nil {
		return nil, p
	}
	return transcode.NewLines(body, e.endpoint.body.Get()), nil
}

// endless is the limit of what is limited by its lines.
const endless = 1 << 62

// sendLines sends the lines of the body as messages.
func (e *exchange) sendLines(s grpc.ClientStream, lines *transcode.Lines) error {
	for {
		line, err := lines.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return problemError{bodyProblem(err)}
		}
		message, err := e.found.route.plan.Decode(transcode.Request{Vars: e.found.vars, Query: e.r.URL.RawQuery, Body: line})
		if err != nil {
			return lines.Blame(err)
		}
		if err := s.SendMsg(message); err != nil {
			return err
		}
	}
}

// patientBody gives a stream's client time for each read instead of for all.
type patientBody struct{ e *exchange }

func (b *patientBody) Read(p []byte) (int, error) {
	m := b.e.endpoint.method
	if m.ClientStreams && m.ServerStreams { // a chat may be silent for as long as it likes
		return b.e.r.Body.Read(p)
	}
	_ = b.e.w.control.SetReadDeadline(time.Now().Add(b.e.g.numbers.bodyTimeout.Get()))
	n, err := b.e.r.Body.Read(p)
	if err != nil { // or net/http, which goes on to listen for the client's end, would hear it in time
		_ = b.e.w.control.SetReadDeadline(time.Time{})
	}
	return n, err
}

// problemError carries a problem through what returns errors.
type problemError struct{ problem *transcode.Problem }

// Error says what the problem says.
func (p problemError) Error() string { return p.problem.Detail }

// problemOf prefers what the sending side found wrong to the cancellation that
// followed from it.
func problemOf(ctx context.Context, err error) *transcode.Problem {
	if cause := context.Cause(ctx); cause != nil {
		if p, ok := errors.AsType[problemError](cause); ok {
			return p.problem
		}
		if bad, ok := errors.AsType[*transcode.BadRequest](cause); ok {
			return transcode.ProblemOf(bad)
		}
	}
	return transcode.ProblemOf(err)
}

// lastAnswer answers a client stream with its one message.
func (e *exchange) lastAnswer(ctx context.Context, s grpc.ClientStream) {
	reply := e.found.route.plan.NewResponse()
	if err := s.RecvMsg(reply); err != nil {
		e.span.SetError(err)
		e.fail(problemOf(ctx, err))
		return
	}
	e.answer(reply)
}

// received is one message of a server stream, or its end.
type received struct {
	message proto.Message
	err     error
}

// ahead is how many messages are read before they can be written: enough to
// write several with one flush, few enough to slow the service down with the
// client.
const ahead = 16

func (e *exchange) receive(ctx context.Context, s grpc.ClientStream) <-chan received {
	out := make(chan received, ahead)
	go func() {
		for {
			next := received{message: e.found.route.plan.NewResponse()}
			next.err = s.RecvMsg(next.message)
			select {
			case out <- next:
			case <-ctx.Done():
				return
			}
			if next.err != nil {
				return
			}
		}
	}()
	return out
}

// openWait is how long an answer may wait for the first message, so that a
// stream that fails at once has a status of its own.
const openWait = 250 * time.Millisecond

// answers writes a server stream until it, the client or the gateway ends.
func (e *exchange) answers(ctx context.Context, s grpc.ClientStream) {
	messages := e.receive(ctx, s)
	contentType := transcode.NDJSON
	if strings.Contains(e.r.Header.Get("Accept"), transcode.SSE) {
		contentType = transcode.SSE
	}
	out := e.found.route.plan.NewStream(contentType)
	heartbeat := time.NewTimer(openWait)
	defer heartbeat.Stop()
	begun := false
	for {
		select {
		case next := <-messages:
			if !e.answerNext(ctx, out, next, begun) {
				return
			}
			if len(messages) == 0 {
				e.w.Flush()
			}
		case <-heartbeat.C:
			e.beginStream(begun, out.ContentType())
			_ = out.Heartbeat(e.w) // a client that left is noticed by its context
			e.w.Flush()
		case <-e.r.Context().Done():
			e.gone = true
			return
		case <-e.g.ending:
			e.drainStream(out, begun)
			return
		}
		begun = true
		heartbeat.Reset(e.g.numbers.heartbeat.Get())
	}
}

// answerNext writes the next message, and tells whether there may be more.
func (e *exchange) answerNext(ctx context.Context, out *transcode.Stream, next received, begun bool) (more bool) {
	if next.err != nil && !begun && !errors.Is(next.err, io.EOF) {
		e.span.SetError(next.err)
		e.fail(problemOf(ctx, next.err))
		return false
	}
	e.beginStream(begun, out.ContentType())
	err := next.err
	if err == nil {
		err = out.Message(e.w, next.message)
	}
	if err != nil {
		e.endStream(ctx, out, err)
	}
	return err == nil
}

func (e *exchange) beginStream(begun bool, contentType string) {
	if begun {
		return
	}
	h := e.w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // proxies in between must not wait for the end
	h.Set("X-Content-Type-Options", "nosniff")
	e.w.WriteHeader(http.StatusOK)
}

func (e *exchange) endStream(ctx context.Context, out *transcode.Stream, err error) {
	if e.r.Context().Err() != nil {
		e.gone = true
		return
	}
	var p *transcode.Problem
	if !errors.Is(err, io.EOF) {
		e.span.SetError(err)
		p = problemOf(ctx, err)
		p.RequestID = e.id
		e.reason = p.Reason
	}
	_ = out.Close(e.w, p) // a client that left is noticed by its context
}

// drainStream asks the client to connect again: elsewhere.
func (e *exchange) drainStream(out *transcode.Stream, begun bool) {
	p := transcode.NewProblem(http.StatusServiceUnavailable, "DRAINING", "the gateway is going away; connect again")
	if !begun {
		e.fail(p)
		return
	}
	p.RequestID, e.reason = e.id, p.Reason
	_ = out.Close(e.w, p)
}
