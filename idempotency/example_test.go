package idempotency_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	tillv1 "github.com/gowarren/warren/idempotency/internal/testpb/till/v1"

	"github.com/gowarren/warren/idempotency"
	"github.com/gowarren/warren/rpc"
	"github.com/gowarren/warren/store"
)

// A call that is sent twice has one effect, though the handler knows nothing of it.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "idempotency")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	db, err := store.Open(ctx, "sqlite:"+filepath.Join(dir, "till.db"), store.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = db.Close() }()
	if err := idempotency.Migrate(ctx, db); err != nil {
		fmt.Println(err)
		return
	}
	keys, err := idempotency.New(idempotency.Options{Database: idempotency.In(db)})
	if err != nil {
		fmt.Println(err)
		return
	}

	// A server does this: rpc.ServerOptions{Intercept: …{keys.Intercept}}.
	info := &grpc.UnaryServerInfo{FullMethod: tillv1.TillService_Pay_FullMethodName}
	ctx = metadata.NewIncomingContext(ctx, metadata.Pairs(rpc.MetadataIdempotencyKey, "8d1f"))
	for range 2 {
		answer, err := keys.Intercept(ctx, &tillv1.PayRequest{Amount: 5}, info, func(context.Context, any) (any, error) {
			fmt.Println("paying")
			return &tillv1.PayResponse{Paid: 5}, nil
		})
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println("paid", answer.(*tillv1.PayResponse).GetPaid())
	}
	// Output:
	// paying
	// paid 5
	// paid 5
}
