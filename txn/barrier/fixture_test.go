package barrier_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
	"github.com/gowarren/warren/auth"
	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/rpc"
	"github.com/gowarren/warren/store"
	"github.com/gowarren/warren/store/storetest"
	"github.com/gowarren/warren/txn/barrier"
	fairv1 "github.com/gowarren/warren/txn/internal/testpb/fair/v1"
)

func TestMain(m *testing.M) { storetest.Main(m) }

const patience = 30 * time.Second

const (
	action     = txnv1.Op_OP_ACTION
	compensate = txnv1.Op_OP_COMPENSATE
	try        = txnv1.Op_OP_TRY
	confirm    = txnv1.Op_OP_CONFIRM
	cancel     = txnv1.Op_OP_CANCEL
	prepare    = txnv1.Op_OP_PREPARE

	succeeded = txnv1.Outcome_KIND_OK
	failure   = txnv1.Outcome_KIND_FAILURE
	ongoing   = txnv1.Outcome_KIND_ONGOING
	again     = txnv1.Outcome_KIND_RETRY
)

type (
	op   = txnv1.Op
	kind = txnv1.Outcome_Kind
)

// storeURL is a database for tests to which it doesn't matter which.
func storeURL(t testing.TB) string { return storetest.SQLite(t) }

// fair is a service with a database behind a barrier. Its handlers do what they
// do however often they are called: that it is once is the barrier's merit.
type fair struct {
	fairv1.UnimplementedStallServiceServer
	testing.TB

	ctx     context.Context
	address string
	db      *store.DB
	barrier *barrier.Barrier
	metrics *prometheus.Registry
	logs    *logs
	key     *auth.ServiceKey
	conn    *grpc.ClientConn
	stall   fairv1.StallServiceClient
	part    txnv1.ParticipantServiceClient

	mu sync.Mutex
	// Hooks of the tests, by method: before its handler ends, in its transaction.
	inside map[string]func(context.Context) error
	// arrived is told which method is about to begin its transaction.
	arrived func(method string)
	// lose drops the answer of the next calls, after everything is done.
	lose int
	runs map[string]int
}

type options struct {
	manual   []string
	settings *config.Settings
	off      bool // no barrier at all
	noTwo    bool // no two-phase commits
}

// each runs a test on a fair with a fresh database of each kind.
func each(t *testing.T, test func(*fair), opts ...options) {
	t.Helper()
	storetest.Each(t, func(t *testing.T, address string) { test(open(t, address, opts...)) })
}

func open(t testing.TB, address string, opts ...options) *fair {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), patience)
	t.Cleanup(stop)
	f := &fair{TB: t, ctx: ctx, address: address, metrics: prometheus.NewRegistry(), logs: &logs{},
		inside: map[string]func(context.Context) error{}, runs: map[string]int{}}
	f.db = f.database("main")
	f.must(f.db.Migrate(ctx, schema))
	f.exec(`INSERT INTO stock (goods, free, sold) VALUES ('bread', 100, 0)`)
	var o options
	if len(opts) > 0 {
		o = opts[0]
	}
	f.serve(o)
	return f
}

func (f *fair) database(name string) *store.DB {
	f.Helper()
	db, err := store.Open(f.ctx, f.address, store.Options{Name: name})
	f.must(err)
	f.Cleanup(func() { _ = db.Close() })
	return db
}

// serve starts a process, so to speak: a barrier and a server of the database.
func (f *fair) serve(o options) {
	f.Helper()
	logger := slog.New(slog.NewTextHandler(f.logs, nil))
	f.barrier = barrier.New(barrier.Options{
		Database: func(_ context.Context, method string, _ proto.Message) (barrier.Database, error) {
			if f.arrived != nil {
				f.arrived(method[strings.LastIndex(method, "/")+1:])
			}
			return f.db, nil
		},
		Databases: func() []*store.DB { return []*store.DB{f.db} },
		Manual:    o.manual, TwoPhase: !o.noTwo, Settings: o.settings, Logger: logger, Metrics: f.metrics,
	})
	var err error
	f.key, err = auth.NewServiceKey(bytes.Repeat([]byte("k"), 32))
	f.must(err)
	intercept := []grpc.UnaryServerInterceptor{f.line, f.barrier.Intercept}
	if o.off {
		intercept = nil
	}
	server := rpc.NewServer(rpc.ServerOptions{Logger: logger, ServiceKey: f.key, Intercept: intercept})
	fairv1.RegisterStallServiceServer(server, f)
	f.barrier.Register(server)
	f.must(server.Check())
	socket := filepath.Join(f.TempDir(), "s")
	listener, err := net.Listen("unix", socket)
	f.must(err)
	go func() { _ = server.Serve(listener) }()
	f.Cleanup(server.Stop)
	f.conn, err = grpc.NewClient("unix:"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	f.must(err)
	f.Cleanup(func() { _ = f.conn.Close() })
	f.stall = fairv1.NewStallServiceClient(f.conn)
	f.part = txnv1.NewParticipantServiceClient(f.conn)
}

// line is the way back to the caller, which may lose an answer.
func (f *fair) line(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	reply, err := handler(ctx, req)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.lose > 0 {
		f.lose--
		return nil, errors.New("the connection broke")
	}
	return reply, err
}

var schema = fstest.MapFS{"migrations/0001_stock.sql": &fstest.MapFile{Data: []byte(`
	CREATE TABLE stock (goods VARCHAR(50) PRIMARY KEY, free BIGINT NOT NULL, sold BIGINT NOT NULL);
	CREATE TABLE reserved (id VARCHAR(200) PRIMARY KEY, quantity BIGINT NOT NULL);`)}}

// Reserve takes goods out of the stock.
func (f *fair) Reserve(ctx context.Context, r *fairv1.ReserveRequest) (*fairv1.ReserveResponse, error) {
	err := f.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		n, err := tx.Exec(ctx, `UPDATE stock SET free = free - ? WHERE goods = ? AND free >= ?`, r.GetQuantity(), r.GetGoods(), r.GetQuantity())
		if err != nil {
			return err
		}
		if n == 0 {
			return rpc.Errorf(fairv1.Reason_SOLD_OUT, "no %s left", r.GetGoods())
		}
		_, err = tx.Exec(ctx, `INSERT INTO reserved (id, quantity) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET quantity = excluded.quantity`,
			r.GetId(), r.GetQuantity())
		return err
	})
	if err := f.end(ctx, "Reserve", err); err != nil {
		return nil, err
	}
	return &fairv1.ReserveResponse{Shelf: fmt.Sprintf("shelf of %s, run %d", r.GetId(), f.ran("Reserve"))}, nil
}

// Release puts them back.
func (f *fair) Release(ctx context.Context, r *fairv1.ReleaseRequest) (*fairv1.ReleaseResponse, error) {
	return &fairv1.ReleaseResponse{}, f.end(ctx, "Release", f.move(ctx, r.GetId(), `free = free + ?`))
}

// Confirm counts them as sold.
func (f *fair) Confirm(ctx context.Context, r *fairv1.ConfirmRequest) (*fairv1.ConfirmResponse, error) {
	return &fairv1.ConfirmResponse{}, f.end(ctx, "Confirm", f.move(ctx, r.GetId(), `sold = sold + ?`))
}

func (f *fair) move(ctx context.Context, id, where string) error {
	var quantity int64
	if err := f.db.QueryRow(ctx, `SELECT quantity FROM reserved WHERE id = ?`, id).Scan(&quantity); err != nil {
		return fmt.Errorf("find reservation %s: %w", id, err)
	}
	if quantity == 0 {
		return nil
	}
	_, err := f.db.Exec(ctx, `UPDATE stock SET `+where+` WHERE goods = 'bread'`, quantity)
	return err
}

// end is the end of every handler.
func (f *fair) end(ctx context.Context, method string, err error) error {
	f.mu.Lock()
	f.runs[method]++
	hook := f.inside[method]
	f.mu.Unlock()
	if err == nil && hook != nil {
		return hook(ctx)
	}
	return err
}

func (f *fair) ran(method string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.runs[method]
}

func (f *fair) hook(method string, do func(context.Context) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.inside[method] = do
}

// branch is the branch that the tests' calls are, unless they say otherwise.
func branch(gid string, op txnv1.Op) *txnv1.Branch {
	return &txnv1.Branch{Gid: gid, Branch: "reserve", Op: op, Epoch: 1, CreateTime: timestamppb.Now()}
}

// system returns a context whose calls come from a service of the system.
func (f *fair) system(ctx context.Context) context.Context {
	f.Helper()
	token, err := f.key.Sign("coordinator")
	f.must(err)
	return metadata.AppendToOutgoingContext(ctx, rpc.MetadataService, token)
}

// call makes the call that the branch is, of two loaves under the gid.
func (f *fair) call(b *txnv1.Branch) (shelf string, o *txnv1.Outcome, err error) {
	f.Helper()
	ctx, err := barrier.Outgoing(f.system(f.ctx), b)
	f.must(err)
	var trailer metadata.MD
	switch b.GetOp() {
	case confirm:
		_, err = f.stall.Confirm(ctx, &fairv1.ConfirmRequest{Id: b.GetGid()}, grpc.Trailer(&trailer))
	case cancel, compensate:
		_, err = f.stall.Release(ctx, &fairv1.ReleaseRequest{Id: b.GetGid()}, grpc.Trailer(&trailer))
	default:
		var reply *fairv1.ReserveResponse
		reply, err = f.stall.Reserve(ctx, &fairv1.ReserveRequest{Id: b.GetGid(), Goods: "bread", Quantity: 2}, grpc.Trailer(&trailer))
		shelf = reply.GetShelf()
	}
	return shelf, barrier.OutcomeOf(trailer, err), received(err)
}

// received reads an error as a client of package rpc does.
func received(err error) error {
	if err == nil {
		return nil
	}
	return rpc.FromError(err)
}

// want makes the call and wants an outcome.
func (f *fair) want(b *txnv1.Branch, kind txnv1.Outcome_Kind) string {
	f.Helper()
	shelf, o, err := f.call(b)
	if o.GetKind() != kind {
		f.Errorf("%s of %q: outcome is %v (%v); want %v", b.GetOp(), b.GetGid(), o, err, kind)
	}
	return shelf
}

// stock wants so many loaves free and sold; the rest is reserved.
func (f *fair) stock(free, sold int64) {
	f.Helper()
	var gotFree, gotSold int64
	f.must(f.db.QueryRow(f.ctx, `SELECT free, sold FROM stock WHERE goods = 'bread'`).Scan(&gotFree, &gotSold))
	if gotFree != free || gotSold != sold {
		f.Errorf("stock is %d free, %d sold; want %d and %d", gotFree, gotSold, free, sold)
	}
}

func (f *fair) exec(query string, args ...any) {
	f.Helper()
	_, err := f.db.Exec(f.ctx, query, args...)
	f.must(err)
}

func (f *fair) must(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

func (f *fair) sqlite() bool { return f.db.Dialect() == store.SQLite }

// settings returns live numbers for a test.
func settings(t testing.TB, namesAndValues ...string) *config.Settings {
	t.Helper()
	var layer config.FileLayer
	for i := 0; i < len(namesAndValues); i += 2 {
		layer.Entries = append(layer.Entries, config.FileEntry{Name: namesAndValues[i], Value: namesAndValues[i+1], Position: "test"})
	}
	s, err := config.New(config.Options{File: layer, Definitions: barrier.Definitions()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// together runs n functions at once.
func together(n int, do func(i int)) {
	var all sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		all.Go(func() { <-start; do(i) })
	}
	close(start)
	all.Wait()
}

// logs is what was logged.
type logs struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
