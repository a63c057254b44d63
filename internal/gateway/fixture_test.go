package gateway

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/grpc"

	"github.com/gowarren/warren/auth"
	"github.com/gowarren/warren/config"
	libraryv1 "github.com/gowarren/warren/internal/transcode/testpb/library/v1"
	"github.com/gowarren/warren/registry"
	"github.com/gowarren/warren/registry/driver"
	"github.com/gowarren/warren/rpc"
)

// memory is a registry's engine that a test writes to.
type memory struct {
	mu        sync.Mutex
	instances map[string]registry.Instance
	revision  int64
	changed   chan struct{}
}

func newMemory() *memory {
	return &memory{instances: map[string]registry.Instance{}, changed: make(chan struct{})}
}

func (m *memory) edit(change func(map[string]registry.Instance)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change(m.instances)
	m.revision++
	close(m.changed)
	m.changed = make(chan struct{})
}

func (m *memory) Put(_ context.Context, in registry.Instance) error {
	m.edit(func(all map[string]registry.Instance) { all[in.ID] = in })
	return nil
}

func (m *memory) Remove(_ context.Context, _, id string) error {
	m.edit(func(all map[string]registry.Instance) { delete(all, id) })
	return nil
}

func (m *memory) Lost() <-chan struct{}             { return nil }
func (m *memory) Capabilities() driver.Capabilities { return driver.Capabilities{Live: true} }
func (m *memory) Close() error                      { return nil }

func (m *memory) Watch(ctx context.Context, emit func(driver.Snapshot)) error {
	var before map[string]registry.Instance
	for {
		m.mu.Lock()
		s := driver.Snapshot{Revision: m.revision}
		now := map[string]registry.Instance{}
		for id, in := range m.instances {
			s.Instances = append(s.Instances, in)
			now[id] = in
		}
		for id, in := range before {
			if _, ok := now[id]; !ok {
				s.Withdrawn = append(s.Withdrawn, in.Key())
			}
		}
		before = now
		changed := m.changed
		m.mu.Unlock()
		emit(s)
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// library is the service behind the gateway.
type library struct {
	libraryv1.UnimplementedLibraryServiceServer
	name    string
	block   chan struct{} // GetBook of "slow" waits for it, or for its context
	entered chan string   // and says so first
	left    chan error    // and how its context ended
}

func (l *library) GetBook(ctx context.Context, r *libraryv1.GetBookRequest) (*libraryv1.Book, error) {
	switch r.GetIsbn() {
	case "slow":
		l.entered <- l.name
		select {
		case <-l.block:
		case <-ctx.Done():
			l.left <- ctx.Err()
			return nil, status.FromContextError(ctx.Err()).Err()
		}
	case "none":
		return nil, status.Error(codes.NotFound, "no such book")
	case "panic":
		panic("a bug")
	case "deadline":
		at, ok := ctx.Deadline()
		if !ok {
			return nil, status.Error(codes.Internal, "no deadline")
		}
		return &libraryv1.Book{Published: timestamppb.New(at)}, nil
	case "long":
		return &libraryv1.Book{Title: strings.Repeat("long ", 1000)}, nil
	}
	return &libraryv1.Book{Isbn: r.GetIsbn(), Title: "from " + l.name, Version: 7}, nil
}

func (l *library) ListBooks(_ context.Context, r *libraryv1.ListBooksRequest) (*libraryv1.ListBooksResponse, error) {
	return &libraryv1.ListBooksResponse{Books: []*libraryv1.Book{{Isbn: "1", Genre: r.GetGenre(), Tags: r.GetTags()}}}, nil
}

func (l *library) CreateBook(ctx context.Context, r *libraryv1.CreateBookRequest) (*libraryv1.Book, error) {
	book := r.GetBook()
	book.Labels = map[string]string{"key": first(ctx, "idempotency-key"), "request": first(ctx, "x-request-id"), "client": first(ctx, "warren-client-address")}
	return book, nil
}

func first(ctx context.Context, key string) string {
	if values := metadata.ValueFromIncomingContext(ctx, key); len(values) > 0 {
		return strings.Join(values, "|")
	}
	return ""
}

func (l *library) UpdateBook(_ context.Context, r *libraryv1.UpdateBookRequest) (*libraryv1.Book, error) {
	r.Book.Tags = r.GetUpdateMask().GetPaths()
	return r.GetBook(), nil
}

func (l *library) DeleteBook(context.Context, *libraryv1.DeleteBookRequest) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, nil
}

func (l *library) Borrow(ctx context.Context, r *libraryv1.BorrowRequest) (*libraryv1.BorrowResponse, error) {
	return &libraryv1.BorrowResponse{Borrower: auth.FromContext(ctx).Subject}, nil
}

func (l *library) SignIn(context.Context, *libraryv1.SignInRequest) (*libraryv1.SignInResponse, error) {
	return &libraryv1.SignInResponse{Token: strings.Repeat("t", 2000)}, nil
}

func (l *library) WatchBooks(r *libraryv1.WatchBooksRequest, s grpc.ServerStreamingServer[libraryv1.BookChange]) error {
	for i := range r.GetCount() {
		if err := s.Send(&libraryv1.BookChange{Sequence: int64(i) + 1}); err != nil {
			return err
		}
	}
	switch r.GetFailWith() {
	case "":
		return nil
	case "never":
		l.entered <- l.name
		<-s.Context().Done()
		l.left <- s.Context().Err()
		return s.Context().Err()
	}
	return status.Error(codes.NotFound, r.GetFailWith())
}

func (l *library) ImportBooks(s grpc.ClientStreamingServer[libraryv1.ImportBooksRequest, libraryv1.ImportBooksResponse]) error {
	n := int32(0)
	for {
		_, err := s.Recv()
		if errors.Is(err, io.EOF) {
			return s.SendAndClose(&libraryv1.ImportBooksResponse{Imported: n})
		}
		if err != nil {
			return err
		}
		n++
	}
}

func (l *library) Chat(s grpc.BidiStreamingServer[libraryv1.ChatMessage, libraryv1.ChatMessage]) error {
	for {
		m, err := s.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := s.Send(&libraryv1.ChatMessage{Text: "re: " + m.GetText()}); err != nil {
			return err
		}
	}
}

func (l *library) Cover(context.Context, *libraryv1.CoverRequest) (*httpbody.HttpBody, error) {
	return &httpbody.HttpBody{ContentType: "image/png", Data: []byte("\x89PNG")}, nil
}

func (l *library) PutCover(context.Context, *libraryv1.PutCoverRequest) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, nil
}

func (l *library) Echo(_ context.Context, r *libraryv1.EchoRequest) (*libraryv1.EchoResponse, error) {
	return &libraryv1.EchoResponse{Request: r}, nil
}

// issuer signs tokens.
type issuer struct {
	key    *ecdsa.PrivateKey
	signer jose.Signer
}

func newIssuer(t testing.TB) *issuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: "k1"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return &issuer{key: key, signer: signer}
}

func (i *issuer) keys(context.Context) (jose.JSONWebKeySet, error) {
	return jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &i.key.PublicKey, KeyID: "k1", Algorithm: "ES256", Use: "sig"}}}, nil
}

func (i *issuer) token(t testing.TB, subject, audience string, life time.Duration, roles ...string) string {
	t.Helper()
	now := time.Now()
	token, err := jwt.Signed(i.signer).Claims(jwt.Claims{
		Issuer: "library", Audience: jwt.Audience{audience}, Subject: subject,
		IssuedAt: jwt.NewNumericDate(now.Add(min(0, 2*life))), Expiry: jwt.NewNumericDate(now.Add(life)),
	}).Claims(map[string]any{"roles": roles}).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// world is a gateway with what is around it.
type world struct {
	t       testing.TB
	gateway *Gateway
	url     string
	engine  *memory
	reg     *registry.Registry
	issuer  *issuer
	key     *auth.ServiceKey
	log     *lockedBuffer
	metrics *prometheus.Registry
	library *library
	opts    Options
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func fileSettings(t testing.TB, values map[string]string) *config.Settings {
	t.Helper()
	var file config.FileLayer
	for name, value := range values {
		file.Entries = append(file.Entries, config.FileEntry{Name: name, Value: value, Position: "test"})
	}
	s, err := config.New(config.Options{File: file, Definitions: append(Definitions(), rpc.Definitions()...)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// newWorld starts a gateway; settings are those of the system file.
func newWorld(t testing.TB, settings map[string]string) *world {
	t.Helper()
	w := &world{t: t, engine: newMemory(), issuer: newIssuer(t), log: &lockedBuffer{}, metrics: prometheus.NewRegistry(),
		library: &library{name: "a", block: make(chan struct{}), entered: make(chan string, 10_000), left: make(chan error, 10_000)}}
	var err error
	if w.key, err = auth.NewServiceKey(bytes.Repeat([]byte("k"), 32)); err != nil {
		t.Fatal(err)
	}
	quiet := slog.New(slog.DiscardHandler)
	w.reg = registry.New(w.engine, registry.Options{Logger: quiet})
	t.Cleanup(func() { _ = w.reg.Close() })
	w.opts = Options{
		Client: rpc.ClientOptions{
			Registry: w.reg, Settings: fileSettings(t, settings), Metrics: w.metrics, Logger: quiet, Service: "gateway", ServiceKey: w.key,
		},
		Verifier: w.verifier(), AccessLog: w.log, Title: "Library", Version: "1",
	}
	w.start()
	return w
}

func (w *world) verifier() *auth.Verifier {
	w.t.Helper()
	v, err := auth.NewVerifier(auth.KeysFunc(w.issuer.keys), auth.VerifierOptions{Issuer: "library", Audience: "library"})
	if err != nil {
		w.t.Fatal(err)
	}
	return v
}

func (w *world) start() {
	w.t.Helper()
	g, err := New(w.opts)
	if err != nil {
		w.t.Fatal(err)
	}
	w.gateway = g
	l := listen(w.t)
	w.url = "http://" + l.Addr().String()
	served := make(chan error, 1)
	go func() { served <- g.Serve(l) }()
	w.t.Cleanup(func() {
		if err := g.Close(); err != nil {
			w.t.Error(err)
		}
		if err := <-served; err != nil {
			w.t.Error(err)
		}
	})
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// serve starts an instance of the library and announces it.
func (w *world) serve(id string, impl *library) (stop func()) {
	w.t.Helper()
	s := rpc.NewServer(rpc.ServerOptions{Verifier: w.verifier(), ServiceKey: w.key, Logger: slog.New(slog.DiscardHandler)})
	libraryv1.RegisterLibraryServiceServer(s, impl)
	l := listen(w.t)
	go func() { _ = s.Serve(l) }()
	s.SetServing(true)
	in := registry.Instance{ID: id, Service: "library", Weight: 100, Address: l.Addr().String(), Contracts: []string{"library.v1.LibraryService"}, State: registry.Ready, Started: time.Now()}
	_ = w.engine.Put(context.Background(), in)
	var once sync.Once
	stop = func() {
		once.Do(func() {
			_ = w.engine.Remove(context.Background(), "library", id)
			s.Stop()
		})
	}
	w.t.Cleanup(stop)
	return stop
}

// up is a world with one library that can be reached.
func up(t testing.TB, settings map[string]string) *world {
	t.Helper()
	w := newWorld(t, settings)
	w.serve("a", w.library)
	w.eventually("the route works", func() bool { return w.get("/v1/books/1").status == 200 })
	return w
}

func (w *world) eventually(what string, ok func() bool) {
	w.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Now().After(deadline) {
			w.t.Fatalf("never: %s", what)
		}
		<-tick.C
	}
}

// answer is what a request got.
type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) json(t testing.TB) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(a.body), &v); err != nil {
		t.Fatalf("%v in %q", err, a.body)
	}
	return v
}

func (w *world) get(path string, headers ...string) answer {
	w.t.Helper()
	return w.do(http.MethodGet, path, "", headers...)
}

func (w *world) do(method, path, body string, headers ...string) answer {
	w.t.Helper()
	r, err := http.NewRequest(method, w.url+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
		if headers[i] == "Content-Type" {
			r.Header.Set(headers[i], headers[i+1])
		}
	}
	client := &http.Client{Transport: &http.Transport{DisableCompression: true, DisableKeepAlives: true}}
	resp, err := client.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return answer{status: resp.StatusCode, header: resp.Header, body: string(raw)}
}
