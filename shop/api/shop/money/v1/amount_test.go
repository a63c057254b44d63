package moneyv1

import "testing"

// One table says what a currency is, and how many decimals it has.
func TestCurrencies(t *testing.T) {
	for code, want := range map[string]struct {
		known    bool
		decimals int
		text     string // of 255 smallest units
	}{
		"GBP": {true, 2, "GBP 2.55"}, "JPY": {true, 0, "JPY 255"}, "KWD": {true, 3, "KWD 0.255"},
		"XAU": {false, 2, "XAU 2.55"}, "gbp": {false, 2, "gbp 2.55"}, "": {false, 2, " 2.55"},
	} {
		if got := Known(code); got != want.known {
			t.Errorf("%q is known: %v, want %v", code, got, want.known)
		}
		if got := Exponent(code); got != want.decimals {
			t.Errorf("%q has %d decimals, want %d", code, got, want.decimals)
		}
		if got := (&Money{CurrencyCode: code, MinorUnits: 255}).Text(); got != want.text {
			t.Errorf("%q: got %q, want %q", code, got, want.text)
		}
	}
}
