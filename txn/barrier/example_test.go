package barrier_test

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/gowarren/warren/rpc"
	"github.com/gowarren/warren/store"
	"github.com/gowarren/warren/txn/barrier"
)

// A service that is no warren.App puts the barrier before its handlers itself.
func Example() {
	var db *store.DB // the service's
	b := barrier.New(barrier.Options{
		Database:  func(context.Context, string, proto.Message) (barrier.Database, error) { return db, nil },
		Databases: func() []*store.DB { return []*store.DB{db} },
	})
	server := rpc.NewServer(rpc.ServerOptions{Intercept: []grpc.UnaryServerInterceptor{b.Intercept}})
	b.Register(server) // and b.Run(ctx) beside it
	fmt.Println(server.Check())
	// Output: <nil>
}

// A handler says by the error how a branch ended; what it leaves unsaid is tried
// again.
func ExampleFailure() {
	err := barrier.Failure(errors.New("the card is stolen"))
	fmt.Println(barrier.OutcomeOf(nil, err).GetKind()) // without the barrier's word
	fmt.Println(err)
	// Output:
	// KIND_RETRY
	// FailedPrecondition: the card is stolen
}
