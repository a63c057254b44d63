// Package page makes the opaque tokens with which a client asks for the next
// page of a list.
//
// A token holds where the next page begins, and is signed together with the
// query that it continues: what was changed, made up, or belongs to another
// query or to another caller is refused. So a token can be believed, and a list
// is read by position ("after this id"), which neither skips nor repeats what
// others insert meanwhile, and costs the same on every page.
//
//	func (s *service) ListOrders(ctx context.Context, req *orderv1.ListOrdersRequest) (*orderv1.ListOrdersResponse, error) {
//		query, after := "orders\n"+customer, position{}
//		if err := s.pages.Read(ctx, req.GetPageToken(), query, &after); err != nil {
//			return nil, err
//		}
//		list, err := s.orders.list(ctx, customer, after, size+1) // one more tells whether there is a next page
//		…
//		list, token, err := page.Cut(ctx, s.pages, query, list, size, func(o order) position { … })
//
// All instances of a service share the key, a row in its database. The table is
// one of the service's own migrations:
//
//	CREATE TABLE page_keys (
//		id BIGINT NOT NULL,
//		secret VARCHAR(64) NOT NULL,
//		PRIMARY KEY (id)
//	);
package page

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"sync/atomic"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/gowarren/warren/rpc"
	"github.com/gowarren/warren/store"
)

const macSize = 16

// Tokens makes and reads page tokens. It is safe for concurrent use.
type Tokens struct {
	reason protoreflect.Enum
	db     *store.DB
	key    atomic.Pointer[[]byte]
}

// New returns the tokens of the service that has its data in db. A token that is
// refused is an error with the reason, of the service's contract, that blames
// the field page_token.
func New(db *store.DB, reason protoreflect.Enum) *Tokens { return &Tokens{db: db, reason: reason} }

// WithKey returns tokens that are signed with a key of the caller's: for a
// service without a database, or with several.
func WithKey(key []byte, reason protoreflect.Enum) *Tokens {
	t := &Tokens{reason: reason}
	t.key.Store(&key)
	return t
}

// Make returns a token for the position in the results of the query. Whatever
// must be the same on the next page belongs into the query: filters, the order,
// whose list it is. The position is kept as JSON, which the client can read.
func (t *Tokens) Make(ctx context.Context, query string, position any) (string, error) {
	key, err := t.secret(ctx)
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(position)
	if err != nil {
		return "", fmt.Errorf("make page token: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(append(sign(key, query, text), text...)), nil
}

// Read reads the position out of a token for the query. An empty token stands
// for the first page and leaves the position as it is.
func (t *Tokens) Read(ctx context.Context, token, query string, position any) error {
	if token == "" {
		return nil
	}
	key, err := t.secret(ctx)
	if err != nil {
		return err
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(raw) < macSize || !hmac.Equal(raw[:macSize], sign(key, query, raw[macSize:])) {
		return t.refused()
	}
	if err := json.Unmarshal(raw[macSize:], position); err != nil {
		return t.refused() // ours, of a release that had another position
	}
	return nil
}

func (t *Tokens) refused() error {
	err := rpc.Errorf(t.reason, "the page token is not one that continues this query")
	err.Violations = []rpc.Violation{{Field: "page_token", Description: err.Message, Reason: err.Reason}}
	return err
}

// Cut returns the first size of a list that was read with one more, and the
// token for the page after it: empty if there is none. at tells where the page
// after an entry begins.
func Cut[T, P any](ctx context.Context, t *Tokens, query string, list []T, size int, at func(last T) P) ([]T, string, error) {
	if len(list) <= size {
		return list, "", nil
	}
	token, err := t.Make(ctx, query, at(list[size-1]))
	return list[:size], token, err
}

func sign(key []byte, query string, position []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(query))
	mac.Write([]byte{0})
	mac.Write(position)
	return mac.Sum(nil)[:macSize]
}

// secret returns the key that all instances share: whichever of them asked
// first made it.
func (t *Tokens) secret(ctx context.Context) ([]byte, error) {
	if key := t.key.Load(); key != nil {
		return *key, nil
	}
	fresh := make([]byte, 32)
	_, _ = rand.Read(fresh) // never goes wrong
	_, err := t.db.Exec(ctx, `INSERT INTO page_keys (id, secret) VALUES (1, ?) ON CONFLICT (id) DO NOTHING`,
		base64.StdEncoding.EncodeToString(fresh))
	if err != nil {
		return nil, fmt.Errorf("make the key of page tokens: %w", err)
	}
	var kept string
	if err := t.db.QueryRow(ctx, `SELECT secret FROM page_keys WHERE id = 1`).Scan(&kept); err != nil {
		return nil, fmt.Errorf("read the key of page tokens: %w", err)
	}
	key, err := base64.StdEncoding.DecodeString(kept)
	if err != nil {
		return nil, fmt.Errorf("read the key of page tokens: %w", err)
	}
	t.key.Store(&key)
	return key, nil
}
