package moneyv1

import (
	"strconv"
	"strings"
)

// Exponent is how many decimals a currency has, after ISO 4217: most have two.
func Exponent(currency string) int {
	switch currency {
	case "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF":
		return 0
	case "BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND":
		return 3
	}
	return 2
}

// Decimal is the amount without its currency: "2.55", "-2.55".
func (x *Money) Decimal() string {
	sign, digits := "", strconv.FormatInt(x.GetMinorUnits(), 10)
	if rest, negative := strings.CutPrefix(digits, "-"); negative {
		sign, digits = "-", rest
	}
	decimals := Exponent(x.GetCurrencyCode())
	if decimals == 0 {
		return sign + digits
	}
	digits = strings.Repeat("0", max(0, decimals+1-len(digits))) + digits
	return sign + digits[:len(digits)-decimals] + "." + digits[len(digits)-decimals:]
}

// Text is the amount as people read it: "GBP 2.55".
func (x *Money) Text() string { return x.GetCurrencyCode() + " " + x.Decimal() }
