package main

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"github.com/gowarren/warren/auth"
	"github.com/gowarren/warren/cache"
	"github.com/gowarren/warren/page"
	"github.com/gowarren/warren/rpc"
	catalogv1 "github.com/gowarren/warren/shop/api/shop/catalog/v1"
	moneyv1 "github.com/gowarren/warren/shop/api/shop/money/v1"
	"github.com/gowarren/warren/store"
	"github.com/gowarren/warren/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// opened returns the products of a migrated database.
func opened(t testing.TB, address string) *products {
	t.Helper()
	db, err := store.Open(t.Context(), address, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	if err := db.Migrate(t.Context(), migrations); err != nil {
		t.Fatal(err)
	}
	return newProducts(db)
}

// eachDatabase runs a test on every kind of database.
func eachDatabase(t *testing.T, test func(t *testing.T, s *products)) {
	storetest.Each(t, func(t *testing.T, address string) { test(t, opened(t, address)) })
}

// mug is a valid product.
func mug(sku string) product {
	return product{sku: sku, name: "Mug " + sku, category: "Kitchen and Table", price: price{255, "GBP"}}
}

func gbp(units int64) *moneyv1.Money { return &moneyv1.Money{CurrencyCode: "GBP", MinorUnits: units} }

// shop is a served catalog: a real server with everything that the contract
// demands, a real database, and clients with and without tokens.
type shop struct {
	catalogv1.CatalogServiceClient
	products *products
	service  *service
	signer   jose.Signer
}

func served(t testing.TB, peers cache.Invalidator) *shop {
	t.Helper()
	return servedFrom(t, opened(t, storetest.SQLite(t)), peers)
}

func servedFrom(t testing.TB, kept *products, peers cache.Invalidator) *shop {
	t.Helper()
	hot, err := newHot(kept, nil, peers)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(hot.close)
	s := &shop{products: kept}
	s.service = &service{
		products: kept, hot: hot, pages: page.New(kept.db, catalogv1.Reason_BAD_PAGE_TOKEN),
		log: slog.New(slog.DiscardHandler), now: time.Now, rows: maxRows(nil),
	}

	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	s.signer, err = jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: jose.JSONWebKey{Key: private, KeyID: "1"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	keys := auth.KeysFunc(func(context.Context) (jose.JSONWebKeySet, error) {
		return jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: public, KeyID: "1"}}}, nil
	})
	verifier, err := auth.NewVerifier(keys, auth.VerifierOptions{Issuer: "shop", Audience: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	server := rpc.NewServer(rpc.ServerOptions{Verifier: verifier, Logger: s.service.log})
	catalogv1.RegisterCatalogServiceServer(server, s.service)
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
	s.CatalogServiceClient = catalogv1.NewCatalogServiceClient(conn)
	return s
}

// as returns a context that calls as a user with the roles.
func (s *shop) as(t testing.TB, roles ...string) context.Context {
	t.Helper()
	now := time.Now()
	token, err := jwt.Signed(s.signer).Claims(map[string]any{
		"iss": "shop", "aud": "shop", "sub": "u1", "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(), "roles": roles,
	}).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
}

// fill creates products, past the caches.
func (s *shop) fill(t testing.TB, list ...product) {
	t.Helper()
	for _, p := range list {
		if _, err := s.products.create(t.Context(), p, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.service.hot.changed(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// numbered returns so many products: SKU001, SKU002 and so on.
func numbered(n int) []product {
	out := make([]product, n)
	for i := range out {
		out[i] = mug(fmt.Sprintf("SKU%03d", i+1))
	}
	return out
}

// line is a network of invalidations between the instances of a test.
type line struct {
	mu   sync.Mutex
	subs map[int]func(cache string, keys []string)
	next int
}

func newLine() *line { return &line{subs: map[int]func(string, []string){}} }

// end is where one instance is joined to the line.
func (l *line) end() cache.Invalidator { return &lineEnd{line: l, own: map[int]bool{}} }

type lineEnd struct {
	line *line
	own  map[int]bool
}

func (e *lineEnd) Publish(_ context.Context, cache string, keys []string) error {
	e.line.mu.Lock()
	defer e.line.mu.Unlock()
	for id, changed := range e.line.subs {
		if !e.own[id] {
			changed(cache, keys)
		}
	}
	return nil
}

func (e *lineEnd) Subscribe(cache string, changed func(keys []string)) (stop func()) {
	e.line.mu.Lock()
	defer e.line.mu.Unlock()
	id := e.line.next
	e.line.next++
	e.own[id] = true
	e.line.subs[id] = func(of string, keys []string) {
		if of == cache {
			changed(keys)
		}
	}
	return func() {
		e.line.mu.Lock()
		defer e.line.mu.Unlock()
		delete(e.line.subs, id)
	}
}
