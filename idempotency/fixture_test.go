package idempotency_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	tillv1 "github.com/gowarren/warren/idempotency/internal/testpb/till/v1"

	"github.com/gowarren/warren/idempotency"
	"github.com/gowarren/warren/rpc"
	"github.com/gowarren/warren/store"
	"github.com/gowarren/warren/store/storetest"
)

func TestMain(m *testing.M) {
	if address := os.Getenv(childVariable); address != "" {
		os.Exit(child(address))
	}
	goleak.VerifyTestMain(m)
}

var schema = fstest.MapFS{"migrations/0001_payments.sql": {Data: []byte(`CREATE TABLE payments (
	receipt VARCHAR(64) NOT NULL PRIMARY KEY, shard BIGINT NOT NULL, customer VARCHAR(64) NOT NULL, amount BIGINT NOT NULL);`)}}

// till is a service as any other: it knows nothing of keys.
type till struct {
	tillv1.UnimplementedTillServiceServer
	db idempotency.Database
	// before is called in the handler, with how many calls there were.
	before func(ctx context.Context, n int64) error
	calls  chan int64
}

func newTill(db idempotency.Database) *till {
	t := &till{db: db, calls: make(chan int64, 1), before: func(context.Context, int64) error { return nil }}
	t.calls <- 0
	return t
}

func (s *till) Pay(ctx context.Context, req *tillv1.PayRequest) (*tillv1.PayResponse, error) {
	n := <-s.calls + 1
	s.calls <- n
	receipt := fmt.Sprintf("%s-%d-%d", req.GetCustomer(), time.Now().UnixNano(), n)
	err := s.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO payments (receipt, shard, customer, amount) VALUES (?, 0, ?, ?)`, receipt, req.GetCustomer(), req.GetAmount())
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := s.before(ctx, n); err != nil {
		return nil, err
	}
	return &tillv1.PayResponse{Receipt: receipt, Paid: req.GetAmount()}, nil
}

func (s *till) Tip(ctx context.Context, req *tillv1.PayRequest) (*tillv1.PayResponse, error) {
	return s.Pay(ctx, req)
}

func (s *till) called() int64 {
	n := <-s.calls
	s.calls <- n
	return n
}

func database(t testing.TB, address string) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), address, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, migrate := range []func() error{
		func() error { return db.Migrate(t.Context(), schema) },
		func() error { return idempotency.Migrate(t.Context(), db) },
	} {
		if err := migrate(); err != nil {
			t.Fatal(err)
		}
	}
	return db
}

// serve has the till served behind keys, as an instance of a service.
func serve(t testing.TB, s *till, opts idempotency.Options) tillv1.TillServiceClient {
	t.Helper()
	if opts.Database == nil {
		opts.Database = idempotency.In(s.db)
	}
	keys, err := idempotency.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	server := rpc.NewServer(rpc.ServerOptions{Intercept: []grpc.UnaryServerInterceptor{keys.Intercept}})
	tillv1.RegisterTillServiceServer(server, s)
	socket := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	conn, err := grpc.NewClient("unix:"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		server.Stop()
		<-ended
	})
	return tillv1.NewTillServiceClient(conn)
}

// each runs the test on every database, with a till and a client of it.
func each(t *testing.T, test func(t *testing.T, db *store.DB, s *till, client tillv1.TillServiceClient)) {
	t.Helper()
	storetest.Each(t, func(t *testing.T, address string) {
		db := database(t, address)
		s := newTill(db)
		test(t, db, s, serve(t, s, idempotency.Options{}))
	})
}

func keyed(t testing.TB, key string) context.Context {
	return metadata.AppendToOutgoingContext(t.Context(), rpc.MetadataIdempotencyKey, key)
}

func paid(t testing.TB, db *store.DB, customer string) (n int) {
	t.Helper()
	if err := db.QueryRow(t.Context(), `SELECT COUNT(*) FROM payments WHERE customer = ?`, customer).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
