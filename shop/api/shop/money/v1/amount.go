package moneyv1

import (
	"strconv"
	"strings"
)

// currencies are those of ISO 4217 that people pay with, by how many decimals
// their smallest unit has. Funds, metals and testing codes are left out.
var currencies = byCode(map[int]string{
	0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF",
	2: `AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP CRC
		CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES
		KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR
		NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT
		TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD YER ZAR ZMW ZWG`,
	3: "BHD IQD JOD KWD LYD OMR TND",
})

func byCode(byDecimals map[int]string) map[string]int {
	out := map[string]int{}
	for n, codes := range byDecimals {
		for code := range strings.FieldsSeq(codes) {
			out[code] = n
		}
	}
	return out
}

// Known tells whether people pay with a currency, by its code of ISO 4217.
func Known(currency string) bool {
	_, known := currencies[currency]
	return known
}

// Exponent is how many decimals a currency has, after ISO 4217. One that is not
// known has two, as most have.
func Exponent(currency string) int {
	const most = 2
	if n, known := currencies[currency]; known {
		return n
	}
	return most
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
