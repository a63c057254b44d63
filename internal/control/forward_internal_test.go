package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/fstest"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/gowarren/warren"
	eventsv1 "github.com/gowarren/warren/api/warren/events/v1"
	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	shardsv1 "github.com/gowarren/warren/api/warren/shards/v1"
	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
	"github.com/gowarren/warren/auth"
	"github.com/gowarren/warren/internal/audit"
	"github.com/gowarren/warren/internal/node"
	libraryv1 "github.com/gowarren/warren/internal/transcode/testpb/library/v1"
	"github.com/gowarren/warren/warrentest"
)

// clerk serves what is passed on, and tells who has called whom.
type clerk struct {
	txnv1.UnimplementedOperatorServiceServer
	name string
}

func (c *clerk) answer(ctx context.Context, what string) string {
	return fmt.Sprintf("%s of %s for %s", what, c.name, auth.FromContext(ctx).Service)
}

func (c *clerk) Retry(ctx context.Context, req *txnv1.RetryRequest) (*txnv1.Transaction, error) {
	if req.GetBy().GetAuthor() != "ada" {
		return nil, status.Errorf(codes.FailedPrecondition, "%s is not ada", req.GetBy().GetAuthor())
	}
	return &txnv1.Transaction{Gid: req.GetGid(), Reason: c.answer(ctx, "retry")}, nil
}

type shardClerk struct {
	shardsv1.UnimplementedShardServiceServer
	clerk
}

func (c *shardClerk) Show(ctx context.Context, req *shardsv1.ShowRequest) (*shardsv1.ShowResponse, error) {
	return &shardsv1.ShowResponse{Shard: &shardsv1.Shard{Shard: req.GetShard(), Database: c.answer(ctx, "shard")}}, nil
}

func (c *shardClerk) Move(req *shardsv1.MoveRequest, stream grpc.ServerStreamingServer[shardsv1.MoveResponse]) error {
	if c.name == "books" {
		return status.Error(codes.FailedPrecondition, "books stay where they are")
	}
	for _, phase := range []string{"copy", "switch", "done"} {
		if err := stream.Send(&shardsv1.MoveResponse{Phase: phase + " of " + req.GetBy().GetAuthor()}); err != nil {
			return err
		}
	}
	return nil
}

type letterClerk struct {
	eventsv1.UnimplementedLetterServiceServer
	clerk
}

func (c *letterClerk) Show(ctx context.Context, req *eventsv1.ShowRequest) (*eventsv1.Letter, error) {
	return &eventsv1.Letter{Letter: req.GetLetter(), Reason: c.answer(ctx, "letter")}, nil
}

// served answers for a system of which two services run, notes and books, and
// connects to what answers.
func served(t *testing.T) *grpc.ClientConn {
	t.Helper()
	sys := warrentest.New(t)
	for _, name := range []string{"notes", "books"} {
		sys.Run(name, func(ctx context.Context, app *warren.App) error {
			shardsv1.RegisterShardServiceServer(app, &shardClerk{clerk: clerk{name: name}})
			if name == "books" {
				if _, err := app.Database(ctx, fstest.MapFS{"0001_books.sql": {Data: []byte("CREATE TABLE books (isbn TEXT)")}}); err != nil { // which keeps idempotency keys
					return err
				}
				libraryv1.RegisterLibraryServiceServer(app, librarian{})
			}
			if name == "notes" {
				txnv1.RegisterOperatorServiceServer(app, &clerk{name: name})
				eventsv1.RegisterLetterServiceServer(app, &letterClerk{clerk: clerk{name: name}})
			}
			return nil
		})
	}
	key, err := node.ReadKey(sys.KeyFile())
	if err != nil {
		t.Fatal(err)
	}
	quiet := slog.New(slog.DiscardHandler)
	list := &audit.Log{File: &audit.File{Path: t.TempDir() + "/audit.jsonl"}, Owner: "root", Logger: quiet}
	api, err := Open(Options{Registry: sys.Registry(), Key: key, Logger: quiet, Audit: list})
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.UnknownServiceHandler(api.Forward), grpc.UnaryInterceptor(api.Unary))
	t.Cleanup(func() {
		server.Stop()
		if err := api.Close(); err != nil {
			t.Error(err)
		}
	})
	api.Register(server)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(l) }()
	conn, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// TestAPI goes through what only services can answer. The parts share the system,
// which is what costs.
func TestAPI(t *testing.T) {
	conn := served(t)
	t.Run("forward", func(t *testing.T) { testForward(t, conn) })
	t.Run("forward to a service", func(t *testing.T) { testForwardTo(t, conn) })
	t.Run("forward a stream", func(t *testing.T) { testForwardStream(t, conn) })
	t.Run("forward nothing else", func(t *testing.T) { testForwardRefuses(t, conn) })
	t.Run("contracts", func(t *testing.T) { testContracts(t, conn) })
	t.Run("messages", func(t *testing.T) { testMessages(t, conn) })
	t.Run("call", func(t *testing.T) { testCall(t, conn) })
	t.Run("call nothing else", func(t *testing.T) { testCallRefuses(t, conn) })
	t.Run("audit", func(t *testing.T) { testAudit(t, conn) })
}

// testAudit looks for what the parts before have done: also what is passed on is
// written down here, and what was refused.
func testAudit(t *testing.T, conn *grpc.ClientConn) {
	for query, want := range map[string]string{
		"retry checkout/1 to see": "eve: retry checkout/1, to see; eve is not ada|ada: retry checkout/1, to see; ",
		"move notes":              "ada: move notes shard 1, it is full; ",
		"move books":              "ada: move books shard 1, it is full; books stay where they are",
		"show":                    "",
	} {
		found, err := observev1.NewAuditServiceClient(conn).List(t.Context(), &observev1.ListAuditRequest{Query: query})
		var got []string
		for _, e := range found.GetEntries() {
			got = append(got, fmt.Sprintf("%s: %s %s, %s; %s", e.GetAuthor(), e.GetAction(), e.GetTarget(), e.GetReason(), e.GetError()))
		}
		if text := strings.Join(got, "|"); err != nil || text != want {
			t.Errorf("%s: %v\n got %s\nwant %s", query, err, text, want)
		}
	}
}

// A stream of answers comes as it is, and so does its error.
func testForwardStream(t *testing.T, conn *grpc.ClientConn) {
	move := func(service string) (phases []string, err error) {
		ctx := metadata.AppendToOutgoingContext(t.Context(), metadataTo, service)
		stream, err := shardsv1.NewShardServiceClient(conn).Move(ctx, &shardsv1.MoveRequest{
			Shard: 1, Database: "sqlite:x", By: &shardsv1.By{Author: "ada", Reason: "it is full"},
		})
		for err == nil {
			var p *shardsv1.MoveResponse
			if p, err = stream.Recv(); err == nil {
				phases = append(phases, p.GetPhase())
			}
		}
		return phases, err
	}
	if got, err := move("notes"); !errors.Is(err, io.EOF) || strings.Join(got, ",") != "copy of ada,switch of ada,done of ada" {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := move("books"); status.Code(err) != codes.FailedPrecondition || !strings.Contains(err.Error(), "books stay") {
		t.Errorf("%v, %v", got, err)
	}
}

// Services hear the operator, whose word for an author they take; and their
// answers and errors come back as they are.
func testForward(t *testing.T, conn *grpc.ClientConn) {
	txn := txnv1.NewOperatorServiceClient(conn)
	retried, err := txn.Retry(t.Context(), &txnv1.RetryRequest{Gid: "checkout/1", By: &txnv1.By{Author: "ada", Reason: "to see"}})
	if err != nil || retried.GetGid() != "checkout/1" || retried.GetReason() != "retry of notes for cli" {
		t.Errorf("retry: %v, %v", retried, err)
	}
	_, err = txn.Retry(t.Context(), &txnv1.RetryRequest{Gid: "checkout/1", By: &txnv1.By{Author: "eve", Reason: "to see"}})
	if status.Code(err) != codes.FailedPrecondition || !strings.Contains(err.Error(), "eve is not ada") {
		t.Errorf("an error of the service: %v", err)
	}
	if _, err = txn.Retry(t.Context(), &txnv1.RetryRequest{}); status.Code(err) != codes.InvalidArgument {
		t.Errorf("what the contract forbids: %v", err)
	}
	letter, err := eventsv1.NewLetterServiceClient(conn).Show(t.Context(), &eventsv1.ShowRequest{Letter: "L1"})
	if err != nil || letter.GetReason() != "letter of notes for cli" {
		t.Errorf("letter: %v, %v", letter, err)
	}
}

func testForwardTo(t *testing.T, conn *grpc.ClientConn) {
	shards := shardsv1.NewShardServiceClient(conn)
	for _, name := range []string{"notes", "books", "notes"} {
		ctx := metadata.AppendToOutgoingContext(t.Context(), metadataTo, name)
		shown, err := shards.Show(ctx, &shardsv1.ShowRequest{Shard: 3})
		if err != nil || shown.GetShard().GetDatabase() != "shard of "+name+" for cli" || shown.GetShard().GetShard() != 3 {
			t.Errorf("%s: %v, %v", name, shown, err)
		}
	}
	ctx := metadata.AppendToOutgoingContext(t.Context(), metadataTo, "nobody")
	if shown, err := shards.Show(ctx, &shardsv1.ShowRequest{}); err == nil {
		t.Errorf("a service that there is not: %v", shown)
	}
}

// What services serve for each other is not to be had here.
func testForwardRefuses(t *testing.T, conn *grpc.ClientConn) {
	for _, method := range []string{"/warren.peer.v1.PeerService/Invalidate", "/warren.txn.v1.TransactionService/Begin", "/warren.txn.v1.OperatorService/Erase", "/nobody/Calls"} {
		err := conn.Invoke(t.Context(), method, &shardsv1.ListRequest{}, &shardsv1.ListResponse{})
		if status.Code(err) != codes.Unimplemented || !strings.Contains(err.Error(), "nobody serves "+method+" here") {
			t.Errorf("%s: %v", method, err)
		}
	}
}
