package main

import (
	"math"
	"strings"

	catalogv1 "github.com/gowarren/warren/shop/api/shop/catalog/v1"
	moneyv1 "github.com/gowarren/warren/shop/api/shop/money/v1"
)

// maxPrice bounds a price in minor units, so that a price times any quantity
// that a person can order stays far from the end of int64.
const maxPrice = 1_000_000_000_000

// price is an exact amount of money.
type price struct {
	units    int64 // minor units
	currency string
}

// check tells what is wrong with a price.
func (p price) check() error {
	if !moneyv1.Known(p.currency) {
		return refuse(catalogv1.Reason_UNKNOWN_CURRENCY, "price.currency_code", "%q is no currency of ISO 4217", shorten(p.currency, 20))
	}
	if p.units <= 0 {
		return refuse(catalogv1.Reason_BAD_PRICE, "price.minor_units", "a price is more than nothing")
	}
	if p.units > maxPrice {
		return refuse(catalogv1.Reason_BAD_PRICE, "price.minor_units", "a price is at most %d minor units", int64(maxPrice))
	}
	return nil
}

// parsePrice reads a decimal in a currency's main unit, exactly: "2.55". It is
// never a floating-point number, and never rounded.
func parsePrice(text, currency string) (price, error) {
	if !moneyv1.Known(currency) {
		return price{}, refuse(catalogv1.Reason_UNKNOWN_CURRENCY, "currency_code", "%q is no currency of ISO 4217", shorten(currency, 20))
	}
	whole, fraction, point := strings.Cut(text, ".")
	if !isDigits(whole) || point && !isDigits(fraction) {
		return price{}, refuse(catalogv1.Reason_BAD_PRICE, "price", "%q is no decimal number", shorten(text, 40))
	}
	fraction = strings.TrimRight(fraction, "0")
	n := moneyv1.Exponent(currency)
	if len(fraction) > n {
		return price{}, refuse(catalogv1.Reason_BAD_PRICE, "price", "%s is finer than the smallest unit of %s", shorten(text, 40), currency)
	}
	units, fits := decimal(whole + fraction + strings.Repeat("0", n-len(fraction)))
	if !fits {
		return price{}, refuse(catalogv1.Reason_BAD_PRICE, "price", "a price is at most %d minor units", int64(maxPrice))
	}
	p := price{units: units, currency: currency}
	return p, p.check()
}

func isDigits(text string) bool {
	return text != "" && strings.Trim(text, "0123456789") == ""
}

// decimal reads digits; it reports false for what an int64 does not hold.
func decimal(text string) (n int64, fits bool) {
	for _, r := range text {
		digit := int64(r - '0')
		if n > (math.MaxInt64-digit)/10 {
			return 0, false
		}
		n = n*10 + digit
	}
	return n, true
}

// String returns the price as people write it: "GBP 2.55".
func (p price) String() string {
	return (&moneyv1.Money{CurrencyCode: p.currency, MinorUnits: p.units}).Text()
}
