package main

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"

	cartv1 "github.com/gowarren/warren/shop/api/shop/cart/v1"
)

// What a cart holds at most. The contract says the same of one request.
const (
	maxLines    = 50
	maxQuantity = 10_000
)

// cart is what somebody means to buy.
type cart struct {
	owner   owner
	version int64
	lines   []line
	updated time.Time
}

// line is some of one product.
type line struct {
	sku      string
	quantity int32
}

// owner is whose a cart is.
type owner struct {
	key     string
	visitor bool
}

func user(subject string) owner { return owner{key: "user:" + subject} }

// tokenSize makes tokens that nobody guesses.
const tokenSize = 32

// newVisitor returns somebody who is not signed in, and the token that only he
// knows: it is kept as its hash, as what can be read here opens carts.
func newVisitor() (owner, string) {
	secret := make([]byte, tokenSize)
	_, _ = rand.Read(secret) // never goes wrong
	token := base64.RawURLEncoding.EncodeToString(secret)
	return visitor(token), token
}

func visitor(token string) owner {
	hash := sha256.Sum256([]byte(token))
	return owner{key: "visitor:" + base64.RawURLEncoding.EncodeToString(hash[:]), visitor: true}
}

// tidyLines returns the lines of a request as they are kept: codes in the
// catalogue's form, no product twice. The numbers are the contract's to check.
func tidyLines(list []*cartv1.Line) ([]line, error) {
	out := make([]line, 0, len(list))
	for i, l := range list {
		sku := strings.ToUpper(l.GetSku())
		if sku == "" {
			return nil, refuse(cartv1.Reason_BAD_SKU, fieldOf(i), "a product code is missing")
		}
		if slices.ContainsFunc(out, func(earlier line) bool { return earlier.sku == sku }) {
			return nil, refuse(cartv1.Reason_REPEATED_LINE, fieldOf(i), "%s has a line already", sku)
		}
		out = append(out, line{sku, l.GetQuantity()})
	}
	return out, nil
}

func fieldOf(line int) string { return fmt.Sprintf("lines[%d].sku", line) }

// merge adds lines to those of a cart, and returns what there is no room for.
// Of what both have, both count.
func merge(mine, theirs []line) (all, leftOut []line) {
	all = slices.Clone(mine)
	for _, l := range theirs {
		at := slices.IndexFunc(all, func(other line) bool { return other.sku == l.sku })
		switch {
		case at < 0 && len(all) == maxLines:
			leftOut = append(leftOut, l)
			continue
		case at < 0:
			all = append(all, line{sku: l.sku})
			at = len(all) - 1
		}
		fits := min(l.quantity, maxQuantity-all[at].quantity)
		all[at].quantity += fits
		if fits < l.quantity {
			leftOut = append(leftOut, line{l.sku, l.quantity - fits})
		}
	}
	return all, leftOut
}
