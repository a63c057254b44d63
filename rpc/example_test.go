package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"net"

	echov1 "github.com/gowarren/warren/rpc/internal/testpb/echo/v1"

	"github.com/gowarren/warren/registry"
	"github.com/gowarren/warren/registry/staticregistry"
	"github.com/gowarren/warren/rpc"
)

// shy implements a contract and refuses with one of the contract's reasons.
type shy struct {
	echov1.UnimplementedEchoServiceServer
}

func (shy) Public(_ context.Context, r *echov1.EchoRequest) (*echov1.EchoResponse, error) {
	if r.GetText() == "" {
		return nil, rpc.Errorf(echov1.Reason_REASON_NO_ECHO, "say something")
	}
	return &echov1.EchoResponse{Text: r.GetText()}, nil
}

// A server serves a contract; a client finds it by the contract. In a service,
// *warren.App is both.
func Example() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	server := rpc.NewServer(rpc.ServerOptions{})
	echov1.RegisterEchoServiceServer(server, shy{})
	go server.Serve(listener)
	defer server.Stop()

	list, err := staticregistry.New(registry.Instance{
		ID: "echo/1", Service: "echo", State: registry.Ready,
		Address: listener.Addr().String(), Contracts: []string{"echo.v1.EchoService"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	reg := registry.New(list, registry.Options{})
	defer reg.Close()
	client, err := rpc.NewClient(rpc.ClientOptions{Registry: reg})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()

	echo := echov1.NewEchoServiceClient(client)
	reply, err := echo.Public(context.Background(), &echov1.EchoRequest{Text: "hello"})
	fmt.Println(reply.GetText(), err)
	_, err = echo.Public(context.Background(), &echov1.EchoRequest{})
	fmt.Println(errors.Is(err, rpc.Reason(echov1.Reason_REASON_NO_ECHO)), err)
	// Output:
	// hello <nil>
	// true NO_ECHO: say something
}
