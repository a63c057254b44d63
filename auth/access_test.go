package auth_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gowarren/warren/auth"
	"github.com/gowarren/warren/internal/contract"
)

func TestAllow(t *testing.T) {
	var (
		anonymous = auth.Caller{}
		customer  = auth.Caller{Subject: "u1", Roles: []string{"customer"}}
		staff     = auth.Caller{Subject: "u2", Roles: []string{"customer", "staff"}}
		service   = auth.Caller{Service: "order"}
		onBehalf  = auth.Caller{Subject: "u1", Roles: []string{"customer"}, Service: "order"}
	)
	public := &contract.Method{Access: contract.AccessPublic}
	users := &contract.Method{Access: contract.AccessAuthenticated}
	roles := &contract.Method{Access: contract.AccessRoles, Roles: []string{"staff", "admin"}}
	internal := &contract.Method{}
	const ok, signIn, no = "ok", "sign in", "no"
	tests := []struct {
		name   string
		method *contract.Method
		want   map[*auth.Caller]string
	}{
		{"public", public, map[*auth.Caller]string{&anonymous: ok, &customer: ok, &staff: ok, &service: ok, &onBehalf: ok}},
		{"authenticated", users, map[*auth.Caller]string{&anonymous: signIn, &customer: ok, &staff: ok, &service: signIn, &onBehalf: ok}},
		{"roles", roles, map[*auth.Caller]string{&anonymous: signIn, &customer: no, &staff: ok, &service: signIn, &onBehalf: no}},
		{"internal", internal, map[*auth.Caller]string{&anonymous: no, &customer: no, &staff: no, &service: ok, &onBehalf: ok}},
		{"unknown", nil, map[*auth.Caller]string{&anonymous: no, &customer: no, &staff: no, &service: ok, &onBehalf: ok}},
	}
	for _, test := range tests {
		for caller, want := range test.want {
			got := ok
			if d, denied := errors.AsType[*auth.Denied](auth.Allow(*caller, test.method)); denied && d.Unauthenticated {
				got = signIn
			} else if denied {
				got = no
			}
			if got != want {
				t.Errorf("%s called by %s: %s, want %s", test.name, caller, got, want)
			}
		}
	}
}

func TestCallerTravelsInTheContext(t *testing.T) {
	ctx := context.Background()
	if c := auth.FromContext(ctx); !c.Anonymous() || c.Service != "" {
		t.Errorf("empty context: %+v", c)
	}
	ctx = auth.NewContext(ctx, auth.Caller{Subject: "u1", Token: "t"})
	ctx = context.WithValue(ctx, http.ServerContextKey, 1)
	if c := auth.FromContext(ctx); c.Subject != "u1" || c.Token != "t" {
		t.Errorf("got %+v", c)
	}
	if text := auth.FromContext(ctx).String(); strings.Contains(text, "t\"") || text != "user u1" {
		t.Errorf("printed as %q", text)
	}
}

func TestServiceKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key := newServiceKey(t, "0123456789abcdef0123456789abcdef")
		token := must(key.Sign("order"))
		for range 2 {
			if name, err := key.Verify(token); err != nil || name != "order" {
				t.Errorf("got %q, %v", name, err)
			}
		}
		if again := must(key.Sign("order")); again != token {
			t.Error("a new token for every call")
		}
		other := newServiceKey(t, "another secret of thirty-two byte")
		secret := []byte("0123456789abcdef0123456789abcdef")
		service := claims{"sub": "order", "aud": "warren:service", "exp": time.Now().Add(time.Minute).Unix()}
		for name, forged := range map[string]string{
			"other secret":          must(other.Sign("order")),
			"the secret itself":     sign(map[string]any{"alg": "HS256"}, service, secret),
			"alg none":              segment(map[string]any{"alg": "none"}) + "." + segment(service) + ".",
			"empty":                 "",
			"long":                  strings.Repeat("a", 1<<20),
			"a bare name":           "order",
			"tampered":              token[:len(token)-4] + "AAAA",
			"user token by our key": segment(map[string]any{"alg": "RS256"}) + "." + segment(service) + ".AAAA",
		} {
			if got, err := key.Verify(forged); !errors.Is(err, auth.ErrInvalidToken) {
				t.Errorf("%s: %q, %v", name, got, err)
			}
		}
		time.Sleep(3 * time.Minute)
		if must(key.Sign("order")) == token {
			t.Error("the token is not renewed before it ends")
		}
		time.Sleep(3 * time.Minute)
		if _, err := key.Verify(token); !errors.Is(err, auth.ErrInvalidToken) {
			t.Errorf("an old token: %v", err)
		}
	})
	if _, err := auth.NewServiceKey([]byte("short")); err == nil {
		t.Error("a short secret is accepted")
	}
	if _, err := newServiceKey(t, "0123456789abcdef0123456789abcdef").Sign(""); err == nil {
		t.Error("nobody is signed for")
	}
}

func newServiceKey(t testing.TB, secret string) *auth.ServiceKey {
	t.Helper()
	key, err := auth.NewServiceKey([]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// A user's token is no service's, and the other way round, even if an issuer
// were to sign with the same key.
func TestKindsOfTokensAreNotMixedUp(t *testing.T) {
	i := newIssuer(t)
	v := newVerifier(t, i)
	key := newServiceKey(t, "0123456789abcdef0123456789abcdef")
	if _, err := v.Verify(t.Context(), must(key.Sign("order"))); !errors.Is(err, auth.ErrInvalidToken) {
		t.Errorf("service token as a user's: %v", err)
	}
	if _, err := key.Verify(i.token(good())); !errors.Is(err, auth.ErrInvalidToken) {
		t.Errorf("user token as a service's: %v", err)
	}
}

func TestHTTPKeys(t *testing.T) {
	i := newIssuer(t)
	answer := func(w http.ResponseWriter, _ *http.Request) {
		set := must(i.Keys(context.Background()))
		raw := must(set.Keys[0].MarshalJSON())
		// A kind of key from the future must not cost us the others.
		w.Write([]byte(`{"keys":[{"kty":"QUANTUM","kid":"q"},` + string(raw) + `]}`))
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answer(w, r) }))
	defer server.Close()
	source, err := auth.HTTPKeys(server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := newVerifier(t, source).Verify(t.Context(), i.token(good())); err != nil {
		t.Error(err)
	}
	for name, bad := range map[string]http.HandlerFunc{
		"status":   func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) },
		"not JSON": func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("<html>")) },
		"endless":  func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, 2<<20)) },
	} {
		answer = bad
		if set, err := source.Keys(t.Context()); err == nil {
			t.Errorf("%s: %v", name, set)
		}
	}
	answer = func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://issuer.test/jwks.json", http.StatusFound)
	}
	if _, err := source.Keys(t.Context()); err == nil || !strings.Contains(err.Error(), "must be https") {
		t.Errorf("a redirect to where anybody may answer: %v", err)
	}
	for _, address := range []string{"http://issuer.test/jwks.json", "ftp://issuer.test", "jwks.json", "::"} {
		if _, err := auth.HTTPKeys(address, nil); err == nil {
			t.Errorf("%s is accepted", address)
		}
	}
}

func BenchmarkServiceKeyVerify(b *testing.B) {
	key := newServiceKey(b, "0123456789abcdef0123456789abcdef")
	token := must(key.Sign("order"))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := key.Verify(token); err != nil {
			b.Fatal(err)
		}
	}
}
