package redact_test

import (
	"testing"

	"github.com/gowarren/warren/internal/redact"
)

func TestText(t *testing.T) {
	for text, want := range map[string]string{
		"":                                     "",
		"paid with 4111111111111111 at once":   "paid with [redacted] at once",
		"4111 1111 1111 1111":                  "[redacted]",
		"5500-0000-0000-0004, 340000000000009": "[redacted], [redacted]",
		"4111111111111112":                     "4111111111111112", // its last digit is wrong
		"at 1763735840123456789":               "at 1763735840123456789",
		"span a4111111111111111f":              "span a4111111111111111f",
	} {
		if got, _ := redact.Text(text); got != want {
			t.Errorf("Text(%q) = %q, want %q", text, got, want)
		}
	}
	const line = "GET /v1/products/01K9Z7 answered 200 after 12.5 ms, 20261 bytes"
	if n := testing.AllocsPerRun(100, func() { redact.Text(line) }); n > 0 {
		t.Errorf("a text without cards costs %v allocations", n)
	}
}

func TestKey(t *testing.T) {
	for key, want := range map[string]bool{
		"password": true, "accessToken": true, "card_number": true, "discarded": false, "order": false, "Set-Cookie": true,
		"CVV": true, "userPIN": true, "PINCode": true, "IBAN": true, "card.JWT": true, "shipping": false, "SPINNING": false, "PostcardSize": false,
	} {
		if redact.Key(key) != want {
			t.Errorf("Key(%q) = %v", key, !want)
		}
	}
}
