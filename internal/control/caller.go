package control

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/durationpb"

	contractsv1 "github.com/gowarren/warren/api/warren/contracts/v1"
	"github.com/gowarren/warren/internal/contract"
	"github.com/gowarren/warren/registry"
	"github.com/gowarren/warren/rpc"
	"github.com/gowarren/warren/telemetry"
)

// caller calls methods for people who try them. It knows contracts from those
// who serve them only, and records a trace of every call.
type caller struct {
	client    *rpc.Client
	registry  *registry.Registry
	telemetry *telemetry.Telemetry
	known     sync.Map // of *contract.Method by full name
}

// openCaller begins what calls methods as the options say, and sends traces.
func openCaller(opts rpc.ClientOptions, version, traces string) (*caller, error) {
	c := &caller{registry: opts.Registry}
	var err error
	c.telemetry, err = telemetry.Open(context.Background(), telemetry.Options{
		Service: opts.Service, Instance: opts.Service, Version: version, Traces: traces, Sample: func() float64 { return 1 }, Output: io.Discard,
	})
	if err != nil {
		return nil, err
	}
	opts.Tracer, opts.Methods = c.telemetry.Tracer(), c.method
	if c.client, err = rpc.NewClient(opts); err != nil {
		return nil, errors.Join(err, c.telemetry.Close(context.Background()))
	}
	return c, nil
}

func (c *caller) close() error {
	const patience = time.Second
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err := c.client.Close()
	_ = c.telemetry.Close(ctx) // spans that nobody takes any more are no reason to fail
	return err
}

func (c *caller) method(full string) *contract.Method {
	m, _ := c.known.Load(full)
	found, _ := m.(*contract.Method)
	return found
}

// What one call may bring: more is cut off.
const (
	mostAnswers     = 100
	mostAnswerBytes = 1 << 20
)

// call sends the message, and tells what came of it.
func (c *caller) call(
	ctx context.Context, req *contractsv1.CallRequest, m *contract.Method, in *dynamicpb.Message, types *dynamicpb.Types,
) *contractsv1.CallResponse {
	c.known.Store(m.FullName, m)
	if req.GetToken() != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, rpc.MetadataAuthorization, "Bearer "+req.GetToken())
	}
	if req.GetIdempotencyKey() != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, rpc.MetadataIdempotencyKey, req.GetIdempotencyKey())
	}
	if req.GetService() != "" {
		ctx = rpc.ToService(ctx, req.GetService())
	}
	ctx, span := c.telemetry.Tracer().Start(ctx, "try "+strings.TrimPrefix(m.FullName, "/"), trace.SpanKindInternal)
	x := &exchange{method: m, types: types, out: &contractsv1.CallResponse{}}
	began := time.Now()
	err := x.run(ctx, c.client, in)
	x.out.Took = durationpb.New(time.Since(began))
	if span.Recording() {
		x.out.TraceId = telemetry.TraceID(ctx)
	}
	span.SetError(err)
	span.End()
	flush, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = c.telemetry.Flush(flush) // so that the link leads to something at once; without, it does so soon
	x.ended(err)
	x.out.Instance = answeredBy(c.registry.Snapshot().Instances, x.peer.Addr)
	return x.out
}

// exchange is one call on its way.
type exchange struct {
	method  *contract.Method
	types   *dynamicpb.Types
	out     *contractsv1.CallResponse
	bytes   int
	header  metadata.MD
	trailer metadata.MD
	peer    peer.Peer
}

func (x *exchange) run(ctx context.Context, conn grpc.ClientConnInterface, in *dynamicpb.Message) error {
	opts := []grpc.CallOption{grpc.Header(&x.header), grpc.Trailer(&x.trailer), grpc.Peer(&x.peer)}
	if !x.method.ServerStreams {
		answer := dynamicpb.NewMessage(x.method.Desc.Output())
		if err := conn.Invoke(ctx, x.method.FullName, in, answer, opts...); err != nil {
			return err
		}
		return x.take(answer)
	}
	ctx, cancel := context.WithTimeout(ctx, streamTime)
	defer cancel()
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, x.method.FullName)
	if err == nil {
		err = errors.Join(stream.SendMsg(in), stream.CloseSend())
	}
	for err == nil {
		answer := dynamicpb.NewMessage(x.method.Desc.Output())
		if err = stream.RecvMsg(answer); err == nil {
			err = x.take(answer)
		}
		if x.out.GetCut() {
			return nil
		}
	}
	switch {
	case errors.Is(err, io.EOF):
		x.header, _ = stream.Header()
		x.trailer = stream.Trailer()
		return nil
	case ctx.Err() != nil && len(x.out.GetAnswers()) > 0: // it would have gone on
		x.out.Cut = true
		return nil
	}
	return err
}

// streamTime is how long a stream is listened to.
const streamTime = 10 * time.Second

// take keeps an answer without its secrets.
func (x *exchange) take(answer *dynamicpb.Message) error {
	for _, path := range contract.HideSecrets(answer) {
		if !slices.Contains(x.out.GetHidden(), path) {
			x.out.Hidden = append(x.out.Hidden, path)
		}
	}
	text, err := protojson.MarshalOptions{Resolver: x.types}.Marshal(answer)
	if err != nil {
		return err
	}
	if len(x.out.GetAnswers()) == mostAnswers || x.bytes+len(text) > mostAnswerBytes {
		x.out.Cut = true
		return nil
	}
	x.bytes += len(text)
	x.out.Answers = append(x.out.Answers, string(text))
	return nil
}

// ended tells how the call ended.
func (x *exchange) ended(err error) {
	x.out.Headers, x.out.Trailers = headers(x.header), headers(x.trailer)
	e := rpc.FromError(err)
	if e == nil {
		e = &rpc.Error{}
	}
	x.out.Code, x.out.HttpStatus = code.Code(e.Code).String(), int32(rpc.HTTPStatus(e.Code))
	x.out.Message, x.out.Reason, x.out.Domain, x.out.Metadata = e.Message, e.Reason, e.Domain, e.Metadata
	for _, v := range e.Violations {
		x.out.Violations = append(x.out.Violations, &contractsv1.Violation{Field: v.Field, Description: v.Description})
	}
	if e.RetryAfter > 0 {
		x.out.RetryAfter = durationpb.New(e.RetryAfter)
	}
}

// headers are metadata by name. Those that are bytes are told by their size.
func headers(md metadata.MD) []*contractsv1.Header {
	var out []*contractsv1.Header
	for name, values := range md {
		for _, value := range values {
			if strings.HasSuffix(name, "-bin") {
				value = strconv.Itoa(len(value)) + " bytes"
			}
			out = append(out, &contractsv1.Header{Name: name, Value: value})
		}
	}
	slices.SortFunc(out, func(a, b *contractsv1.Header) int {
		return cmp.Or(strings.Compare(a.GetName(), b.GetName()), strings.Compare(a.GetValue(), b.GetValue()))
	})
	return out
}

// answeredBy finds an instance by the address of a connection.
func answeredBy(all []registry.Instance, at net.Addr) string {
	if at == nil {
		return ""
	}
	for _, i := range all {
		if at.String() == i.Address || i.Socket != "" && at.String() == i.Socket {
			return i.ID
		}
	}
	return ""
}
