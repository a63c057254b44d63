package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// ErrInvalidToken is what every refusal of a token wraps. The text around it
// is for logs; a caller is told no more than that the token is not valid.
var ErrInvalidToken = errors.New("invalid token")

// algorithms are the signatures accepted for user tokens. Symmetric ones are
// missing on purpose: with them a public key would be a valid signing key.
var algorithms = []jose.SignatureAlgorithm{jose.RS256, jose.ES256, jose.EdDSA}

// VerifierOptions says which tokens a Verifier accepts.
type VerifierOptions struct {
	// Issuer and Audience must stand in the token. Both are required.
	Issuer, Audience string
	// Leeway is how far clocks may differ. Default: 30 s, at most 60 s.
	Leeway time.Duration
	// MaxTokenBytes bounds a token before anything of it is read. Default: 8 KiB.
	MaxTokenBytes int
	// CacheSize bounds how many verified tokens are remembered. Default: 10,000.
	CacheSize int
	// RolesClaim is where the roles stand, as a dotted path for issuers that
	// nest them ("realm_access.roles"). Default: "roles".
	RolesClaim string
}

// cacheTime bounds how long a verified token is believed without being looked
// at again, and so how long a withdrawn key can live on in the cache.
const cacheTime = time.Minute

// Verifier turns bearer tokens into callers. It is safe for concurrent use.
type Verifier struct {
	opts  VerifierOptions
	roles []string
	keys  *CachedKeys
	cache *tokenCache
}

// NewVerifier returns a verifier of tokens signed with one of the source's
// keys. A source that is not a *CachedKeys is wrapped in one.
func NewVerifier(keys KeySource, opts VerifierOptions) (*Verifier, error) {
	if opts.Issuer == "" || opts.Audience == "" {
		return nil, errors.New("new token verifier: issuer and audience are required")
	}
	if opts.Leeway < 0 || opts.Leeway > time.Minute {
		return nil, fmt.Errorf("new token verifier: leeway %v is not within 0s and 1m", opts.Leeway)
	}
	if opts.Leeway == 0 {
		opts.Leeway = 30 * time.Second
	}
	if opts.MaxTokenBytes == 0 {
		opts.MaxTokenBytes = 8 << 10
	}
	if opts.CacheSize == 0 {
		opts.CacheSize = 10_000
	}
	if opts.RolesClaim == "" {
		opts.RolesClaim = "roles"
	}
	cached, ok := keys.(*CachedKeys)
	if !ok {
		cached = NewCachedKeys(keys, CachedKeysOptions{})
	}
	return &Verifier{
		opts:  opts,
		roles: strings.Split(opts.RolesClaim, "."),
		keys:  cached,
		cache: newTokenCache(opts.CacheSize),
	}, nil
}

// Verify returns the caller for whom the token was issued. The error wraps
// ErrInvalidToken when the token is to blame, and ErrKeysUnavailable when it
// cannot be judged because no keys were ever received.
func (v *Verifier) Verify(ctx context.Context, token string) (Caller, error) {
	if len(token) > v.opts.MaxTokenBytes {
		return Caller{}, fmt.Errorf("%w: longer than %d bytes", ErrInvalidToken, v.opts.MaxTokenBytes)
	}
	now := time.Now()
	if c, ok := v.cache.get(token, v.keys.generation(), now); ok {
		c.Token = token
		return c, nil
	}
	// Read before the key, so that a key withdrawn meanwhile ends the entry.
	generation := v.keys.generation()
	c, err := v.verify(ctx, token, now)
	if err != nil {
		return Caller{}, err
	}
	until := now.Add(cacheTime)
	if end := c.Expires.Add(v.opts.Leeway); end.Before(until) {
		until = end
	}
	if generation == v.keys.generation() {
		v.cache.put(token, generation, until, c)
	}
	c.Token = token
	return c, nil
}

func (v *Verifier) verify(ctx context.Context, token string, now time.Time) (Caller, error) {
	if strings.Count(token, ".") != 2 {
		return Caller{}, fmt.Errorf("%w: not a signed token of three parts", ErrInvalidToken)
	}
	parsed, err := jwt.ParseSigned(token, algorithms)
	if err != nil {
		return Caller{}, fmt.Errorf("%w: %w", ErrInvalidToken, err)
	}
	header := parsed.Headers[0]
	// The key id is only a name to look up among the keys we hold. Keys that
	// the token brings along or points to (jwk, jku, x5c, x5u) are not read.
	key, err := v.keys.key(ctx, header.KeyID, jose.SignatureAlgorithm(header.Algorithm))
	if err != nil {
		return Caller{}, err
	}
	var claims jwt.Claims
	var private map[string]json.RawMessage
	if err := parsed.Claims(key, &claims, &private); err != nil {
		return Caller{}, fmt.Errorf("%w: %w", ErrInvalidToken, err)
	}
	if err := v.check(claims, now); err != nil {
		return Caller{}, fmt.Errorf("%w: %w", ErrInvalidToken, err)
	}
	roles, err := rolesOf(private, v.roles)
	if err != nil {
		return Caller{}, fmt.Errorf("%w: claim %s: %w", ErrInvalidToken, v.opts.RolesClaim, err)
	}
	return Caller{Subject: claims.Subject, Roles: roles, Issuer: claims.Issuer, Expires: claims.Expiry.Time()}, nil
}

// check adds to the library's rules that a token must end and must be
// somebody's.
func (v *Verifier) check(claims jwt.Claims, now time.Time) error {
	switch {
	case claims.Expiry == nil:
		return errors.New("no expiry")
	case claims.Subject == "":
		return errors.New("no subject")
	}
	expected := jwt.Expected{Issuer: v.opts.Issuer, AnyAudience: jwt.Audience{v.opts.Audience}, Time: now}
	return claims.ValidateWithLeeway(expected, v.opts.Leeway)
}

// rolesOf follows the path into the claims. A token without roles is one of a
// user without roles; roles of a wrong form are an error, not an empty list.
func rolesOf(claims map[string]json.RawMessage, path []string) ([]string, error) {
	for i, name := range path {
		raw, ok := claims[name]
		if !ok {
			return nil, nil
		}
		if i == len(path)-1 {
			var roles []string
			err := json.Unmarshal(raw, &roles)
			return roles, err
		}
		claims = nil
		if err := json.Unmarshal(raw, &claims); err != nil {
			return nil, err
		}
	}
	return nil, nil
}
