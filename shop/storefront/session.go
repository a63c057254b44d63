package main

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	identityv1 "github.com/gowarren/warren/shop/api/shop/identity/v1"
)

// secretSize is the length of the secret in a visitor's cookie, in bytes.
const secretSize = 32

// session is what is remembered of one visitor. The visitor has a secret in a
// cookie; here is kept its hash, and beside it what only the secret opens. So
// who reads the database can neither sign in as somebody nor use their tokens.
type session struct {
	kept

	secret  []byte
	version int64 // 0: nothing is kept
}

// kept is what stands in the database, encrypted.
type kept struct {
	Cart    string    `json:"cart,omitempty"` // the token of a visitor's cart
	Access  string    `json:"access,omitempty"`
	Expires time.Time `json:"expires,omitzero"` // of the access token
	Refresh string    `json:"refresh,omitempty"`
	UserID  string    `json:"user,omitempty"`
	Name    string    `json:"name,omitempty"`
	Email   string    `json:"email,omitempty"`
	// Renewed is when the browser was last told for how long to keep the cookie.
	Renewed time.Time `json:"renewed,omitzero"`
	// Seen are the prices at which things were put into the cart, in minor units.
	Seen map[string]int64 `json:"seen,omitempty"`
}

func newSession() *session {
	s := &session{secret: make([]byte, secretSize)}
	_, _ = rand.Read(s.secret) // never fails
	return s
}

// sessionOf reads a cookie.
func sessionOf(cookie string) (*session, error) {
	secret, err := base64.RawURLEncoding.DecodeString(cookie)
	if err != nil || len(secret) != secretSize {
		return nil, errors.New("read the cookie: it is none of ours")
	}
	return &session{secret: secret}, nil
}

func (s *session) cookie() string { return base64.RawURLEncoding.EncodeToString(s.secret) }

// id is what the session is found by.
func (s *session) id() string {
	sum := sha256.Sum256(append([]byte("storefront session "), s.secret...))
	return hex.EncodeToString(sum[:])
}

// signedIn tells whether the visitor is a user.
func (k *kept) signedIn() bool { return k.Refresh != "" }

// signOut forgets who the visitor is.
func (k *kept) signOut() { *k = kept{} }

// signIn takes over what the identity service gave.
func (k *kept) signIn(from *identityv1.Session) {
	k.Access, k.Refresh, k.Expires = from.GetAccessToken(), from.GetRefreshToken(), from.GetAccessExpireTime().AsTime()
	if u := from.GetUser(); u != nil {
		k.UserID, k.Name, k.Email = u.GetId(), u.GetDisplayName(), u.GetEmail()
	}
}

// csrf is what every form of the visitor's carries. Another site can send
// forms in the visitor's name, but cannot read this.
func (s *session) csrf() string {
	mac := hmac.New(sha256.New, s.secret)
	_, _ = mac.Write([]byte("storefront forms"))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))[:32]
}

func (s *session) isCSRF(token string) bool { return hmac.Equal([]byte(token), []byte(s.csrf())) }

func (s *session) cipher() (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, s.secret, nil, "storefront session content", 32)
	if err != nil {
		return nil, fmt.Errorf("make the session's key: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("make the session's key: %w", err)
	}
	return cipher.NewGCM(block)
}

// seal encrypts the content for the database.
func (s *session) seal(k kept) (string, error) {
	text, err := json.Marshal(k)
	if err != nil {
		return "", fmt.Errorf("write session: %w", err)
	}
	aead, err := s.cipher()
	if err != nil {
		return "", err
	}
	nonce := make([]byte, aead.NonceSize())
	_, _ = rand.Read(nonce) // never fails
	return base64.RawStdEncoding.EncodeToString(aead.Seal(nonce, nonce, text, []byte(s.id()))), nil
}

// open decrypts what the database has.
func (s *session) open(sealed string) (k kept, err error) {
	raw, err := base64.RawStdEncoding.DecodeString(sealed)
	if err != nil {
		return k, fmt.Errorf("open session: %w", err)
	}
	aead, err := s.cipher()
	if err != nil {
		return k, err
	}
	if len(raw) < aead.NonceSize() {
		return k, errors.New("open session: it is too short")
	}
	text, err := aead.Open(nil, raw[:aead.NonceSize()], raw[aead.NonceSize():], []byte(s.id()))
	if err != nil {
		return k, fmt.Errorf("open session: %w", err)
	}
	if err := json.Unmarshal(text, &k); err != nil {
		return k, fmt.Errorf("open session: %w", err)
	}
	return k, nil
}
