package rpc_test

import (
	"context"
	"net"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	echov1 "github.com/gowarren/warren/rpc/internal/testpb/echo/v1"

	"github.com/gowarren/warren/rpc"
	"github.com/gowarren/warren/telemetry"
)

// BenchmarkServer compares the server with everything on to plain grpc-go on
// the same work, over the same kind of socket, with the same client.
func BenchmarkServer(b *testing.B) {
	who := newIdentities(b)
	signed, err := who.service.Sign("order")
	if err != nil {
		b.Fatal(err)
	}
	tel, err := telemetry.Open(b.Context(), telemetry.Options{Service: "echo"})
	if err != nil {
		b.Fatal(err)
	}
	opts := who.options()
	opts.Tracer = tel.Tracer()
	warren := serve(b, opts, &echo{}).client

	socket := filepath.Join(b.TempDir(), "s")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		b.Fatal(err)
	}
	server := grpc.NewServer()
	echov1.RegisterEchoServiceServer(server, &echo{})
	go server.Serve(listener)
	b.Cleanup(server.Stop)
	plain := echov1.NewEchoServiceClient(dial(b, "unix:"+socket))

	ctx := metadata.AppendToOutgoingContext(b.Context(),
		rpc.MetadataAuthorization, "Bearer "+who.user(b, "u1", time.Hour, "staff"), rpc.MetadataService, signed,
		"traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00", rpc.MetadataRequestID, "r1")
	// Calls of the system carry a deadline.
	ctx, cancel := context.WithTimeout(ctx, time.Hour)
	defer cancel()
	for _, bench := range []struct {
		name   string
		client echov1.EchoServiceClient
	}{{"plain", plain}, {"warren", warren}} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(p *testing.PB) {
				r := &echov1.EchoRequest{Text: "hello", Items: []*echov1.EchoRequest_Item{{Quantity: 1}}}
				for p.Next() {
					if _, err := bench.client.Staff(ctx, r); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}
