package control

import (
	"context"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	contractsv1 "github.com/gowarren/warren/api/warren/contracts/v1"
	"github.com/gowarren/warren/internal/contract"
)

func (c *contracts) Call(ctx context.Context, req *contractsv1.CallRequest) (*contractsv1.CallResponse, error) {
	name, _, _ := strings.Cut(strings.TrimPrefix(req.GetMethod(), "/"), "/")
	if strings.HasPrefix(name, "warren.") || strings.HasPrefix(name, "grpc.") {
		return nil, status.Errorf(codes.PermissionDenied, "%s is Warren's own: what people do by it has commands and pages, which ask for more", name)
	}
	d, types, err := c.method(ctx, req.GetMethod())
	if err != nil {
		return nil, err
	}
	read, err := contract.Read(d.Parent().(protoreflect.ServiceDescriptor))
	if err != nil {
		return nil, status.Error(codes.FailedPrecondition, err.Error())
	}
	m := read.Method(string(d.Name()))
	if m.ClientStreams {
		return nil, status.Errorf(codes.Unimplemented, "%s takes a stream of messages, which is not sent from here", m.FullName)
	}
	in := dynamicpb.NewMessage(d.Input())
	if err := (protojson.UnmarshalOptions{Resolver: types}).Unmarshal([]byte(req.GetJson()), in); err != nil {
		return nil, status.Errorf(codes.InvalidArgument, "read it as %s: %v", d.Input().FullName(), err)
	}
	answer := c.caller.call(ctx, req, m, in, types)
	answer.Safe = m.Safe
	return answer, nil
}
