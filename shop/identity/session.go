package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/netip"
)

// refreshSize is the size of a refresh token: too many to be guessed, so that
// keeping a plain hash of it is enough.
const refreshSize = 32

// newRefreshToken returns a token and the hash under which it is kept.
func newRefreshToken() (token, hash string) {
	token = base64.RawURLEncoding.EncodeToString(random(refreshSize))
	return token, hashToken(token)
}

func hashToken(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// doorOf names an account as one address comes to it. Of IPv6 everybody has a
// whole network of 2^64 addresses, which counts as one.
func doorOf(account string, from netip.Addr) string {
	if from.Is6() {
		network, _ := from.WithZone("").Prefix(64) // cannot fail: 64 bits there are
		from = network.Addr()
	}
	sum := sha256.Sum256([]byte("door\x00" + account + from.String()))
	return hex.EncodeToString(sum[:])
}

// accountOf names an account where attempts are counted and logged, also one
// that does not exist, without keeping the address.
func accountOf(email string) string {
	sum := sha256.Sum256([]byte("account\x00" + emailKey(email)))
	return hex.EncodeToString(sum[:])
}

// Why a session ended.
const (
	endedBySignOut = "signed out"
	endedByReuse   = "token reused"
	endedByLoop    = "refreshed too often"
)
