package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	echov1 "github.com/gowarren/warren/rpc/internal/testpb/echo/v1"

	"github.com/gowarren/warren/rpc"
)

// Interceptors come last before the handler, in order: what is refused never
// reaches them, and what they return is as if the handler had returned it.
func TestIntercept(t *testing.T) {
	var seen []string
	intercept := func(name string) grpc.UnaryServerInterceptor {
		return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
			seen = append(seen, name+" "+info.FullMethod+" "+req.(*echov1.EchoRequest).GetText())
			if err := grpc.SetTrailer(ctx, metadata.Pairs("seen-by", name)); err != nil {
				t.Error(err)
			}
			if req.(*echov1.EchoRequest).GetText() == name {
				return nil, errors.New("a secret of " + name)
			}
			return handler(ctx, req)
		}
	}
	s := serve(t, rpc.ServerOptions{Intercept: []grpc.UnaryServerInterceptor{intercept("one"), intercept("two"), intercept("three")}}, &echo{})
	var trailer metadata.MD
	if _, err := s.client.Public(t.Context(), &echov1.EchoRequest{Text: "hello"}, grpc.Trailer(&trailer)); err != nil {
		t.Fatal(err)
	}
	const method = " /echo.v1.EchoService/Public hello"
	if want := []string{"one" + method, "two" + method, "three" + method}; !slices.Equal(seen, want) {
		t.Errorf("seen %q; want %q", seen, want)
	}
	if got := trailer.Get("seen-by"); fmt.Sprint(got) != "[one two three]" {
		t.Errorf("trailers %q", got)
	}
	_, err := s.client.Public(t.Context(), &echov1.EchoRequest{Text: "two"})
	if status.Code(err) != codes.Internal || strings.Contains(err.Error(), "secret") || !strings.Contains(s.logs.String(), "a secret of two") {
		t.Errorf("an interceptor's error: %v", err)
	}
	seen = nil
	_, refused := s.client.SignedIn(t.Context(), &echov1.EchoRequest{Text: "hello"})
	_, invalid := s.client.Public(t.Context(), &echov1.EchoRequest{Text: strings.Repeat("x", 5000)})
	if status.Code(refused) != codes.Unauthenticated || status.Code(invalid) != codes.InvalidArgument || len(seen) != 0 {
		t.Errorf("refused: %v; invalid: %v; interceptors saw %q", refused, invalid, seen)
	}
}

// A call to a service goes to its instances, though others serve the contract
// too; none of its being there is said, and nobody else is asked.
func TestToService(t *testing.T) {
	s := newSystem(t, rpc.ClientOptions{Settings: file(t, "rpc.wait", "20ms"), Zone: "here"})
	nodes := map[string]*node{}
	for _, service := range []string{"order", "payment"} {
		for _, id := range []string{"1", "2"} {
			nodes[service+id] = s.start(service+id, func(n *node) {
				n.info.Service = service
				if service == "order" {
					n.info.Zone = "here" // near is no reason
				}
			})
		}
	}
	s.usable(4)
	to := func(service string) error { return s.say(rpc.ToService(t.Context(), service)) }
	for range 20 {
		if err := to("payment"); err != nil {
			t.Fatal(err)
		}
	}
	if n := nodes["payment1"].calls.Load() + nodes["payment2"].calls.Load(); n != 20 {
		t.Errorf("%d of 20 calls went to the service", n)
	}
	nodes["payment1"].kill()
	for range 20 {
		if err := to("payment"); err != nil {
			t.Fatal(err)
		}
	}
	nodes["payment2"].kill()
	if err := to("payment"); status.Code(err) != codes.Unavailable {
		t.Errorf("a service that is away: %v", err)
	}
	if err := to("nobody"); status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), `service "nobody"`) {
		t.Errorf("a service that nobody knows: %v", err)
	}
	if n := nodes["order1"].calls.Load() + nodes["order2"].calls.Load(); n != 0 {
		t.Errorf("%d calls went to another service", n)
	}
	if err := s.say(t.Context()); err != nil {
		t.Error(err)
	}
}

// bytesCodec sends and receives messages as the bytes that they are.
type bytesCodec struct{}

func (bytesCodec) Name() string                       { return "proto" }
func (bytesCodec) Marshal(v any) ([]byte, error)      { return *v.(*[]byte), nil }
func (bytesCodec) Unmarshal(data []byte, v any) error { *v.(*[]byte) = slices.Clone(data); return nil }

// Who calls methods that it has no code for sends bytes, and sees the trailers of
// answers and errors, retried or not.
func TestBytesAndTrailers(t *testing.T) {
	for _, method := range []string{"Public", "SignedIn"} { // idempotent, and not
		s := newSystem(t, rpc.ClientOptions{})
		var broken error
		s.start("1", func(n *node) {
			n.handle = func(ctx context.Context, r *echov1.EchoRequest) (*echov1.EchoResponse, error) {
				return &echov1.EchoResponse{Text: r.GetText()}, errors.Join(broken, grpc.SetTrailer(ctx, metadata.Pairs("outcome-bin", "\x00\xff")))
			}
		})
		s.usable(1)
		request, err := proto.Marshal(&echov1.EchoRequest{Text: "hello"})
		if err != nil {
			t.Fatal(err)
		}
		for _, broken = range []error{nil, status.Error(codes.FailedPrecondition, "no"), status.Error(codes.Unavailable, "later")} {
			var reply []byte
			var trailer metadata.MD
			err := s.client.Invoke(t.Context(), "/echo.v1.EchoService/"+method, &request, &reply,
				grpc.ForceCodec(bytesCodec{}), grpc.Trailer(&trailer))
			if (err == nil) != (broken == nil) {
				t.Errorf("%s: %v; want %v", method, err, broken)
			}
			if got := trailer.Get("outcome-bin"); len(got) != 1 || got[0] != "\x00\xff" {
				t.Errorf("%s with %v: trailer %q", method, broken, trailer)
			}
			answer := &echov1.EchoResponse{}
			if err := proto.Unmarshal(reply, answer); broken == nil && (err != nil || answer.GetText() != "hello") {
				t.Errorf("%s: answer %q, %v", method, reply, err)
			}
		}
	}
}
