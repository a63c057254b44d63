package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"google.golang.org/protobuf/types/known/structpb"

	authv1 "github.com/gowarren/warren/api/warren/auth/v1"
)

// keyring are the keys as this instance knows them. What it knows is enough to
// sign and to publish while the database is away.
type keyring struct {
	store    *users
	settings *settings
	now      func() time.Time
	known    atomic.Pointer[known]
}

type known struct {
	keys      keySet
	published *authv1.GetKeysResponse
}

var errNoKeys = errors.New("there are no signing keys yet")

// refresh looks what keys there are, and makes and removes those that are due.
func (r *keyring) refresh(ctx context.Context) error {
	keys, err := r.store.rotateKeys(ctx, r.now(), r.settings.keyAge.Get())
	if err != nil {
		return err
	}
	published, err := publish(keys)
	if err != nil {
		return err
	}
	r.known.Store(&known{keys: keys, published: published})
	return nil
}

func publish(keys keySet) (*authv1.GetKeysResponse, error) {
	out := &authv1.GetKeysResponse{}
	for _, k := range keys {
		text, err := json.Marshal(k.public())
		if err != nil {
			return nil, fmt.Errorf("publish key %s: %w", k.id, err)
		}
		fields := map[string]any{}
		if err := json.Unmarshal(text, &fields); err != nil {
			return nil, fmt.Errorf("publish key %s: %w", k.id, err)
		}
		key, err := structpb.NewStruct(fields)
		if err != nil {
			return nil, fmt.Errorf("publish key %s: %w", k.id, err)
		}
		out.Keys = append(out.Keys, key)
	}
	return out, nil
}

// ready tells whether tokens can be signed.
func (r *keyring) ready(context.Context) error {
	if r.known.Load() == nil {
		return errNoKeys
	}
	return nil
}

// claims are what an access token says beside the registered claims.
type claims struct {
	jwt.Claims
	Session string   `json:"sid"`
	Roles   []string `json:"roles"`
}

// sign returns an access token for the user's session, and when it expires.
func (r *keyring) sign(u user, session string) (token string, expires time.Time, err error) {
	now := r.now()
	all := r.known.Load()
	if all == nil {
		return "", time.Time{}, errNoKeys
	}
	key, ok := all.keys.signing(now)
	if !ok {
		return "", time.Time{}, errNoKeys
	}
	private := jose.JSONWebKey{Key: key.private, KeyID: key.id, Algorithm: string(jose.EdDSA)}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: private}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return "", time.Time{}, fmt.Errorf("sign access token: %w", err)
	}
	expires = now.Add(r.settings.accessLife.Get()).UTC().Truncate(time.Second)
	token, err = jwt.Signed(signer).Claims(claims{
		Claims: jwt.Claims{
			Issuer: r.settings.issuer.Get(), Audience: jwt.Audience{r.settings.audience.Get()}, Subject: u.id, ID: newID(),
			IssuedAt: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(expires),
		},
		Session: session, Roles: u.roles,
	}).Serialize()
	if err != nil {
		return "", time.Time{}, fmt.Errorf("sign access token: %w", err)
	}
	return token, expires, nil
}

// sessionOf returns the session of an access token that was verified before.
func sessionOf(token string) (string, error) {
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.EdDSA})
	if err != nil {
		return "", fmt.Errorf("read access token: %w", err)
	}
	var c claims
	if err := parsed.UnsafeClaimsWithoutVerification(&c); err != nil {
		return "", fmt.Errorf("read access token: %w", err)
	}
	return c.Session, nil
}
