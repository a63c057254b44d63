package auth

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// maxKeysBytes bounds the answer of an issuer.
const maxKeysBytes = 1 << 20

// HTTPKeys returns a source that reads the JSON Web Key Set at the address. It
// must be https, except on the same machine: whoever can change the answer can
// be anybody. A nil client is one that gives up after ten seconds.
func HTTPKeys(address string, client *http.Client) (KeySource, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("token keys address: %w", err)
	}
	if !trusted(u) {
		return nil, fmt.Errorf("token keys address %s: must be https, or http on this machine", u.Redacted())
	}
	if client == nil {
		client = &http.Client{Timeout: 10 * time.Second, CheckRedirect: sameTrust}
	}
	return KeysFunc(func(ctx context.Context) (jose.JSONWebKeySet, error) {
		set, err := readKeys(ctx, client, address)
		if err != nil {
			return set, fmt.Errorf("fetch token keys from %s: %w", u.Redacted(), err)
		}
		return set, nil
	}), nil
}

// maxRedirects is how many times an issuer may send us elsewhere.
const maxRedirects = 5

// sameTrust keeps a redirect from leading to where the address itself must not.
func sameTrust(next *http.Request, before []*http.Request) error {
	if len(before) > maxRedirects {
		return fmt.Errorf("more than %d redirects", maxRedirects)
	}
	if !trusted(next.URL) {
		return fmt.Errorf("redirect to %s: must be https, or http on this machine", next.URL.Redacted())
	}
	return nil
}

// trusted tells whether nobody on the way to u can change its answer.
func trusted(u *url.URL) bool {
	return u.Scheme == "https" || u.Scheme == "http" && loopback(u.Hostname())
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func readKeys(ctx context.Context, client *http.Client, address string) (jose.JSONWebKeySet, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return jose.JSONWebKeySet{}, err
	}
	request.Header.Set("Accept", "application/jwk-set+json, application/json")
	response, err := client.Do(request)
	if err != nil {
		return jose.JSONWebKeySet{}, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return jose.JSONWebKeySet{}, fmt.Errorf("status %s", response.Status)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxKeysBytes+1))
	if err != nil {
		return jose.JSONWebKeySet{}, err
	}
	if len(body) > maxKeysBytes {
		return jose.JSONWebKeySet{}, fmt.Errorf("answer is longer than %d bytes", maxKeysBytes)
	}
	return ParseKeys(body)
}

// ParseKeys reads a JSON Web Key Set. A key of a kind that is not known is left
// out, as an issuer may use more kinds than we do.
func ParseKeys(data []byte) (jose.JSONWebKeySet, error) {
	var raw struct {
		Keys []json.RawMessage `json:"keys"`
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(data, &raw); err != nil {
		return set, fmt.Errorf("parse token keys: %w", err)
	}
	for _, one := range raw.Keys {
		var key jose.JSONWebKey
		if key.UnmarshalJSON(one) == nil {
			set.Keys = append(set.Keys, key)
		}
	}
	return set, nil
}
