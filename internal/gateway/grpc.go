package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/gowarren/warren/internal/contract"
	"github.com/gowarren/warren/internal/transcode"
)

// grpcKind is in which of its forms gRPC is spoken.
type grpcKind int

const (
	notGRPC     grpcKind = iota
	grpcNative           // over HTTP/2, with trailers
	grpcWeb              // trailers are a last frame, for browsers
	grpcWebText          // all of it in base64
	grpcStrange          // with messages that are no protobuf
)

func grpcKindOf(r *http.Request) grpcKind {
	contentType := r.Header.Get("Content-Type")
	if !hasPrefixFold(contentType, "application/grpc") || r.Method == http.MethodOptions { // which asks what can be done here
		return notGRPC
	}
	media, _, _ := strings.Cut(strings.ToLower(contentType), ";")
	switch strings.TrimSpace(media) {
	case "application/grpc", "application/grpc+proto":
		if r.ProtoMajor >= 2 {
			return grpcNative
		}
	case "application/grpc-web", "application/grpc-web+proto":
		return grpcWeb
	case "application/grpc-web-text", "application/grpc-web-text+proto":
		return grpcWebText
	}
	return grpcStrange
}

// frame is one message as it is on the wire: the gateway passes it on without
// looking into it.
type frame struct{ data []byte }

// rawCodec is the codec of frames.
type rawCodec struct{}

var _ encoding.CodecV2 = rawCodec{}

// Name is that of the codec whose messages are passed on.
func (rawCodec) Name() string { return "proto" }

// Marshal returns the frame's bytes.
func (rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	f, ok := v.(*frame)
	if !ok {
		return nil, fmt.Errorf("marshal %T: it is no frame", v)
	}
	return mem.BufferSlice{mem.SliceBuffer(f.data)}, nil
}

// Unmarshal keeps the bytes.
func (rawCodec) Unmarshal(data mem.BufferSlice, v any) error {
	f, ok := v.(*frame)
	if !ok {
		return fmt.Errorf("unmarshal %T: it is no frame", v)
	}
	f.data = data.Materialize()
	return nil
}

// serveGRPC passes a call of gRPC or gRPC-Web on, within the same limits as
// one of REST.
func (e *exchange) serveGRPC() {
	if e.grpc == grpcStrange || e.r.Method != http.MethodPost {
		e.grpc = notGRPC
		e.fail(transcode.NewProblem(http.StatusUnsupportedMediaType, "UNSUPPORTED_MEDIA_TYPE",
			"only gRPC over HTTP/2 and gRPC-Web, with protobuf messages, are spoken here"))
		return
	}
	e.corsAllowed = e.g.cors(e.w.Header(), e.r)
	e.endpoint = e.g.table.Load().methods[e.r.URL.Path]
	if e.endpoint == nil {
		e.fail(transcode.NewProblem(http.StatusNotImplemented, "NO_ROUTE", "there is no such method"))
		return
	}
	e.span.SetName(e.endpoint.method.FullName)
	cancel, p := e.enter()
	defer cancel()
	if p != nil {
		e.fail(p)
		return
	}
	if p := e.passMetadata(); p != nil {
		e.fail(p)
		return
	}
	frames, p := e.newFrames()
	if p != nil {
		e.fail(p)
		return
	}
	if e.endpoint.method.Unary() {
		e.passUnary(frames)
	} else {
		e.passStream(frames)
	}
}

// passUnary is a call of its own kind because a unary call can be repeated on
// another instance.
func (e *exchange) passUnary(frames *frames) {
	// Without deadlines, as in tests, a message may take for ever.
	_ = e.w.control.SetReadDeadline(time.Now().Add(e.g.numbers.bodyTimeout.Get()))
	request, err := frames.only()
	_ = e.w.control.SetReadDeadline(time.Time{})
	if err != nil {
		e.fail(frameProblem(err))
		return
	}
	if p := e.judgeFrame(request); p != nil {
		e.fail(p)
		return
	}
	reply := &frame{}
	var header, trailer metadata.MD
	err = e.g.client.Invoke(e.ctx, e.endpoint.method.FullName, request, reply,
		grpc.ForceCodecV2(rawCodec{}), grpc.Header(&header), grpc.Trailer(&trailer))
	if err != nil {
		e.endGRPC(frames, trailer, err)
		return
	}
	e.beginGRPC(header)
	if err := frames.write(reply); err == nil {
		e.endGRPC(frames, trailer, nil)
	}
}

// judgeFrame refuses what is no message of the method, and decodes one only where a
// limit depends on its fields. A stream of messages is one call, and not limited by
// what is in them.
func (e *exchange) judgeFrame(f *frame) *transcode.Problem {
	m := e.endpoint.method
	if !readable(f.data, m.Desc.Input(), 0) {
		return malformed(unreadable)
	}
	if !e.endpoint.byField || m.ClientStreams {
		return nil
	}
	message := dynamicpb.NewMessage(m.Desc.Input())
	if err := proto.Unmarshal(f.data, message); err != nil {
		return malformed(unreadable)
	}
	return e.limit(contract.ByField, message)
}

const unreadable = "the message cannot be read"

func (e *exchange) passStream(frames *frames) {
	m := e.endpoint.method
	ctx, cancel := context.WithCancelCause(e.ctx)
	defer cancel(nil)
	desc := &grpc.StreamDesc{StreamName: m.Name, ClientStreams: m.ClientStreams, ServerStreams: m.ServerStreams}
	s, err := e.g.client.NewStream(ctx, desc, m.FullName, grpc.ForceCodecV2(rawCodec{}))
	if err != nil {
		e.endGRPC(frames, nil, err)
		return
	}
	defer e.passBeside(frames, s, cancel)()
	stop := e.onEnding(cancel)
	defer stop()
	e.passAnswers(ctx, frames, s)
}

// passBeside sends what the client sends while answers are received, and
// returns what stops that and waits for it.
func (e *exchange) passBeside(frames *frames, s grpc.ClientStream, cancel context.CancelCauseFunc) (stop func()) {
	if !e.endpoint.method.ClientStreams { // there is but one: no need for company
		if err := e.passOnly(frames, s); err != nil && !errors.Is(err, io.EOF) {
			cancel(problemError{frameProblem(err)})
		}
		return func() {}
	}
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		if err := e.passFrames(frames, s); err != nil && !errors.Is(err, io.EOF) {
			cancel(problemError{frameProblem(err)})
		}
	}()
	return func() {
		cancel(nil)
		e.stopReading(sent)
	}
}

// onEnding tells a stream when the gateway goes away.
func (e *exchange) onEnding(cancel context.CancelCauseFunc) (stop func()) {
	over := make(chan struct{})
	go func() {
		select {
		case <-e.g.ending:
			cancel(problemError{transcode.NewProblem(http.StatusServiceUnavailable, "DRAINING", "the gateway is going away; connect again")})
		case <-over:
		}
	}()
	return func() { close(over) }
}

// passOnly sends the one message that there must be.
func (e *exchange) passOnly(frames *frames, s grpc.ClientStream) error {
	f, err := frames.only()
	if err != nil {
		return err
	}
	if err := e.passFrame(f, s); err != nil {
		return err
	}
	return s.CloseSend()
}

// passFrames sends what the client sends.
func (e *exchange) passFrames(frames *frames, s grpc.ClientStream) error {
	for {
		f, err := frames.read()
		if errors.Is(err, io.EOF) {
			return s.CloseSend()
		}
		if err != nil {
			return err
		}
		if err := e.passFrame(f, s); err != nil {
			return err
		}
	}
}

func (e *exchange) passFrame(f *frame, s grpc.ClientStream) error {
	if p := e.judgeFrame(f); p != nil {
		return problemError{p}
	}
	if err := s.SendMsg(f); err != nil {
		return io.EOF // why comes with the answer
	}
	return nil
}

// passAnswers writes what the service answers.
func (e *exchange) passAnswers(ctx context.Context, frames *frames, s grpc.ClientStream) {
	header, err := s.Header()
	if err == nil {
		e.beginGRPC(header)
		e.w.Flush()
	}
	for err == nil {
		f := &frame{}
		if err = s.RecvMsg(f); err != nil {
			break
		}
		if err = frames.write(f); err != nil {
			e.gone = true
			return
		}
		e.w.Flush()
	}
	if errors.Is(err, io.EOF) {
		e.endGRPC(frames, s.Trailer(), nil)
		return
	}
	if p, ok := errors.AsType[problemError](context.Cause(ctx)); ok {
		e.fail(p.problem)
		return
	}
	e.endGRPC(frames, s.Trailer(), err)
}
