package e2e

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	peerv1 "github.com/gowarren/warren/api/warren/peer/v1"
	catalogv1 "github.com/gowarren/warren/shop/api/shop/catalog/v1"
	"github.com/gowarren/warren/store"
)

// customer registers and signs in a customer, and returns the access token.
func customer(t *testing.T, s *system, email string) string {
	t.Helper()
	const password = "correct horse battery staple"
	body, err := json.Marshal(map[string]string{"email": email, "password": password, "display_name": "Ada"})
	if err != nil {
		t.Fatal(err)
	}
	if got := s.call("POST", "/v1/users", "", string(body)); got.status != http.StatusOK {
		t.Fatalf("register: %d %s", got.status, got.body)
	}
	body, err = json.Marshal(map[string]string{"email": email, "password": password})
	if err != nil {
		t.Fatal(err)
	}
	got := s.call("POST", "/v1/sessions", "", string(body))
	if got.status != http.StatusOK {
		t.Fatalf("sign in: %d %s", got.status, got.body)
	}
	token, _ := got.json(t)["accessToken"].(string)
	if token == "" {
		t.Fatalf("sign in: no token in %s", got.body)
	}
	return token
}

func TestWhoMayCall(t *testing.T) {
	s := up(t)
	token := customer(t, s, "ada@example.com")
	if got := s.call("GET", "/v1/users/me", token, ""); got.status != http.StatusOK || got.json(t)["email"] != "ada@example.com" {
		t.Errorf("own profile: %d %s", got.status, got.body)
	}
	t.Run("bad tokens", func(t *testing.T) {
		bad := badTokens(t, token)
		maps.Copy(bad, signedTokens(t, s, token))
		for name, bad := range bad {
			got := s.call("GET", "/v1/users/me", bad, "")
			if got.status != http.StatusUnauthorized || got.header.Get("WWW-Authenticate") == "" {
				t.Errorf("%s: %d %s, want 401 and WWW-Authenticate", name, got.status, got.body)
			}
		}
	})
	t.Run("staff method", func(t *testing.T) { staffMethod(t, s, token) })
	t.Run("internal method", func(t *testing.T) { internalMethod(t, s, token) })
}

// badTokens are what must not get in.
func badTokens(t *testing.T, good string) map[string]string {
	t.Helper()
	parts := strings.Split(good, ".")
	if len(parts) != 3 {
		t.Fatalf("token has %d parts", len(parts))
	}
	encode := func(v map[string]any) string {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(text)
	}
	claims := map[string]any{}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &claims); err != nil {
		t.Fatal(err)
	}
	claims["roles"] = []string{"admin"}
	return map[string]string{
		"nonsense":        "nonsense",
		"tampered claims": parts[0] + "." + encode(claims) + "." + parts[2],
		"no signature":    parts[0] + "." + parts[1] + ".",
		"algorithm none":  encode(map[string]any{"alg": "none", "typ": "JWT"}) + "." + parts[1] + ".",
		"unknown key":     encode(map[string]any{"alg": "EdDSA", "typ": "JWT", "kid": "nobody"}) + "." + parts[1] + "." + parts[2],
	}
}

// signedTokens are tokens that the service's own key signed, and that must not
// get in all the same. One that says what the good one says does.
func signedTokens(t *testing.T, s *system, good string) map[string]string {
	t.Helper()
	parsed, err := jwt.ParseSigned(good, []jose.SignatureAlgorithm{jose.EdDSA})
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(t.Context(), "sqlite:"+filepath.Join(s.data, "identity.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var text string
	if err := db.QueryRow(t.Context(), `SELECT private_key FROM signing_keys WHERE id = ?`, parsed.Headers[0].KeyID).Scan(&text); err != nil {
		t.Fatal(err)
	}
	var key jose.JSONWebKey
	if err := json.Unmarshal([]byte(text), &key); err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: key}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		t.Fatal(err)
	}
	sign := func(claim string, value any) string {
		claims := map[string]any{}
		if err := parsed.UnsafeClaimsWithoutVerification(&claims); err != nil {
			t.Fatal(err)
		}
		claims[claim] = value
		token, err := jwt.Signed(signer).Claims(claims).Serialize()
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	if got := s.call("GET", "/v1/users/me", sign("exp", time.Now().Add(time.Minute).Unix()), ""); got.status != http.StatusOK {
		t.Fatalf("signed with the same key, the same claims: %d %s", got.status, got.body)
	}
	return map[string]string{
		"expired":          sign("exp", time.Now().Add(-time.Minute).Unix()),
		"another audience": sign("aud", "elsewhere"),
		"another issuer":   sign("iss", "elsewhere"),
	}
}

// staffMethod: a customer is refused by the gateway, and by the service itself.
func staffMethod(t *testing.T, s *system, token string) {
	product := `{"sku": "NEW1", "name": "New", "category": "Party", "price": {"currencyCode": "GBP", "minorUnits": "100"}}`
	if got := s.call("POST", "/v1/products", token, product); got.status != http.StatusForbidden {
		t.Errorf("at the gateway: %d %s, want 403", got.status, got.body)
	}
	if got := s.call("POST", "/v1/products", "", product); got.status != http.StatusUnauthorized {
		t.Errorf("at the gateway, nobody signed in: %d %s, want 401", got.status, got.body)
	}
	conn := s.dial(t, "catalog")
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+token)
	_, err := catalogv1.NewCatalogServiceClient(conn).DeleteProduct(ctx, &catalogv1.DeleteProductRequest{Sku: "22423"})
	if status.Code(err) != codes.PermissionDenied {
		t.Errorf("at the service: %v, want PermissionDenied", err)
	}
}

// internalMethod: what a contract does not open is closed to everybody outside.
func internalMethod(t *testing.T, s *system, token string) {
	const method = "/warren.peer.v1.PeerService/Invalidate"
	if got := s.call("POST", method, token, "{}"); got.status != http.StatusNotFound {
		t.Errorf("at the gateway: %d %s, want 404", got.status, got.body)
	}
	conn := s.dial(t, "catalog")
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+token)
	_, err := peerv1.NewPeerServiceClient(conn).Invalidate(ctx, &peerv1.InvalidateRequest{Cache: "products"})
	if code := status.Code(err); code != codes.Unauthenticated && code != codes.PermissionDenied {
		t.Errorf("at the service: %v, want it refused", err)
	}
	edge, err := grpc.NewClient(strings.TrimPrefix(s.url, "http://"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer edge.Close()
	_, err = peerv1.NewPeerServiceClient(edge).Invalidate(ctx, &peerv1.InvalidateRequest{Cache: "products"})
	if code := status.Code(err); code == codes.OK || code == codes.Unavailable {
		t.Errorf("by gRPC at the gateway: %v, want it refused", err)
	}
	products, err := catalogv1.NewCatalogServiceClient(edge).GetProduct(t.Context(), &catalogv1.GetProductRequest{Sku: "22423"})
	if err != nil || products.GetSku() != "22423" {
		t.Errorf("a public method by gRPC at the gateway: %v %v", products, err)
	}
}

// dial connects to an instance of a service directly, past the gateway.
func (s *system) dial(t *testing.T, service string) *grpc.ClientConn {
	t.Helper()
	for _, i := range s.list().GetInstances() {
		if i.GetService() == service {
			conn, err := grpc.NewClient(i.GetAddress(), grpc.WithTransportCredentials(insecure.NewCredentials()))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { conn.Close() })
			return conn
		}
	}
	t.Fatalf("no instance of %s", service)
	return nil
}
