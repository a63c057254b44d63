package main

import (
	"testing"

	moneyv1 "github.com/gowarren/warren/shop/api/shop/money/v1"
)

func TestPrices(t *testing.T) {
	for _, c := range []struct {
		currency string
		units    int64
		want     string
	}{
		{"GBP", 255, "£2.55"}, {"GBP", 5, "£0.05"}, {"GBP", 0, "£0.00"}, {"GBP", -1250, "−£12.50"}, {"GBP", 123456789, "£1,234,567.89"},
		{"JPY", 255, "¥255"}, {"JPY", 1255, "¥1,255"}, {"KWD", 1, "KWD\u00a00.001"}, {"EUR", 100000, "€1,000.00"}, {"GBP", -9223372036854775808, "−£92,233,720,368,547,758.08"},
	} {
		if got := price(&moneyv1.Money{CurrencyCode: c.currency, MinorUnits: c.units}); got != c.want {
			t.Errorf("%d %s is %q, want %q", c.units, c.currency, got, c.want)
		}
	}
	if got := price(nil); got != "–" {
		t.Errorf("no money is %q", got)
	}
	if got := plainPrice(&moneyv1.Money{CurrencyCode: "GBP", MinorUnits: 123456}); got != "1234.56" {
		t.Errorf("in a field: %q", got)
	}
}

func TestAmounts(t *testing.T) {
	for text, want := range map[string]int64{"25": 2500, "25.5": 2550, " £25.50 ": 2550, "1,250.00": 125000, "0.01": 1} {
		if got, err := parseAmount(text, "GBP"); err != nil || got != want {
			t.Errorf("%q is %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "-1", "1.234", "1.", ".5", "five", "1e3", "９", "99999999999999999999", "1 000"} {
		if got, err := parseAmount(text, "GBP"); err == nil {
			t.Errorf("%q is %d", text, got)
		}
	}
	if got, err := parseAmount("12", "JPY"); err != nil || got != 12 {
		t.Errorf("12 yen are %d, %v", got, err)
	}
	if got, err := parseAmount("12.5", "JPY"); err == nil {
		t.Errorf("12.5 yen are %d", got)
	}
}
