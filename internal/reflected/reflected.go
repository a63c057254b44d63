// Package reflected reads contracts from the instances that serve them, through
// standard gRPC reflection: a service in any language can join a system.
package reflected

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

// Reader asks instances for the descriptors of their contracts.
type Reader struct {
	Credentials credentials.TransportCredentials // nil: none
	Token       func() (key, value string)       // metadata that says who asks; nil: nobody
}

// maxFiles bounds what one instance can make the asker hold.
const maxFiles = 1000

// Files returns the descriptors of the file that declares the contract and of
// all that it imports.
func (r *Reader) Files(ctx context.Context, address, contract string) (*descriptorpb.FileDescriptorSet, error) {
	creds := r.Credentials
	if creds == nil {
		creds = insecure.NewCredentials()
	}
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(creds))
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", address, err)
	}
	defer func() { _ = conn.Close() }() // nothing is lost: it was only read from
	if r.Token != nil {
		if key, value := r.Token(); value != "" {
			ctx = metadata.AppendToOutgoingContext(ctx, key, value)
		}
	}
	set, err := converse(ctx, conn, reflectionv1.ServerReflection_ServerReflectionInfo_FullMethodName, contract)
	if status.Code(err) == codes.Unimplemented {
		set, err = converse(ctx, conn, alpha, contract)
	}
	if err != nil {
		return nil, fmt.Errorf("ask %s for %s: %w", address, contract, err)
	}
	return set, nil
}

// alpha is the name under which older servers serve the same protocol.
const alpha = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"

func converse(ctx context.Context, conn *grpc.ClientConn, method, contract string) (*descriptorpb.FileDescriptorSet, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := conn.NewStream(ctx, &reflectionv1.ServerReflection_ServiceDesc.Streams[0], method)
	if err != nil {
		return nil, err
	}
	q := &reflection{
		stream: &grpc.GenericClientStream[reflectionv1.ServerReflectionRequest, reflectionv1.ServerReflectionResponse]{ClientStream: stream},
		known:  map[string]*descriptorpb.FileDescriptorProto{},
	}
	if err := q.collect(contract); err != nil {
		return nil, err
	}
	return q.set(), nil
}

// reflection is one conversation.
type reflection struct {
	stream grpc.BidiStreamingClient[reflectionv1.ServerReflectionRequest, reflectionv1.ServerReflectionResponse]
	known  map[string]*descriptorpb.FileDescriptorProto
}

func (q *reflection) collect(contract string) error {
	err := q.ask(&reflectionv1.ServerReflectionRequest{
		MessageRequest: &reflectionv1.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: contract},
	})
	for err == nil {
		missing := q.missing()
		if missing == "" {
			return nil
		}
		err = q.ask(&reflectionv1.ServerReflectionRequest{
			MessageRequest: &reflectionv1.ServerReflectionRequest_FileByFilename{FileByFilename: missing},
		})
		if err == nil && q.known[missing] == nil || status.Code(err) == codes.NotFound {
			return fmt.Errorf("the file %s is imported and not there", missing)
		}
	}
	return err
}

func (q *reflection) ask(request *reflectionv1.ServerReflectionRequest) error {
	if err := q.stream.Send(request); err != nil && !errors.Is(err, io.EOF) { // then Recv knows more
		return err
	}
	response, err := q.stream.Recv()
	if err != nil {
		return err
	}
	if e := response.GetErrorResponse(); e != nil {
		return status.Error(codes.Code(e.GetErrorCode()), e.GetErrorMessage())
	}
	for _, raw := range response.GetFileDescriptorResponse().GetFileDescriptorProto() {
		file := &descriptorpb.FileDescriptorProto{}
		if err := proto.Unmarshal(raw, file); err != nil {
			return err
		}
		if q.known[file.GetName()] = file; len(q.known) > maxFiles {
			return errors.New("the contract imports too many files")
		}
	}
	return nil
}

// missing names a file that is imported and not known. What is linked into
// this program need not be asked for.
func (q *reflection) missing() string {
	for _, file := range q.known {
		for _, name := range file.GetDependency() {
			if q.known[name] != nil {
				continue
			}
			linked, err := protoregistry.GlobalFiles.FindFileByPath(name)
			if err != nil {
				return name
			}
			q.known[name] = protodesc.ToFileDescriptorProto(linked)
			return q.missing()
		}
	}
	return ""
}

// set lists the files in the order of their names: equal sets are equal bytes.
func (q *reflection) set() *descriptorpb.FileDescriptorSet {
	names := make([]string, 0, len(q.known))
	for name := range q.known {
		names = append(names, name)
	}
	slices.Sort(names)
	set := &descriptorpb.FileDescriptorSet{}
	for _, name := range names {
		set.File = append(set.File, q.known[name])
	}
	return set
}
