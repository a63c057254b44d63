package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"

	identityv1 "github.com/gowarren/warren/shop/api/shop/identity/v1"
)

// pages makes and reads page tokens. A token holds where the next page begins,
// and is signed together with the query that it continues: what was changed,
// made up, or belongs to another query is refused.
type pages struct{ key []byte }

const macSize = 16

// token returns a token for the position in the results of the query.
func (p pages) token(query string, position any) (string, error) {
	text, err := json.Marshal(position)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(append(p.mac(query, text), text...)), nil
}

// read reads the position out of a token for the query.
func (p pages) read(token, query string, position any) error {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(raw) < macSize || !hmac.Equal(raw[:macSize], p.mac(query, raw[macSize:])) {
		return refuse(identityv1.Reason_BAD_PAGE_TOKEN, "page_token", "the page token is not one that continues this query")
	}
	return json.Unmarshal(raw[macSize:], position)
}

func (p pages) mac(query string, position []byte) []byte {
	mac := hmac.New(sha256.New, p.key)
	mac.Write([]byte(query))
	mac.Write([]byte{0})
	mac.Write(position)
	return mac.Sum(nil)[:macSize]
}
