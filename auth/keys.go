package auth

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// ErrKeysUnavailable says that a token cannot be judged because the issuer's keys have
// never been received, or not since it began to use the one that the token names: the
// fault is on our side, not the caller's.
var ErrKeysUnavailable = errors.New("token keys are not available")

// KeySource returns the keys that an issuer signs with at present.
type KeySource interface {
	Keys(ctx context.Context) (jose.JSONWebKeySet, error)
}

// KeysFunc is a function as a KeySource.
type KeysFunc func(ctx context.Context) (jose.JSONWebKeySet, error)

// Keys calls the function.
func (f KeysFunc) Keys(ctx context.Context) (jose.JSONWebKeySet, error) { return f(ctx) }

// CachedKeysOptions says how often keys are fetched.
type CachedKeysOptions struct {
	// Refresh is the age at which keys are fetched anew beside the calls that
	// use them. Default: 5 min.
	Refresh time.Duration
	// UnknownRefresh is the least time between two fetches caused by tokens
	// with an unknown key id, however many arrive. Default: 30 s.
	UnknownRefresh time.Duration
	// Timeout bounds one fetch, and how long a call waits for it. Default: 2 s.
	Timeout time.Duration
}

// retryAfter is the pause after a fetch that failed.
const retryAfter = time.Second

// CachedKeys keeps the last good keys of a source. It fetches when it is used
// and runs nothing in the background otherwise. It is safe for concurrent use.
type CachedKeys struct {
	source KeySource
	opts   CachedKeysOptions
	set    atomic.Pointer[keySet]

	mu          sync.Mutex
	fetching    chan struct{} // closed at the end of the fetch under way; nil if none
	err         error         // of the last fetch
	notBefore   time.Time     // no fetch after a failed one until then
	nextUnknown time.Time     // no fetch for an unknown key id until then
}

// keySet is one good answer of the source; it does not change.
type keySet struct {
	keys       []jose.JSONWebKey
	generation uint64
	fetched    time.Time
}

// NewCachedKeys returns a cache of the source's keys; the first use fetches.
func NewCachedKeys(source KeySource, opts CachedKeysOptions) *CachedKeys {
	if opts.Refresh == 0 {
		opts.Refresh = 5 * time.Minute
	}
	if opts.UnknownRefresh == 0 {
		opts.UnknownRefresh = 30 * time.Second
	}
	if opts.Timeout == 0 {
		opts.Timeout = 2 * time.Second
	}
	return &CachedKeys{source: source, opts: opts}
}

// Keys returns the last good keys, fetching them if there are none.
func (k *CachedKeys) Keys(ctx context.Context) (jose.JSONWebKeySet, error) {
	set, err := k.current(ctx)
	if err != nil {
		return jose.JSONWebKeySet{}, err
	}
	return jose.JSONWebKeySet{Keys: set.keys}, nil
}

// generation changes when the keys do; what was derived from older keys ends.
func (k *CachedKeys) generation() uint64 {
	if set := k.set.Load(); set != nil {
		return set.generation
	}
	return 0
}

// key returns the key for a token's header, fetching anew when the id is not
// known, unless that was tried a moment ago.
func (k *CachedKeys) key(ctx context.Context, id string, alg jose.SignatureAlgorithm) (any, error) {
	set, err := k.current(ctx)
	if err != nil {
		return nil, err
	}
	if key, ok := set.find(id, alg); ok {
		return key, nil
	}
	if wait := k.fetchUnknown(); wait != nil {
		k.await(ctx, wait)
		if key, ok := k.set.Load().find(id, alg); ok {
			return key, nil
		}
	}
	if k.failing() {
		return nil, fmt.Errorf("%w: no %s key with the id that a token names, and the issuer does not answer", ErrKeysUnavailable, alg)
	}
	return nil, fmt.Errorf("%w: no %s key with the id it names", ErrInvalidToken, alg)
}

// current returns the keys in force. Old ones are refreshed beside the call;
// only very old or missing ones make it wait, and old ones only for an issuer
// that answered the last time.
func (k *CachedKeys) current(ctx context.Context) (*keySet, error) {
	set := k.set.Load()
	if set != nil {
		age := time.Since(set.fetched)
		if age < k.opts.Refresh {
			return set, nil
		}
		wait := k.fetch()
		if age < 2*k.opts.Refresh || wait == nil || k.failing() {
			return set, nil
		}
		k.await(ctx, wait)
		return k.set.Load(), nil
	}
	if wait := k.fetch(); wait != nil {
		k.await(ctx, wait)
	}
	if set := k.set.Load(); set != nil {
		return set, nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKeysUnavailable, k.err)
	}
	return nil, ErrKeysUnavailable
}

// failing reports whether the last fetch that ended went wrong.
func (k *CachedKeys) failing() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.err != nil
}

// await waits for the fetch under way, no longer than the caller or a fetch may
// take.
func (k *CachedKeys) await(ctx context.Context, done <-chan struct{}) {
	timer := time.NewTimer(k.opts.Timeout)
	defer timer.Stop()
	select {
	case <-done:
	case <-ctx.Done():
	case <-timer.C:
	}
}

// fetchUnknown fetches for a token with an unknown key id: at most once per
// interval, so that made-up ids cost the issuer nothing.
func (k *CachedKeys) fetchUnknown() <-chan struct{} {
	k.mu.Lock()
	now := time.Now()
	if now.Before(k.nextUnknown) {
		// Those who asked at the same moment share the fetch under way.
		defer k.mu.Unlock()
		return k.fetching
	}
	k.nextUnknown = now.Add(k.opts.UnknownRefresh)
	k.mu.Unlock()
	return k.fetch()
}

// fetch starts a fetch, or joins the one under way; nil when the last one
// failed a moment ago.
func (k *CachedKeys) fetch() <-chan struct{} {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.fetching != nil {
		return k.fetching
	}
	if time.Now().Before(k.notBefore) {
		return nil
	}
	done := make(chan struct{})
	k.fetching = done
	// Not the caller's context: a caller that leaves must not fail the others.
	go k.run(done)
	return done
}

func (k *CachedKeys) run(done chan struct{}) {
	ctx, cancel := context.WithTimeout(context.Background(), k.opts.Timeout)
	defer cancel()
	fetched, err := k.source.Keys(ctx)
	keys := usable(fetched)
	if err == nil && len(keys) == 0 {
		// An issuer without keys is a broken answer, not a reason to sign
		// everybody out.
		err = errors.New("fetch token keys: no usable key in the answer")
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.fetching, k.err = nil, err
	if err != nil {
		k.notBefore = time.Now().Add(retryAfter)
		k.nextUnknown = k.notBefore // what an unknown key was asked for was not answered
	} else {
		k.store(keys)
	}
	close(done)
}

// store puts the keys in force; the same keys keep their generation.
func (k *CachedKeys) store(keys []jose.JSONWebKey) {
	next := &keySet{keys: keys, generation: 1, fetched: time.Now()}
	if old := k.set.Load(); old != nil {
		next.generation = old.generation
		if !sameKeys(old.keys, keys) {
			next.generation++
		}
	}
	k.set.Store(next)
}

// find returns the key of the id that fits the algorithm. A token without a key
// id is only accepted from an issuer with a single key.
func (s *keySet) find(id string, alg jose.SignatureAlgorithm) (any, bool) {
	if id == "" && len(s.keys) != 1 {
		return nil, false
	}
	for _, key := range s.keys {
		if (id == "" || key.KeyID == id) && fits(key, alg) {
			return key.Key, true
		}
	}
	return nil, false
}

// fits reports whether the key is of the algorithm's kind, so that a key is
// never used with a signature it was not made for.
func fits(key jose.JSONWebKey, alg jose.SignatureAlgorithm) bool {
	if key.Algorithm != "" && key.Algorithm != string(alg) {
		return false
	}
	return algorithmOf(key.Key) == alg
}

// algorithmOf names the accepted algorithm of a public key, empty for any other.
func algorithmOf(key any) jose.SignatureAlgorithm {
	switch key := key.(type) {
	case *rsa.PublicKey:
		if key.N.BitLen() >= 2048 {
			return jose.RS256
		}
	case *ecdsa.PublicKey:
		if key.Curve == elliptic.P256() {
			return jose.ES256
		}
	case ed25519.PublicKey:
		return jose.EdDSA
	}
	return ""
}

// usable keeps the public signing keys. Symmetric keys and private halves have
// no place in a published set; keys for encryption or of other kinds are left.
func usable(set jose.JSONWebKeySet) []jose.JSONWebKey {
	var keys []jose.JSONWebKey
	for _, key := range set.Keys {
		if key.IsPublic() && (key.Use == "" || key.Use == "sig") && algorithmOf(key.Key) != "" {
			keys = append(keys, key)
		}
	}
	return keys
}

func sameKeys(a, b []jose.JSONWebKey) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		x, ok := a[i].Key.(interface{ Equal(x crypto.PublicKey) bool })
		if !ok || a[i].KeyID != b[i].KeyID || !x.Equal(b[i].Key) {
			return false
		}
	}
	return true
}
