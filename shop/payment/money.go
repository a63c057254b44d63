package main

import (
	"math"
	"slices"
	"strings"

	moneyv1 "github.com/gowarren/warren/shop/api/shop/money/v1"
	paymentv1 "github.com/gowarren/warren/shop/api/shop/payment/v1"
)

const (
	// maxAmount bounds what moves at once, in minor units.
	maxAmount = 1_000_000_000_000
	// maxWallet bounds what a wallet holds, far from the end of int64.
	maxWallet = 1_000 * maxAmount
)

// money is an exact amount.
type money struct {
	units    int64 // minor units
	currency string
}

// moneyOf reads the amount out of a request: more than nothing, and bounded.
func moneyOf(m *moneyv1.Money) (money, error) {
	out := money{units: m.GetMinorUnits(), currency: m.GetCurrencyCode()}
	if !isCurrency(out.currency) {
		return money{}, refuse(paymentv1.Reason_UNKNOWN_CURRENCY, "amount.currency_code", "a currency has a code of three letters")
	}
	if out.units <= 0 || out.units > maxAmount {
		most := money{maxAmount, out.currency}
		return money{}, refuse(paymentv1.Reason_BAD_AMOUNT, "amount.minor_units", "an amount is more than nothing and at most %s", most)
	}
	return out, nil
}

func (m money) message() *moneyv1.Money {
	return &moneyv1.Money{CurrencyCode: m.currency, MinorUnits: m.units}
}

// String returns the amount as people read it: "GBP 2.55".
func (m money) String() string { return m.message().Text() }

func isCurrency(code string) bool {
	return len(code) == 3 && strings.Trim(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}

// accepted tells whether cards are charged in the currency; list holds codes
// between spaces.
func accepted(list, currency string) bool { return slices.Contains(strings.Fields(list), currency) }

// sum adds; it reports false for what an int64 does not hold.
func sum(a, b int64) (int64, bool) {
	if b > 0 && a > math.MaxInt64-b || b < 0 && a < math.MinInt64-b {
		return 0, false
	}
	return a + b, true
}
