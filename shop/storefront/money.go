package main

import (
	"errors"
	"math"
	"strconv"
	"strings"

	moneyv1 "github.com/gowarren/warren/shop/api/shop/money/v1"
)

// symbol is what stands before an amount.
func symbol(currency string) string {
	switch currency {
	case "GBP":
		return "£"
	case "EUR":
		return "€"
	case "USD":
		return "$"
	case "JPY":
		return "¥"
	}
	return currency + "\u00a0"
}

// price writes money as people read it: "£1,234.50".
func price(m *moneyv1.Money) string {
	if m == nil {
		return "–"
	}
	sign, text := "", m.Decimal()
	if digits, negative := strings.CutPrefix(text, "-"); negative {
		sign, text = "−", digits
	}
	whole, rest, _ := strings.Cut(text, ".")
	if rest != "" {
		rest = "." + rest
	}
	return sign + symbol(m.GetCurrencyCode()) + grouped(whole) + rest
}

// grouped puts a comma before every three digits.
func grouped(digits string) string {
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}

// plainPrice writes an amount as a form's field has it: "1234.50".
func plainPrice(m *moneyv1.Money) string {
	return strings.NewReplacer(symbol(m.GetCurrencyCode()), "", ",", "", "−", "-").Replace(price(m))
}

var errAmount = errors.New("write an amount such as 25 or 25.50")

// parseAmount reads what a person wrote, exactly, into minor units.
func parseAmount(text, currency string) (int64, error) {
	text = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(text), symbol(currency)))
	whole, rest, dotted := strings.Cut(strings.ReplaceAll(text, ",", ""), ".")
	decimals := moneyv1.Exponent(currency)
	if dotted && (rest == "" || len(rest) > decimals) || whole == "" || len(whole) > 12 {
		return 0, errAmount
	}
	digits := whole + rest + strings.Repeat("0", decimals-len(rest))
	if strings.ContainsFunc(digits, func(r rune) bool { return r < '0' || r > '9' }) {
		return 0, errAmount
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n == math.MaxInt64 {
		return 0, errAmount
	}
	return n, nil
}
