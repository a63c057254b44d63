package control

import (
	"context"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	contractsv1 "github.com/gowarren/warren/api/warren/contracts/v1"
	"github.com/gowarren/warren/auth"
	libraryv1 "github.com/gowarren/warren/internal/transcode/testpb/library/v1"
	"github.com/gowarren/warren/rpc"
)

const library = "/library.v1.LibraryService/"

// librarian tells who has called, and with what.
type librarian struct {
	libraryv1.UnimplementedLibraryServiceServer
}

func (librarian) GetBook(ctx context.Context, req *libraryv1.GetBookRequest) (*libraryv1.Book, error) {
	if req.GetIsbn() == "" {
		return nil, status.Error(codes.NotFound, "there is no such book")
	}
	_ = grpc.SetHeader(ctx, metadata.Pairs("shelf", "7"))
	_ = grpc.SetTrailer(ctx, metadata.Pairs("closing", "soon"))
	return &libraryv1.Book{Isbn: req.GetIsbn(), Title: "for " + auth.FromContext(ctx).Service}, nil
}

func (librarian) CreateBook(ctx context.Context, req *libraryv1.CreateBookRequest) (*libraryv1.Book, error) {
	req.GetBook().Tags = metadata.ValueFromIncomingContext(ctx, rpc.MetadataIdempotencyKey)
	return req.GetBook(), nil
}

func (librarian) DeleteBook(context.Context, *libraryv1.DeleteBookRequest) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, nil
}

func (librarian) SignIn(_ context.Context, req *libraryv1.SignInRequest) (*libraryv1.SignInResponse, error) {
	return &libraryv1.SignInResponse{Token: "token for " + req.GetPin()}, nil
}

func (librarian) WatchBooks(req *libraryv1.WatchBooksRequest, stream grpc.ServerStreamingServer[libraryv1.BookChange]) error {
	for i := range int64(req.GetCount()) {
		if err := stream.Send(&libraryv1.BookChange{Sequence: i}); err != nil {
			return err
		}
	}
	return nil
}

// What people try is called as they say, and what comes of it is told: the
// answer, the error, the metadata, the trace.
func testCall(t *testing.T, conn *grpc.ClientConn) {
	call := func(req *contractsv1.CallRequest) *contractsv1.CallResponse {
		t.Helper()
		req.Method = library + req.GetMethod()
		out, err := contractsv1.NewContractServiceClient(conn).Call(t.Context(), req)
		if err != nil {
			t.Fatalf("%s: %v", req.GetMethod(), err)
		}
		return out
	}
	book := call(&contractsv1.CallRequest{Method: "GetBook", Json: `{"isbn": "1"}`})
	if book.GetCode() != "OK" || book.GetHttpStatus() != 200 || len(book.GetAnswers()) != 1 || !strings.Contains(book.GetAnswers()[0], "for cli") {
		t.Errorf("a call: %v", book)
	}
	if book.GetTook().AsDuration() <= 0 || book.GetInstance() != "books/1" {
		t.Errorf("took %v, answered by %q", book.GetTook().AsDuration(), book.GetInstance())
	}
	if !hasHeader(book.GetHeaders(), "shelf", "7") || !hasHeader(book.GetTrailers(), "closing", "soon") {
		t.Errorf("headers %v, trailers %v", book.GetHeaders(), book.GetTrailers())
	}
	if none := call(&contractsv1.CallRequest{Method: "GetBook", Json: `{}`}); none.GetCode() != "NOT_FOUND" || none.GetHttpStatus() != 404 ||
		none.GetMessage() != "there is no such book" || none.GetAnswers() != nil {
		t.Errorf("an error: %v", none)
	}
	wrong := call(&contractsv1.CallRequest{Method: "CreateBook", Json: `{"book": {"isbn": "1"}}`, IdempotencyKey: "k1"})
	if wrong.GetCode() != "INVALID_ARGUMENT" || len(wrong.GetViolations()) != 1 || wrong.GetViolations()[0].GetField() != "book.title" || wrong.GetReason() == "" {
		t.Errorf("a field that breaks a rule: %v", wrong)
	}
	made := call(&contractsv1.CallRequest{Method: "CreateBook", Json: `{"book": {"title": "x"}}`, IdempotencyKey: "k1"})
	if made.GetCode() != "OK" || !strings.Contains(made.GetAnswers()[0], `"k1"`) {
		t.Errorf("the key: %v", made)
	}
	for _, c := range []struct{ token, want string }{{"", "UNAUTHENTICATED"}, {"guessed", "UNAUTHENTICATED"}} {
		if out := call(&contractsv1.CallRequest{Method: "DeleteBook", Json: `{}`, Token: c.token}); out.GetCode() != c.want {
			t.Errorf("token %q: %v", c.token, out)
		}
	}
	secret := call(&contractsv1.CallRequest{Method: "SignIn", Json: `{"pin": "0815"}`})
	if secret.GetCode() != "OK" || strings.Contains(secret.String(), "0815") || len(secret.GetHidden()) != 1 || secret.GetHidden()[0] != "token" {
		t.Errorf("a secret: %v", secret)
	}
	if stream := call(&contractsv1.CallRequest{Method: "WatchBooks", Json: `{"count": 3}`}); stream.GetCode() != "OK" || len(stream.GetAnswers()) != 3 || stream.GetCut() {
		t.Errorf("a stream: %v", stream)
	}
	if long := call(&contractsv1.CallRequest{Method: "WatchBooks", Json: `{"count": 1000}`}); !long.GetCut() || len(long.GetAnswers()) != mostAnswers {
		t.Errorf("a long stream: %d answers, cut: %v", len(long.GetAnswers()), long.GetCut())
	}
}

func hasHeader(all []*contractsv1.Header, name, value string) bool {
	for _, h := range all {
		if h.GetName() == name && h.GetValue() == value {
			return true
		}
	}
	return false
}

// testCallRefuses tries what is not to be called from here.
func testCallRefuses(t *testing.T, conn *grpc.ClientConn) {
	for _, c := range []struct {
		method, json string
		code         codes.Code
		says         string
	}{
		{moveMethod, `{}`, codes.PermissionDenied, "Warren's own"},
		{"/grpc.health.v1.Health/Check", `{}`, codes.PermissionDenied, "Warren's own"},
		{library + "ImportBooks", `{}`, codes.Unimplemented, "stream"},
		{library + "Nothing", `{}`, codes.NotFound, "Nothing"},
		{library + "GetBook", `{"ibsn": ""}`, codes.InvalidArgument, "ibsn"},
		{library + "GetBook", `[]`, codes.InvalidArgument, "GetBookRequest"},
		{"/nobody.Serves/It", `{}`, codes.Unavailable, "nobody.Serves"},
	} {
		_, err := contractsv1.NewContractServiceClient(conn).Call(t.Context(), &contractsv1.CallRequest{Method: c.method, Json: c.json})
		if status.Code(err) != c.code || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s %s: %v", c.method, c.json, err)
		}
	}
}
