package auth_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/gowarren/warren/auth"
)

// issuer is an identity service in memory, whose keys the test can change.
type issuer struct {
	mu      sync.Mutex
	keys    []jose.JSONWebKey // private halves
	down    error
	fetches atomic.Int32
}

func newIssuer(t testing.TB) *issuer {
	i := &issuer{}
	i.add(t, "rsa-1", must(rsa.GenerateKey(rand.Reader, 2048)))
	return i
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func (i *issuer) add(_ testing.TB, id string, key crypto.Signer) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = append(i.keys, jose.JSONWebKey{Key: key, KeyID: id, Use: "sig"})
}

func (i *issuer) rotate(t testing.TB, id string, key crypto.Signer) {
	i.mu.Lock()
	i.keys = nil
	i.mu.Unlock()
	i.add(t, id, key)
}

func (i *issuer) fail(err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.down = err
}

func (i *issuer) Keys(context.Context) (jose.JSONWebKeySet, error) {
	i.fetches.Add(1)
	i.mu.Lock()
	defer i.mu.Unlock()
	var set jose.JSONWebKeySet
	for _, k := range i.keys {
		set.Keys = append(set.Keys, k.Public())
	}
	return set, i.down
}

type claims map[string]any

// good are the claims of a token that is accepted, changed by what follows.
func good(changes ...claims) claims {
	c := claims{"iss": "shop", "aud": "shop", "sub": "u1", "roles": []string{"staff"}, "exp": time.Now().Add(time.Hour).Unix()}
	for _, change := range changes {
		maps.Copy(c, change)
	}
	return c
}

func without(name string) claims {
	c := good()
	delete(c, name)
	return c
}

func segment(v any) string { return base64.RawURLEncoding.EncodeToString(must(json.Marshal(v))) }

// sign makes a token by hand: a library would refuse to make the bad ones.
func sign(header map[string]any, c claims, key any) string {
	payload := segment(header) + "." + segment(c)
	digest := sha256.Sum256([]byte(payload))
	var signature []byte
	switch k := key.(type) {
	case *rsa.PrivateKey:
		signature = must(rsa.SignPKCS1v15(rand.Reader, k, crypto.SHA256, digest[:]))
	case ed25519.PrivateKey:
		signature = ed25519.Sign(k, []byte(payload))
	case *ecdsa.PrivateKey:
		r, s, err := ecdsa.Sign(rand.Reader, k, digest[:])
		if err != nil {
			panic(err)
		}
		signature = append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	case []byte:
		mac := hmac.New(sha256.New, k)
		mac.Write([]byte(payload))
		signature = mac.Sum(nil)
	}
	return payload + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// token signs with the issuer's first key.
func (i *issuer) token(c claims) string {
	i.mu.Lock()
	key := i.keys[0]
	i.mu.Unlock()
	alg := map[string]string{"*rsa.PrivateKey": "RS256", "*ecdsa.PrivateKey": "ES256", "ed25519.PrivateKey": "EdDSA"}[fmt.Sprintf("%T", key.Key)]
	return sign(map[string]any{"alg": alg, "kid": key.KeyID}, c, key.Key)
}

func newVerifier(t testing.TB, source auth.KeySource) *auth.Verifier {
	t.Helper()
	v, err := auth.NewVerifier(source, auth.VerifierOptions{Issuer: "shop", Audience: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestVerifyAcceptsEveryAlgorithm(t *testing.T) {
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]crypto.Signer{
		"RS256": must(rsa.GenerateKey(rand.Reader, 2048)),
		"ES256": must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)),
		"EdDSA": edwards,
	} {
		t.Run(name, func(t *testing.T) {
			i := newIssuer(t)
			i.rotate(t, "k", key)
			v := newVerifier(t, i)
			token := i.token(good())
			for range 2 { // the second comes from the cache
				c, err := v.Verify(t.Context(), token)
				if err != nil {
					t.Fatal(err)
				}
				if c.Subject != "u1" || c.Issuer != "shop" || !c.HasRole("staff") || c.HasRole("admin") || c.Token != token || c.Service != "" {
					t.Errorf("caller %+v", c)
				}
			}
		})
	}
}

func TestVerifyRefusesForgeries(t *testing.T) {
	i := newIssuer(t)
	v := newVerifier(t, i)
	key := i.keys[0].Key.(*rsa.PrivateKey)
	stranger := must(rsa.GenerateKey(rand.Reader, 2048))
	der := must(x509.MarshalPKIXPublicKey(&key.PublicKey))
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	rs := map[string]any{"alg": "RS256", "kid": "rsa-1"}
	valid := i.token(good())
	parts := strings.Split(valid, ".")
	header := func(more map[string]any) map[string]any {
		h := maps.Clone(rs)
		maps.Copy(h, more)
		return h
	}
	embedded := must(jose.JSONWebKey{Key: &stranger.PublicKey, KeyID: "rsa-1"}.MarshalJSON())
	tests := map[string]string{
		"empty":               "",
		"not a token":         "hunter2",
		"alg none":            segment(map[string]any{"alg": "none"}) + "." + parts[1] + ".",
		"alg None":            segment(map[string]any{"alg": "None", "kid": "rsa-1"}) + "." + parts[1] + ".",
		"no signature":        parts[0] + "." + parts[1] + ".",
		"two parts":           parts[0] + "." + parts[1],
		"four parts":          valid + ".x",
		"public key as HMAC":  sign(header(map[string]any{"alg": "HS256"}), good(), public),
		"public DER as HMAC":  sign(header(map[string]any{"alg": "HS256"}), good(), der),
		"other hash":          sign(header(map[string]any{"alg": "RS512"}), good(), key),
		"ES256 with RSA key":  sign(header(map[string]any{"alg": "ES256"}), good(), key),
		"tampered payload":    parts[0] + "." + segment(good(claims{"roles": []string{"admin"}})) + "." + parts[2],
		"tampered signature":  valid[:len(valid)-6] + "AAAAAA",
		"stranger's key":      sign(rs, good(), stranger),
		"expired":             i.token(good(claims{"exp": time.Now().Add(-time.Minute).Unix()})),
		"no expiry":           i.token(without("exp")),
		"expiry as text":      i.token(good(claims{"exp": "tomorrow"})),
		"not yet":             i.token(good(claims{"nbf": time.Now().Add(5 * time.Minute).Unix()})),
		"issued in future":    i.token(good(claims{"iat": time.Now().Add(5 * time.Minute).Unix()})),
		"other audience":      i.token(good(claims{"aud": "bank"})),
		"no audience":         i.token(without("aud")),
		"other issuer":        i.token(good(claims{"iss": "evil"})),
		"no issuer":           i.token(without("iss")),
		"no subject":          i.token(without("sub")),
		"roles as text":       i.token(good(claims{"roles": "admin"})),
		"kid is a path":       sign(header(map[string]any{"kid": "../../../../dev/null"}), good(), []byte{}),
		"kid is SQL":          sign(header(map[string]any{"kid": "x' UNION SELECT 'key"}), good(), stranger),
		"kid is a URL":        sign(header(map[string]any{"kid": "http://evil.test/key"}), good(), stranger),
		"embedded jwk":        sign(header(map[string]any{"jwk": json.RawMessage(embedded)}), good(), stranger),
		"embedded jwk alone":  sign(map[string]any{"alg": "RS256", "jwk": json.RawMessage(embedded)}, good(), stranger),
		"jku":                 sign(header(map[string]any{"jku": "http://127.0.0.1:1/jwks.json"}), good(), stranger),
		"x5u":                 sign(header(map[string]any{"x5u": "http://127.0.0.1:1/cert.pem"}), good(), stranger),
		"critical extension":  sign(header(map[string]any{"crit": []string{"exp2"}, "exp2": 1}), good(), key),
		"JSON serialization":  `{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`,
		"encrypted shape":     "a.b.c.d.e",
		"spaces":              " " + valid,
		"payload not JSON":    signRaw(rs, "hello", key),
		"payload JSON array":  signRaw(rs, "[1]", key),
		"numeric kid":         sign(header(map[string]any{"kid": 7}), good(), key),
		"duplicate of header": segment(rs) + segment(rs) + "." + parts[1] + "." + parts[2],
	}
	for name, token := range tests {
		t.Run(name, func(t *testing.T) {
			c, err := v.Verify(t.Context(), token)
			if !errors.Is(err, auth.ErrInvalidToken) {
				t.Errorf("got %+v, %v", c, err)
			}
		})
	}
	if _, err := v.Verify(t.Context(), valid); err != nil {
		t.Errorf("the good token is refused afterwards: %v", err)
	}
}

func signRaw(header map[string]any, payload string, key *rsa.PrivateKey) string {
	text := segment(header) + "." + base64.RawURLEncoding.EncodeToString([]byte(payload))
	digest := sha256.Sum256([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(must(rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])))
}

// Nothing is done with the content of a token that can't be one.
func TestGiantTokensCostNothing(t *testing.T) {
	v := newVerifier(t, newIssuer(t))
	for name, token := range map[string]string{
		"long": strings.Repeat("a", 1<<20), "dots": strings.Repeat(".", 1<<20), "dots within bounds": strings.Repeat(".", 8<<10),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range 100 {
			if _, err := v.Verify(t.Context(), token); !errors.Is(err, auth.ErrInvalidToken) {
				t.Fatal(err)
			}
		}
		runtime.ReadMemStats(&after)
		if allocated := (after.TotalAlloc - before.TotalAlloc) / 100; allocated > 4<<10 {
			t.Errorf("%s: %d bytes each", name, allocated)
		}
	}
}

func TestKeysThatHaveNoPlaceInAKeySetAreNotUsed(t *testing.T) {
	small := must(rsa.GenerateKey(rand.Reader, 1024))
	key := must(rsa.GenerateKey(rand.Reader, 2048))
	secret := []byte("0123456789abcdef0123456789abcdef")
	v := newVerifier(t, auth.KeysFunc(func(context.Context) (jose.JSONWebKeySet, error) {
		return jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
			{Key: &small.PublicKey, KeyID: "small"},
			{Key: secret, KeyID: "oct"},
			{Key: &key.PublicKey, KeyID: "enc", Use: "enc"},
			{Key: &key.PublicKey, KeyID: "other-alg", Algorithm: "RS512"},
			{Key: &key.PublicKey, KeyID: "fine"},
		}}, nil
	}))
	for _, token := range []string{
		sign(map[string]any{"alg": "RS256", "kid": "small"}, good(), small),
		sign(map[string]any{"alg": "HS256", "kid": "oct"}, good(), secret),
		sign(map[string]any{"alg": "RS256", "kid": "enc"}, good(), key),
		sign(map[string]any{"alg": "RS256", "kid": "other-alg"}, good(), key),
	} {
		if _, err := v.Verify(t.Context(), token); !errors.Is(err, auth.ErrInvalidToken) {
			t.Errorf("got %v", err)
		}
	}
	if _, err := v.Verify(t.Context(), sign(map[string]any{"alg": "RS256", "kid": "fine"}, good(), key)); err != nil {
		t.Error(err)
	}
}

func TestUnknownKeyFloodCostsOneFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newIssuer(t)
		v := newVerifier(t, i)
		known := i.token(good())
		if _, err := v.Verify(t.Context(), known); err != nil {
			t.Fatal(err)
		}
		stranger := must(rsa.GenerateKey(rand.Reader, 2048))
		c := segment(good())
		var wg sync.WaitGroup
		for n := range 10_000 {
			wg.Go(func() {
				token := segment(map[string]any{"alg": "RS256", "kid": fmt.Sprint("made-up-", n)}) + "." + c + ".AAAA"
				if _, err := v.Verify(t.Context(), token); !errors.Is(err, auth.ErrInvalidToken) {
					t.Errorf("got %v", err)
				}
			})
		}
		wg.Wait()
		if n := i.fetches.Load(); n != 2 { // the first one and one for all the strangers
			t.Errorf("%d fetches", n)
		}
		if _, err := v.Verify(t.Context(), known); err != nil {
			t.Errorf("known keys suffer: %v", err)
		}
		time.Sleep(30 * time.Second)
		for range 2 {
			v.Verify(t.Context(), sign(map[string]any{"alg": "RS256", "kid": "again"}, good(), stranger))
		}
		if n := i.fetches.Load(); n != 3 {
			t.Errorf("%d fetches after the interval", n)
		}
	})
}

func TestRotatedKeyIsAcceptedAtOnceAndTheOldOneEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newIssuer(t)
		v := newVerifier(t, i)
		old := i.token(good())
		if _, err := v.Verify(t.Context(), old); err != nil {
			t.Fatal(err)
		}
		i.rotate(t, "rsa-2", must(rsa.GenerateKey(rand.Reader, 2048)))
		if _, err := v.Verify(t.Context(), i.token(good())); err != nil {
			t.Errorf("new key: %v", err)
		}
		// The key is withdrawn: what was verified with it ends too.
		if _, err := v.Verify(t.Context(), old); !errors.Is(err, auth.ErrInvalidToken) {
			t.Errorf("withdrawn key: %v", err)
		}
	})
}

// A fetch that fails says nothing of the key that it was for.
func TestRotationWhileTheIssuerIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newIssuer(t)
		v := newVerifier(t, i)
		if _, err := v.Verify(t.Context(), i.token(good())); err != nil {
			t.Fatal(err)
		}
		i.rotate(t, "rsa-2", must(rsa.GenerateKey(rand.Reader, 2048)))
		i.fail(errors.New("connection refused"))
		fresh := i.token(good())
		for range 2 {
			if _, err := v.Verify(t.Context(), fresh); !errors.Is(err, auth.ErrKeysUnavailable) || errors.Is(err, auth.ErrInvalidToken) {
				t.Errorf("while it is away: %v", err)
			}
		}
		i.fail(nil)
		time.Sleep(time.Second)
		if _, err := v.Verify(t.Context(), fresh); err != nil {
			t.Errorf("a second after it is back: %v", err)
		}
	})
}

func TestIssuerThatIsDownChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newIssuer(t)
		v := newVerifier(t, i)
		i.fail(errors.New("connection refused"))
		if _, err := v.Verify(t.Context(), i.token(good())); !errors.Is(err, auth.ErrKeysUnavailable) || errors.Is(err, auth.ErrInvalidToken) {
			t.Errorf("before any keys: %v", err)
		}
		i.fail(nil)
		time.Sleep(time.Second)
		if _, err := v.Verify(t.Context(), i.token(good())); err != nil {
			t.Fatalf("when they are there: %v", err)
		}
		i.fail(errors.New("connection refused"))
		time.Sleep(24 * time.Hour)
		if _, err := v.Verify(t.Context(), i.token(good())); err != nil {
			t.Errorf("after a day without the issuer: %v", err)
		}
		// An empty set is a broken answer, not the end of all sessions.
		i.fail(nil)
		i.mu.Lock()
		kept := i.keys
		i.keys = nil
		i.mu.Unlock()
		time.Sleep(time.Hour)
		token := sign(map[string]any{"alg": "RS256", "kid": "rsa-1"}, good(), kept[0].Key)
		if _, err := v.Verify(t.Context(), token); err != nil {
			t.Errorf("after an empty answer: %v", err)
		}
	})
}

func TestSlowIssuerDoesNotHoldCallersUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newIssuer(t)
		v := newVerifier(t, auth.KeysFunc(func(ctx context.Context) (jose.JSONWebKeySet, error) {
			<-ctx.Done()
			return jose.JSONWebKeySet{}, ctx.Err()
		}))
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		start := time.Now()
		if _, err := v.Verify(ctx, i.token(good())); !errors.Is(err, auth.ErrKeysUnavailable) || time.Since(start) > 100*time.Millisecond {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		start = time.Now()
		if _, err := v.Verify(t.Context(), i.token(good())); !errors.Is(err, auth.ErrKeysUnavailable) || time.Since(start) > 2*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		time.Sleep(2 * time.Second) // the fetch ends
	})
}

// An issuer that hangs must not cost every call the patience of one.
func TestIssuerThatHangsHoldsNobodyUpTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newIssuer(t)
		var hangs atomic.Bool
		v := newVerifier(t, auth.KeysFunc(func(ctx context.Context) (jose.JSONWebKeySet, error) {
			if hangs.Load() {
				<-ctx.Done()
				return jose.JSONWebKeySet{}, ctx.Err()
			}
			return i.Keys(ctx)
		}))
		if _, err := v.Verify(t.Context(), i.token(good())); err != nil {
			t.Fatal(err)
		}
		hangs.Store(true)
		time.Sleep(time.Hour)
		var waited time.Duration
		for n := range 20 {
			start := time.Now()
			if _, err := v.Verify(t.Context(), i.token(good(claims{"jti": strconv.Itoa(n), "exp": time.Now().Add(time.Hour).Unix()}))); err != nil {
				t.Fatal(err)
			}
			waited += time.Since(start)
			time.Sleep(1100 * time.Millisecond) // so that the next one may fetch again
		}
		if waited > 2*time.Second {
			t.Errorf("20 calls waited %v for keys that were there", waited)
		}
		time.Sleep(5 * time.Second)
	})
}

func TestCachedTokenEndsWhenItExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newIssuer(t)
		v := newVerifier(t, i)
		token := i.token(good(claims{"exp": time.Now().Add(20 * time.Second).Unix()}))
		if _, err := v.Verify(t.Context(), token); err != nil {
			t.Fatal(err)
		}
		time.Sleep(49 * time.Second) // within the leeway
		if _, err := v.Verify(t.Context(), token); err != nil {
			t.Errorf("within the leeway: %v", err)
		}
		time.Sleep(2 * time.Second)
		if _, err := v.Verify(t.Context(), token); !errors.Is(err, auth.ErrInvalidToken) {
			t.Errorf("expired: %v", err)
		}
	})
}

func TestTokenCacheIsBounded(t *testing.T) {
	i := newIssuer(t)
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	i.rotate(t, "ed", key)
	v, err := auth.NewVerifier(i, auth.VerifierOptions{Issuer: "shop", Audience: "shop", CacheSize: 64})
	if err != nil {
		t.Fatal(err)
	}
	for n := range 500 {
		if _, err := v.Verify(t.Context(), i.token(good(claims{"sub": fmt.Sprint("u", n)}))); err != nil {
			t.Fatal(err)
		}
	}
	if n := v.Cached(); n > 64 {
		t.Errorf("%d tokens are kept", n)
	}
}

func TestRolesCanBeNested(t *testing.T) {
	i := newIssuer(t)
	v, err := auth.NewVerifier(i, auth.VerifierOptions{Issuer: "shop", Audience: "shop", RolesClaim: "realm_access.roles"})
	if err != nil {
		t.Fatal(err)
	}
	c, err := v.Verify(t.Context(), i.token(good(claims{"realm_access": map[string]any{"roles": []string{"ops"}}})))
	if err != nil || !c.HasRole("ops") || c.HasRole("staff") {
		t.Errorf("%+v, %v", c, err)
	}
}

func BenchmarkVerifyCached(b *testing.B) {
	i := newIssuer(b)
	v := newVerifier(b, i)
	token := i.token(good())
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Verify(ctx, token); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerifyAnew(b *testing.B) {
	i := newIssuer(b)
	tokens := make([]string, 500)
	for n := range tokens {
		tokens[n] = i.token(good(claims{"sub": fmt.Sprint("u", n)}))
	}
	v, err := auth.NewVerifier(i, auth.VerifierOptions{Issuer: "shop", Audience: "shop", CacheSize: 16})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		if _, err := v.Verify(b.Context(), tokens[n%len(tokens)]); err != nil {
			b.Fatal(err)
		}
	}
}
