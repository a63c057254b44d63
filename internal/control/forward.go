package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	eventsv1 "github.com/gowarren/warren/api/warren/events/v1"
	shardsv1 "github.com/gowarren/warren/api/warren/shards/v1"
	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
	"github.com/gowarren/warren/rpc"
)

// forwarded are the contracts of people who look after a system that services
// serve. They are passed on, so that one place answers all.
var forwarded = []string{
	txnv1.OperatorService_ServiceDesc.ServiceName,
	eventsv1.LetterService_ServiceDesc.ServiceName,
	shardsv1.ShardService_ServiceDesc.ServiceName,
}

// metadataTo names the service that is meant, where several serve a contract.
const metadataTo = "warren-to"

// Forward answers calls of contracts that services answer for, as a
// [grpc.UnknownServiceHandler] of what serves the API.
func (a *API) Forward(_ any, stream grpc.ServerStream) error {
	full, _ := grpc.MethodFromServerStream(stream)
	contract, name, _ := strings.Cut(strings.TrimPrefix(full, "/"), "/")
	p, err := passedOn(contract, name)
	if err != nil {
		return status.Errorf(codes.Unimplemented, "nobody serves %s here", full)
	}
	in, out := p.in.New().Interface(), p.out.New().Interface()
	if err := stream.RecvMsg(in); err != nil {
		return err
	}
	began := time.Now()
	ctx := toService(stream.Context())
	if p.streams {
		err = a.follow(ctx, full, p, in, stream)
	} else if err = a.services.Invoke(ctx, full, in, out); err == nil {
		err = stream.SendMsg(out)
	}
	if a.audit != nil {
		a.audit.Done(stream.Context(), in, out, began, err)
	}
	return err
}

// follow passes on what a service tells, one message after the other.
func (a *API) follow(ctx context.Context, full string, p passing, in proto.Message, to grpc.ServerStream) error {
	from, err := a.services.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, full)
	if err != nil {
		return err
	}
	if err := from.SendMsg(in); err != nil && !errors.Is(err, io.EOF) { // why it ended, is received
		return err
	}
	if err := from.CloseSend(); err != nil {
		return err
	}
	for {
		out := p.out.New().Interface()
		switch err := from.RecvMsg(out); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		if err := to.SendMsg(out); err != nil {
			return err
		}
	}
}

func toService(ctx context.Context) context.Context {
	if to := metadata.ValueFromIncomingContext(ctx, metadataTo); len(to) > 0 {
		return rpc.ToService(ctx, to[0])
	}
	return ctx
}

// passing is a method that is passed on.
type passing struct {
	in, out protoreflect.MessageType
	streams bool // many answers
}

// passedOn finds a method that is forwarded: it takes one message.
func passedOn(contract, name string) (p passing, err error) {
	refused := fmt.Errorf("forward %s/%s: it is for services only", contract, name)
	if !slices.Contains(forwarded, contract) {
		return p, refused
	}
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(contract))
	if err != nil {
		return p, err
	}
	m := d.(protoreflect.ServiceDescriptor).Methods().ByName(protoreflect.Name(name))
	if m == nil || m.IsStreamingClient() {
		return p, refused
	}
	p.streams = m.IsStreamingServer()
	if p.in, err = protoregistry.GlobalTypes.FindMessageByName(m.Input().FullName()); err != nil {
		return p, err
	}
	p.out, err = protoregistry.GlobalTypes.FindMessageByName(m.Output().FullName())
	return p, err
}
