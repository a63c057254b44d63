package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protojson"

	authv1 "github.com/gowarren/warren/api/warren/auth/v1"
	"github.com/gowarren/warren/auth"
	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/events"
	"github.com/gowarren/warren/events/eventstest"
	"github.com/gowarren/warren/page"
	"github.com/gowarren/warren/rpc"
	identityv1 "github.com/gowarren/warren/shop/api/shop/identity/v1"
	"github.com/gowarren/warren/store"
	"github.com/gowarren/warren/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var at = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// opened returns the users of a migrated database that has a bus for events.
func opened(t testing.TB, address string) *users {
	t.Helper()
	db, err := store.Open(t.Context(), address, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	if err := db.Migrate(t.Context(), migrations); err != nil {
		t.Fatal(err)
	}
	withBus(t, db)
	return newUsers(db)
}

// withBus lets events be published in the database.
func withBus(t testing.TB, db *store.DB) {
	t.Helper()
	bus := events.New(eventstest.NewHub().Open(), db, events.Options{Service: "identity", Logger: slog.New(slog.DiscardHandler)})
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- bus.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := errors.Join(<-ended, bus.Close()); err != nil {
			t.Errorf("end the bus: %v", err)
		}
	})
	if err := bus.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// eachDatabase runs a test on every kind of database.
func eachDatabase(t *testing.T, test func(t *testing.T, s *users)) {
	storetest.Each(t, func(t *testing.T, address string) { test(t, opened(t, address)) })
}

// testSettings are cheap hashes, and what the test says: names and values.
func testSettings(t testing.TB, values ...string) *settings {
	t.Helper()
	entries := []config.FileEntry{{Name: "identity.password.memory", Value: "8192"}, {Name: "identity.password.iterations", Value: "1"}}
	for i := 0; i+1 < len(values); i += 2 {
		entries = append(entries, config.FileEntry{Name: values[i], Value: values[i+1]})
	}
	from, err := config.New(config.Options{File: config.FileLayer{Entries: entries}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(from.Close)
	s := watchSettings(from)
	if err := from.Err(); err != nil {
		t.Fatal(err)
	}
	return s
}

// clock is a clock that a test turns.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time          { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) advance(d time.Duration) { c.ahead.Add(int64(d)) }

// logs is a log that can be read while it is written.
type logs struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logs) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// shop is a served identity service: a real server with everything that the
// contract demands, a real database, and a verifier that has the service's keys.
type shop struct {
	identityv1.IdentityServiceClient
	keysClient authv1.KeysServiceClient
	verifier   *auth.Verifier
	service    *service
	serviceKey *auth.ServiceKey
	clock      *clock
	logs       *logs
}

func served(t testing.TB, values ...string) *shop {
	t.Helper()
	s := &shop{clock: &clock{}, logs: &logs{}}
	kept, settings := opened(t, storetest.SQLite(t)), testSettings(t, values...)
	keys := &keyring{store: kept, settings: settings, now: s.clock.now}
	if err := keys.refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.service = &service{
		users: kept, keys: keys, settings: settings, now: s.clock.now,
		hasher: newHasher(2, settings), pages: page.New(kept.db, identityv1.Reason_BAD_PAGE_TOKEN), log: slog.New(slog.NewTextHandler(s.logs, nil)),
	}
	published := &keysService{keys: keys}
	var err error
	s.verifier, err = auth.NewVerifier(published, auth.VerifierOptions{Issuer: "shop", Audience: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	s.serve(t, published)
	return s
}

// Keys reads the published keys as a verifier elsewhere does.
func (s *keysService) Keys(ctx context.Context) (jose.JSONWebKeySet, error) {
	resp, err := s.GetKeys(ctx, &authv1.GetKeysRequest{})
	if err != nil {
		return jose.JSONWebKeySet{}, err
	}
	text, err := protojson.Marshal(resp)
	if err != nil {
		return jose.JSONWebKeySet{}, err
	}
	return auth.ParseKeys(text)
}

func (s *shop) serve(t testing.TB, keys *keysService) {
	t.Helper()
	var err error
	if s.serviceKey, err = auth.NewServiceKey(bytes.Repeat([]byte("k"), 32)); err != nil {
		t.Fatal(err)
	}
	server := rpc.NewServer(rpc.ServerOptions{Verifier: s.verifier, ServiceKey: s.serviceKey, Logger: slog.New(slog.NewTextHandler(s.logs, nil))})
	identityv1.RegisterIdentityServiceServer(server, s.service)
	authv1.RegisterKeysServiceServer(server, keys)
	if err := server.Check(); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-ended; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	conn, err := grpc.NewClient("unix:"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	s.IdentityServiceClient, s.keysClient = identityv1.NewIdentityServiceClient(conn), authv1.NewKeysServiceClient(conn)
}

const password = "correct horse battery"

// register creates a user.
func (s *shop) register(t testing.TB, email string) *identityv1.User {
	t.Helper()
	u, err := s.Register(t.Context(), &identityv1.RegisterRequest{Email: email, Password: password, DisplayName: "Ada"})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// admin creates an admin, past the contract.
func (s *shop) admin(t testing.TB, email string) user {
	t.Helper()
	hash, err := s.service.hasher.seal(t.Context(), password)
	if err != nil {
		t.Fatal(err)
	}
	u := newUser(email, "Root", hash, s.clock.now(), roleCustomer, roleAdmin)
	if err := s.service.users.create(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	return u
}

// signIn opens a session.
func (s *shop) signIn(t testing.TB, email string) *identityv1.Session {
	t.Helper()
	got, err := s.SignIn(t.Context(), &identityv1.SignInRequest{Email: email, Password: password})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// as returns a context that calls with an access token.
func as(t testing.TB, token string) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
}

// from returns a context that calls as the gateway does for a client there.
func (s *shop) from(t testing.TB, address string) context.Context {
	t.Helper()
	token, err := s.serviceKey.Sign("gateway")
	if err != nil {
		t.Fatal(err)
	}
	return metadata.AppendToOutgoingContext(t.Context(), rpc.MetadataService, token, rpc.MetadataClientAddress, address)
}

// code returns the status code of an answer.

// blames reports whether an answer was refused as invalid for the field.
func blames(err error, field string) bool {
	e := rpc.FromError(err)
	return e != nil && e.Code == codes.InvalidArgument && len(e.Violations) > 0 && e.Violations[0].Field == field
}

// atOnce runs f so many times at the same moment and returns the errors.
func atOnce(n int, f func(int) error) []error {
	errs := make([]error, n)
	start := make(chan struct{})
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			<-start
			errs[i] = f(i)
		})
	}
	close(start)
	all.Wait()
	return errs
}

// won counts those that went right; all others must be what fails says.
func won(t testing.TB, errs []error, fails func(error) bool) int {
	t.Helper()
	n := 0
	for _, err := range errs {
		if err == nil {
			n++
		} else if !fails(err) {
			t.Errorf("neither won nor lost: %v", err)
		}
	}
	return n
}

// ada is a customer whose password is never checked.
func ada(n int) user {
	return newUser(fmt.Sprintf("ada%d@example.com", n), "Ada", "hash", at.Add(time.Duration(n)*time.Second), roleCustomer)
}
