package control

import (
	"context"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	contractsv1 "github.com/gowarren/warren/api/warren/contracts/v1"
	"github.com/gowarren/warren/internal/contract"
)

func (c *contracts) Decode(ctx context.Context, req *contractsv1.DecodeRequest) (*contractsv1.DecodeResponse, error) {
	m, types, err := c.method(ctx, req.GetMethod())
	if err != nil {
		return nil, err
	}
	d := m.Input()
	if req.GetOutput() {
		d = m.Output()
	}
	msg := dynamicpb.NewMessage(d)
	if err := (proto.UnmarshalOptions{Resolver: types}).Unmarshal(req.GetData(), msg); err != nil {
		return nil, status.Errorf(codes.InvalidArgument, "read it as %s: %v", d.FullName(), err)
	}
	if path := contract.SecretSet(msg); path != "" {
		return nil, status.Errorf(codes.FailedPrecondition, "the field %s is a secret, so the message is not shown", path)
	}
	text, err := protojson.MarshalOptions{Resolver: types}.Marshal(msg)
	if err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	return &contractsv1.DecodeResponse{Json: string(text)}, nil
}

func (c *contracts) Encode(ctx context.Context, req *contractsv1.EncodeRequest) (*contractsv1.EncodeResponse, error) {
	m, types, err := c.method(ctx, req.GetMethod())
	if err != nil {
		return nil, err
	}
	msg := dynamicpb.NewMessage(m.Input())
	if err := (protojson.UnmarshalOptions{Resolver: types}).Unmarshal([]byte(req.GetJson()), msg); err != nil {
		return nil, status.Errorf(codes.InvalidArgument, "read it as %s: %v", m.Input().FullName(), err)
	}
	if path := contract.SecretSet(msg); path != "" {
		return nil, status.Errorf(codes.InvalidArgument, "the field %s is a secret, which is not carried; leave it out", path)
	}
	data, err := proto.Marshal(msg)
	if err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	return &contractsv1.EncodeResponse{Data: data}, nil
}

// method finds a method as those who serve it describe it.
func (c *contracts) method(ctx context.Context, full string) (protoreflect.MethodDescriptor, *dynamicpb.Types, error) {
	name, method, _ := strings.Cut(strings.TrimPrefix(full, "/"), "/")
	sd, files, err := c.descriptor(ctx, name)
	if err != nil {
		return nil, nil, err
	}
	m := sd.Methods().ByName(protoreflect.Name(method))
	if m == nil {
		return nil, nil, status.Errorf(codes.NotFound, "there is no method %s", full)
	}
	return m, dynamicpb.NewTypes(files), nil
}
