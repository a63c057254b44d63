package main

import (
	"crypto"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	// keyLead is how long a key is published before it signs, so that everybody
	// knows it by then: verifiers look every five minutes at the latest, an
	// answer may be a minute old, and instances look every keyPoll.
	keyLead = 15 * time.Minute
	// keyOverlap is how long a key is published after it signed its last token.
	keyOverlap = maxAccessLife + 5*time.Minute
	// keyPoll is how often an instance looks what keys there are.
	keyPoll = 30 * time.Second
)

// signingKey signs access tokens from its active time on, until the next one's.
type signingKey struct {
	id      string
	private ed25519.PrivateKey
	created time.Time
	active  time.Time
}

// newSigningKey makes a key, named after its public part.
func newSigningKey(now, active time.Time) (signingKey, error) {
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return signingKey{}, fmt.Errorf("make signing key: %w", err)
	}
	k := signingKey{private: private, created: now.UTC().Truncate(time.Microsecond), active: active.UTC().Truncate(time.Microsecond)}
	jwk := k.public()
	thumb, err := jwk.Thumbprint(crypto.SHA256)
	if err != nil {
		return signingKey{}, fmt.Errorf("name signing key: %w", err)
	}
	k.id = base64.RawURLEncoding.EncodeToString(thumb)
	return k, nil
}

// public is what everybody may know of the key.
func (k signingKey) public() jose.JSONWebKey {
	return jose.JSONWebKey{Key: k.private.Public(), KeyID: k.id, Algorithm: string(jose.EdDSA), Use: "sig"}
}

// text is the private key as it is kept.
func (k signingKey) text() (string, error) {
	out, err := json.Marshal(jose.JSONWebKey{Key: k.private, KeyID: k.id, Algorithm: string(jose.EdDSA), Use: "sig"})
	return string(out), err
}

func parsePrivate(text string) (ed25519.PrivateKey, error) {
	var jwk jose.JSONWebKey
	if err := json.Unmarshal([]byte(text), &jwk); err != nil {
		return nil, err
	}
	private, ok := jwk.Key.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("it is a %T, not an Ed25519 private key", jwk.Key)
	}
	return private, nil
}

// keySet are all keys there are, in the order in which they become active.
type keySet []signingKey

// signing returns the key to sign with: the last one that is active. Where none
// is, the first takes over early: the one before it was withdrawn, or this
// clock is behind the one of the instance that made it.
func (s keySet) signing(now time.Time) (signingKey, bool) {
	for _, k := range slices.Backward(s) {
		if !k.active.After(now) {
			return k, true
		}
	}
	if len(s) > 0 {
		return s[0], true
	}
	return signingKey{}, false
}

// successor returns when a new key is due to become active, if it must be made
// now: at once when there is none, otherwise in time to be known everywhere.
func (s keySet) successor(now time.Time, age time.Duration) (active time.Time, due bool) {
	if len(s) == 0 {
		return now, true
	}
	newest := s[len(s)-1]
	if newest.active.Add(age).After(now.Add(keyLead)) {
		return time.Time{}, false
	}
	return now.Add(keyLead), true
}

// outdated lists the keys whose tokens have all expired.
func (s keySet) outdated(now time.Time) []string {
	var out []string
	for i := range len(s) - 1 {
		if now.After(s[i+1].active.Add(keyOverlap)) {
			out = append(out, s[i].id)
		}
	}
	return out
}
