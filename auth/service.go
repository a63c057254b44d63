package auth

import (
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

const (
	// serviceAudience keeps a service's token from being taken for a user's.
	serviceAudience = "warren:service"
	serviceLife     = 5 * time.Minute
	serviceLeeway   = 30 * time.Second
	minSecretBytes  = 32
	maxServiceToken = 1 << 10
)

// ServiceKey signs and verifies which service makes a call. All processes of a
// system share its secret. It is safe for concurrent use.
type ServiceKey struct {
	secret []byte
	signer jose.Signer
	cache  *tokenCache

	mu     sync.RWMutex
	signed map[string]serviceToken
}

type serviceToken struct {
	token string
	renew time.Time
}

// NewServiceKey returns the key made from a system's secret of at least 32
// bytes. The secret itself signs nothing, so it may serve other uses as well.
func NewServiceKey(secret []byte) (*ServiceKey, error) {
	if len(secret) < minSecretBytes {
		return nil, fmt.Errorf("new service key: the secret has %d bytes, at least %d are needed", len(secret), minSecretBytes)
	}
	derived, err := hkdf.Key(sha256.New, secret, nil, "warren service identity 1", sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("new service key: %w", err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: derived}, nil)
	if err != nil {
		return nil, fmt.Errorf("new service key: %w", err)
	}
	return &ServiceKey{secret: derived, signer: signer, cache: newTokenCache(1000), signed: map[string]serviceToken{}}, nil
}

// Sign returns a token that says a call comes from the service. The same token
// is returned until half of its life is over.
func (k *ServiceKey) Sign(service string) (string, error) {
	now := time.Now()
	k.mu.RLock()
	s, ok := k.signed[service]
	k.mu.RUnlock()
	if ok && now.Before(s.renew) {
		return s.token, nil
	}
	if service == "" {
		return "", errors.New("sign service token: no service name")
	}
	token, err := jwt.Signed(k.signer).Claims(jwt.Claims{
		Subject:  service,
		Audience: jwt.Audience{serviceAudience},
		IssuedAt: jwt.NewNumericDate(now),
		Expiry:   jwt.NewNumericDate(now.Add(serviceLife)),
	}).Serialize()
	if err != nil {
		return "", fmt.Errorf("sign token of service %s: %w", service, err)
	}
	k.mu.Lock()
	k.signed[service] = serviceToken{token: token, renew: now.Add(serviceLife / 2)}
	k.mu.Unlock()
	return token, nil
}

// Verify returns the service that a token of Sign names.
func (k *ServiceKey) Verify(token string) (string, error) {
	if len(token) > maxServiceToken {
		return "", fmt.Errorf("%w of a service: longer than %d bytes", ErrInvalidToken, maxServiceToken)
	}
	now := time.Now()
	if c, ok := k.cache.get(token, 0, now); ok {
		return c.Service, nil
	}
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.HS256})
	if err != nil {
		return "", fmt.Errorf("%w of a service: %w", ErrInvalidToken, err)
	}
	var claims jwt.Claims
	if err := parsed.Claims(k.secret, &claims); err != nil {
		return "", fmt.Errorf("%w of a service: %w", ErrInvalidToken, err)
	}
	if claims.Expiry == nil || claims.Subject == "" {
		return "", fmt.Errorf("%w of a service: no expiry or no subject", ErrInvalidToken)
	}
	expected := jwt.Expected{AnyAudience: jwt.Audience{serviceAudience}, Time: now}
	if err := claims.ValidateWithLeeway(expected, serviceLeeway); err != nil {
		return "", fmt.Errorf("%w of a service: %w", ErrInvalidToken, err)
	}
	k.cache.put(token, 0, claims.Expiry.Time().Add(serviceLeeway), Caller{Service: claims.Subject})
	return claims.Subject, nil
}
