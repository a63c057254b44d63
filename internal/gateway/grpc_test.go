package gateway

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	libraryv1 "github.com/gowarren/warren/internal/transcode/testpb/library/v1"
)

func (w *world) dial() libraryv1.LibraryServiceClient {
	w.t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+strings.TrimPrefix(w.url, "http://"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = conn.Close() })
	return libraryv1.NewLibraryServiceClient(conn)
}

func as(token string) context.Context {
	return metadata.AppendToOutgoingContext(context.Background(), "authorization", "Bearer "+token)
}

func TestGRPC(t *testing.T) {
	w := up(t, map[string]string{"gateway.limit.body": "1000"})
	c := w.dial()
	customer := w.issuer.token(t, "ann", "library", time.Minute, "customer")
	ctx := context.Background()

	book, err := c.GetBook(ctx, &libraryv1.GetBookRequest{Isbn: "1"})
	if err != nil || book.GetTitle() != "from a" {
		t.Fatalf("%v %v", book, err)
	}
	reply, err := c.Borrow(as(customer), &libraryv1.BorrowRequest{Isbn: "1"})
	if err != nil || reply.GetBorrower() != "ann" {
		t.Errorf("%v %v", reply, err)
	}
	big := &libraryv1.EchoRequest{Text: strings.Repeat("x", 10_000)}
	for name, c := range map[string]struct {
		err  error
		want codes.Code
	}{
		"not found":       {second(c.GetBook(ctx, &libraryv1.GetBookRequest{Isbn: "none"})), codes.NotFound},
		"internal method": {second(c.Audit(as(customer), &libraryv1.AuditRequest{})), codes.Unimplemented},
		"nobody":          {second(c.Borrow(ctx, &libraryv1.BorrowRequest{})), codes.Unauthenticated},
		"wrong role":      {second(c.DeleteBook(as(customer), &libraryv1.DeleteBookRequest{})), codes.PermissionDenied},
		"no key":          {second(c.CreateBook(ctx, &libraryv1.CreateBookRequest{})), codes.InvalidArgument},
		"too large":       {second(c.Echo(ctx, big)), codes.ResourceExhausted},
		"bomb":            {second(c.Echo(ctx, big, grpc.UseCompressor(gzip.Name))), codes.ResourceExhausted},
		"deadline":        {timedOut(c), codes.DeadlineExceeded},
	} {
		if status.Code(c.err) != c.want {
			t.Errorf("%s: %v", name, c.err)
		}
	}
	keyed := metadata.AppendToOutgoingContext(ctx, "idempotency-key", "k9", "warren-service", "forged")
	created, err := c.CreateBook(keyed, &libraryv1.CreateBookRequest{Book: &libraryv1.Book{Title: "T"}})
	if err != nil || created.GetLabels()["key"] != "k9" {
		t.Errorf("%v %v", created, err)
	}
}

func second[T any](_ T, err error) error { return err }

func timedOut(c libraryv1.LibraryServiceClient) error {
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	return second(c.GetBook(ctx, &libraryv1.GetBookRequest{Isbn: "slow"}))
}

func TestGRPCStreams(t *testing.T) {
	w := up(t, nil)
	c := w.dial()
	ctx := context.Background()
	watch, err := c.WatchBooks(ctx, &libraryv1.WatchBooksRequest{Count: 3, FailWith: "lost"})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if m, err := watch.Recv(); err != nil || m.GetSequence() != int64(i)+1 {
			t.Fatalf("%v %v", m, err)
		}
	}
	if _, err := watch.Recv(); status.Code(err) != codes.NotFound {
		t.Errorf("%v", err)
	}
	imports, err := c.ImportBooks(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if err := imports.Send(&libraryv1.ImportBooksRequest{}); err != nil {
			t.Fatal(err)
		}
	}
	if done, err := imports.CloseAndRecv(); err != nil || done.GetImported() != 10 {
		t.Errorf("%v %v", done, err)
	}
	chat, err := c.Chat(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"a", "b"} {
		if err := chat.Send(&libraryv1.ChatMessage{Text: text}); err != nil {
			t.Fatal(err)
		}
		if m, err := chat.Recv(); err != nil || m.GetText() != "re: "+text {
			t.Fatalf("%v %v", m, err)
		}
	}
	_ = chat.CloseSend()
	if _, err := chat.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("%v", err)
	}
	gone, cancel := context.WithCancel(ctx)
	never, err := c.WatchBooks(gone, &libraryv1.WatchBooksRequest{FailWith: "never"})
	if err != nil {
		t.Fatal(err)
	}
	<-w.library.entered
	cancel()
	if _, err := never.Recv(); status.Code(err) != codes.Canceled {
		t.Errorf("%v", err)
	}
	if err := <-w.library.left; !errors.Is(err, context.Canceled) {
		t.Errorf("the service saw %v", err)
	}
}

func framed(t *testing.T, flag byte, m proto.Message) string {
	t.Helper()
	raw, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	head := binary.BigEndian.AppendUint32([]byte{flag}, uint32(len(raw)))
	return string(head) + string(raw)
}

// deframe splits an answer into its messages and its trailers.
func deframe(t *testing.T, body string) (messages []string, trailers string) {
	t.Helper()
	for len(body) >= 5 {
		size := int(binary.BigEndian.Uint32([]byte(body[1:5])))
		if body[0] == 0x80 {
			trailers = body[5 : 5+size]
		} else {
			messages = append(messages, body[5:5+size])
		}
		body = body[5+size:]
	}
	if body != "" {
		t.Fatalf("%q is left over", body)
	}
	return messages, trailers
}

func TestGRPCWeb(t *testing.T) {
	w := up(t, nil)
	const path = "/library.v1.LibraryService/"
	request := framed(t, 0, &libraryv1.GetBookRequest{Isbn: "1"})
	for _, contentType := range []string{"application/grpc-web", "application/grpc-web+proto", "application/grpc-web-text"} {
		body := request
		if strings.Contains(contentType, "text") {
			body = base64.StdEncoding.EncodeToString([]byte(request))
		}
		got := w.do("POST", path+"GetBook", body, "Content-Type", contentType)
		answer := got.body
		if strings.Contains(contentType, "text") {
			answer = unbase64(t, answer)
		}
		messages, trailers := deframe(t, answer)
		var book libraryv1.Book
		if len(messages) != 1 || proto.Unmarshal([]byte(messages[0]), &book) != nil || book.GetTitle() != "from a" || !strings.Contains(trailers, "grpc-status: 0") {
			t.Errorf("%s: %v %q", contentType, got.header, got.body)
		}
	}
	watch := w.do("POST", path+"WatchBooks", framed(t, 0, &libraryv1.WatchBooksRequest{Count: 2, FailWith: "a lost book"}), "Content-Type", "application/grpc-web")
	if messages, trailers := deframe(t, watch.body); len(messages) != 2 || !strings.Contains(trailers, "grpc-status: 5\r\n") || !strings.Contains(trailers, "grpc-message: a lost book") {
		t.Errorf("%q %q", messages, trailers)
	}
}

// unbase64 decodes chunks that are padded each.
func unbase64(t *testing.T, s string) string {
	t.Helper()
	var out strings.Builder
	for s != "" {
		end := len(s)
		if i := strings.IndexByte(s, '='); i >= 0 {
			for end = i; end < len(s) && s[end] == '='; end++ {
			}
		}
		raw, err := base64.StdEncoding.DecodeString(s[:end])
		if err != nil {
			t.Fatal(err)
		}
		out.Write(raw)
		s = s[end:]
	}
	return out.String()
}

func TestGRPCFraming(t *testing.T) {
	w := up(t, nil)
	const path = "/library.v1.LibraryService/GetBook"
	good := framed(t, 0, &libraryv1.GetBookRequest{Isbn: "1"})
	for name, c := range map[string]struct {
		body string
		want codes.Code
	}{
		"nothing":           {"", codes.InvalidArgument},
		"short head":        {"\x00\x00", codes.InvalidArgument},
		"short message":     {"\x00\x00\x00\x00\x09abc", codes.InvalidArgument},
		"huge length":       {"\x00\xff\xff\xff\xffabc", codes.ResourceExhausted},
		"unnamed encoding":  {framed(t, 1, &libraryv1.GetBookRequest{}), codes.InvalidArgument},
		"two":               {good + good, codes.InvalidArgument},
		"garbage":           {"\x00\x00\x00\x00\x03\xff\xff\xff", codes.InvalidArgument},
		"just as it should": {good, codes.OK},
	} {
		got := w.do("POST", path, c.body, "Content-Type", "application/grpc-web")
		_, trailers := deframe(t, got.body)
		if want := strconv.Itoa(int(c.want)); got.header.Get("Grpc-Status") != want && !strings.Contains(trailers, "grpc-status: "+want+"\r\n") {
			t.Errorf("%s: %v %q", name, got.header, got.body)
		}
	}
	if got := w.do("POST", path, "{}", "Content-Type", "application/grpc-web+json"); got.status != 415 {
		t.Errorf("JSON in gRPC: %d", got.status)
	}
	if got := w.do("POST", path, good, "Content-Type", "application/grpc"); got.status != 415 {
		t.Errorf("gRPC over HTTP/1: %d", got.status)
	}
}
