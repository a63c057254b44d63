package control

import (
	"context"
	"fmt"
	"strings"

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
	in, out, err := messages(contract, name)
	if err != nil {
		return status.Errorf(codes.Unimplemented, "nobody serves %s here", full)
	}
	if err := stream.RecvMsg(in); err != nil {
		return err
	}
	if err := a.services.Invoke(toService(stream.Context()), full, in, out); err != nil {
		return err
	}
	return stream.SendMsg(out)
}

func toService(ctx context.Context) context.Context {
	if to := metadata.ValueFromIncomingContext(ctx, metadataTo); len(to) > 0 {
		return rpc.ToService(ctx, to[0])
	}
	return ctx
}

// messages makes the request and the answer of a unary method that is forwarded.
func messages(contract, name string) (in, out proto.Message, err error) {
	refused := fmt.Errorf("forward %s/%s: it is for services only", contract, name)
	known := false
	for _, f := range forwarded {
		known = known || f == contract
	}
	if !known {
		return nil, nil, refused
	}
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(contract))
	if err != nil {
		return nil, nil, err
	}
	m := d.(protoreflect.ServiceDescriptor).Methods().ByName(protoreflect.Name(name))
	if m == nil || m.IsStreamingClient() || m.IsStreamingServer() {
		return nil, nil, refused
	}
	made := func(d protoreflect.MessageDescriptor) (proto.Message, error) {
		t, err := protoregistry.GlobalTypes.FindMessageByName(d.FullName())
		if err != nil {
			return nil, err
		}
		return t.New().Interface(), nil
	}
	if in, err = made(m.Input()); err != nil {
		return nil, nil, err
	}
	out, err = made(m.Output())
	return in, out, err
}
