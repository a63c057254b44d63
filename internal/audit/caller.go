package audit

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// By what somebody asks.
const (
	Console    = "console"
	CLI        = "cli"
	Experiment = "experiment"
)

// Caller is by what somebody asks, and as whom a console knows them. Metadata of
// a call says it: who it is and why they do it are fields of the request.
type Caller struct{ Via, Role, From, Request string }

// Metadata of a call.
const (
	metadataVia     = "warren-via"
	metadataRole    = "warren-role"
	metadataFrom    = "warren-from"
	metadataRequest = "warren-request"
)

// Say has the calls of a context tell it.
func (c Caller) Say(ctx context.Context) context.Context {
	var said []string
	for _, one := range [][2]string{{metadataVia, c.Via}, {metadataRole, c.Role}, {metadataFrom, c.From}, {metadataRequest, c.Request}} {
		if one[1] != "" {
			said = append(said, one[0], one[1])
		}
	}
	return metadata.AppendToOutgoingContext(ctx, said...)
}

// DialOptions have all calls of a connection tell it.
func (c Caller) DialOptions() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithChainUnaryInterceptor(func(
			ctx context.Context, method string, req, resp any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption,
		) error {
			return invoke(c.Say(ctx), method, req, resp, conn, opts...)
		}),
		grpc.WithChainStreamInterceptor(func(
			ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption,
		) (grpc.ClientStream, error) {
			return open(c.Say(ctx), desc, conn, method, opts...)
		}),
	}
}

// callerOf is what a call tells of its caller.
func callerOf(ctx context.Context) Caller {
	first := func(key string) string {
		if values := metadata.ValueFromIncomingContext(ctx, key); len(values) > 0 {
			return values[0]
		}
		return ""
	}
	return Caller{Via: first(metadataVia), Role: first(metadataRole), From: first(metadataFrom), Request: first(metadataRequest)}
}
