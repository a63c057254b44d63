package rpc_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	echov1 "github.com/gowarren/warren/rpc/internal/testpb/echo/v1"

	"github.com/gowarren/warren/auth"
	"github.com/gowarren/warren/rpc"
	"github.com/gowarren/warren/telemetry"
)

// BenchmarkInvoke compares a call through the client, with everything on, to
// the same call through grpc-go alone, to the same server by the same socket.
func BenchmarkInvoke(b *testing.B) {
	tel, err := telemetry.Open(b.Context(), telemetry.Options{Service: "bench"})
	if err != nil {
		b.Fatal(err)
	}
	key, err := auth.NewServiceKey([]byte(strings.Repeat("k", 32)))
	if err != nil {
		b.Fatal(err)
	}
	s := newSystem(b, rpc.ClientOptions{Host: "here", Tracer: tel.Tracer(), Service: "bench", ServiceKey: key})
	n := s.start("a", func(n *node) {
		n.info.Host, n.info.Socket, n.info.Address = "here", filepath.Join(b.TempDir(), "s"), "127.0.0.1:1"
	})
	s.start("b", func(n *node) {
		n.info.Host, n.info.Socket, n.info.Address = "here", filepath.Join(b.TempDir(), "s"), "127.0.0.1:1"
	})
	s.usable(2)
	conn, err := grpc.NewClient("unix:"+n.info.Socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close() })
	token, err := key.Sign("bench")
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		client echov1.EchoServiceClient
	}{
		{"grpc", echov1.NewEchoServiceClient(conn)},
		{"grpc-same-headers", echov1.NewEchoServiceClient(sameHeaders{conn, tel.Tracer(), token})},
		{"warren", s.echo},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			request := &echov1.EchoRequest{Text: "hello"}
			for b.Loop() {
				if _, err := c.client.Public(b.Context(), request); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(c.name+"-parallel", func(b *testing.B) {
			b.ReportAllocs()
			b.SetParallelism(32)
			b.RunParallel(func(pb *testing.PB) {
				request := &echov1.EchoRequest{Text: "hello"}
				for pb.Next() {
					if _, err := c.client.Public(b.Context(), request); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}

// sameHeaders sends what the client sends, and does nothing else that it does.
type sameHeaders struct {
	*grpc.ClientConn
	tracer *telemetry.Tracer
	token  string
}

func (c sameHeaders) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	ctx, _ = c.tracer.Start(ctx, method, trace.SpanKindClient)
	kv := []string{rpc.MetadataService, c.token}
	c.tracer.Inject(ctx, func(key, value string) { kv = append(kv, key, value) })
	return c.ClientConn.Invoke(metadata.AppendToOutgoingContext(ctx, kv...), method, args, reply, opts...)
}
