package control

import (
	"context"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/durationpb"

	contractsv1 "github.com/gowarren/warren/api/warren/contracts/v1"
	"github.com/gowarren/warren/auth"
	"github.com/gowarren/warren/internal/contract"
	"github.com/gowarren/warren/internal/reflected"
	"github.com/gowarren/warren/internal/sample"
	"github.com/gowarren/warren/registry"
	"github.com/gowarren/warren/rpc"
)

// contracts tells of contracts as those who serve them describe them.
type contracts struct {
	contractsv1.UnimplementedContractServiceServer
	registry *registry.Registry
	key      *auth.ServiceKey
	caller   *caller
}

func (c *contracts) List(context.Context, *contractsv1.ListRequest) (*contractsv1.ListResponse, error) {
	return &contractsv1.ListResponse{Contracts: c.served()}, nil
}

func (c *contracts) served() []*contractsv1.Contract {
	known := map[string]*contractsv1.Contract{}
	var out []*contractsv1.Contract
	for _, i := range c.registry.Snapshot().Instances {
		for _, name := range i.Contracts {
			if known[name] == nil {
				known[name] = &contractsv1.Contract{Name: name}
				out = append(out, known[name])
			}
			one := known[name]
			one.Instances = append(one.Instances, &contractsv1.Instance{Id: i.ID, Service: i.Service, State: string(i.State)})
			if !slices.Contains(one.GetServices(), i.Service) {
				one.Services = append(one.Services, i.Service)
			}
		}
	}
	slices.SortFunc(out, func(a, b *contractsv1.Contract) int { return strings.Compare(a.GetName(), b.GetName()) })
	return out
}

func (c *contracts) Describe(ctx context.Context, req *contractsv1.DescribeRequest) (*contractsv1.DescribeResponse, error) {
	all := c.served()
	i := slices.IndexFunc(all, func(one *contractsv1.Contract) bool { return one.GetName() == req.GetContract() })
	if i < 0 {
		return nil, status.Errorf(codes.NotFound, "nobody serves %s", req.GetContract())
	}
	read, err := c.read(ctx, req.GetContract())
	if err != nil {
		return nil, err
	}
	return describe(all[i], read), nil
}

// read returns a contract as those who serve it describe it.
func (c *contracts) read(ctx context.Context, name string) (*contract.Service, error) {
	sd, _, err := c.descriptor(ctx, name)
	if err != nil {
		return nil, err
	}
	read, err := contract.Read(sd)
	if err != nil {
		return nil, status.Error(codes.FailedPrecondition, err.Error())
	}
	return read, nil
}

func (c *contracts) descriptor(ctx context.Context, name string) (protoreflect.ServiceDescriptor, *protoregistry.Files, error) {
	set, err := c.files(ctx, name)
	if err != nil {
		return nil, nil, status.Error(codes.Unavailable, err.Error())
	}
	files, err := reflected.Link(set)
	if err != nil {
		return nil, nil, status.Error(codes.Internal, err.Error())
	}
	d, err := files.FindDescriptorByName(protoreflect.FullName(name))
	if err != nil {
		return nil, nil, status.Error(codes.Internal, err.Error())
	}
	sd, ok := d.(protoreflect.ServiceDescriptor)
	if !ok {
		return nil, nil, status.Errorf(codes.InvalidArgument, "%s is no contract", name)
	}
	return sd, files, nil
}

// files asks those who serve a contract, one after the other, what it is.
func (c *contracts) files(ctx context.Context, name string) (*descriptorpb.FileDescriptorSet, error) {
	reader := &reflected.Reader{Token: c.token}
	err := status.Errorf(codes.Unavailable, "no instance that serves %s is ready", name)
	for _, i := range c.registry.Contract(name) {
		var set *descriptorpb.FileDescriptorSet
		if set, err = reader.Files(ctx, i.Address, name); err == nil {
			return set, nil
		}
	}
	return nil, err
}

// token signs a question in the operator's name.
func (c *contracts) token() (name, token string) {
	if c.key == nil {
		return "", ""
	}
	token, err := c.key.Sign(operator)
	if err != nil {
		return "", "" // reflection is open to everybody inside
	}
	return rpc.MetadataService, token
}

func describe(served *contractsv1.Contract, read *contract.Service) *contractsv1.DescribeResponse {
	out := &contractsv1.DescribeResponse{Contract: served, Doc: comment(read.Desc)}
	book := &messageBook{known: map[protoreflect.FullName]bool{}}
	for _, m := range read.Methods {
		out.Methods = append(out.Methods, methodToProto(m))
		book.add(m.Desc.Input())
		book.add(m.Desc.Output())
	}
	slices.SortFunc(book.messages, func(a, b *contractsv1.Message) int { return strings.Compare(a.GetName(), b.GetName()) })
	out.Messages = book.messages
	return out
}

func methodToProto(m *contract.Method) *contractsv1.Method {
	out := &contractsv1.Method{
		Name: m.Name, Doc: comment(m.Desc), Access: m.Access.String(), Roles: m.Roles, Safe: m.Safe, Idempotent: m.Idempotent,
		IdempotencyKey: m.IdempotencyKey.String(), Input: string(m.Desc.Input().FullName()), Output: string(m.Desc.Output().FullName()),
		ClientStreams: m.ClientStreams, ServerStreams: m.ServerStreams, Compensate: m.Compensate, Confirm: m.Confirm, Cancel: m.Cancel,
		Example: sample.JSON(m.Desc.Input()),
	}
	if m.Timeout > 0 {
		out.Timeout = durationpb.New(m.Timeout)
	}
	for _, r := range m.Routes {
		out.Routes = append(out.Routes, &contractsv1.Route{Method: r.Method, Path: r.Pattern})
	}
	return out
}

func comment(d protoreflect.Descriptor) string {
	return strings.TrimSpace(d.ParentFile().SourceLocations().ByDescriptor(d).LeadingComments)
}
