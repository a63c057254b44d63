package main

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"go.uber.org/goleak"

	"github.com/gowarren/warren/cache"
	"github.com/gowarren/warren/rpc"
	cartv1 "github.com/gowarren/warren/shop/api/shop/cart/v1"
	catalogv1 "github.com/gowarren/warren/shop/api/shop/catalog/v1"
	moneyv1 "github.com/gowarren/warren/shop/api/shop/money/v1"
	"github.com/gowarren/warren/warrentest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestLinesAreKeptInTheCataloguesForm(t *testing.T) {
	got, err := tidyLines([]*cartv1.Line{{Sku: "b2", Quantity: 1}, {Sku: "A1", Quantity: 2}})
	if want := []line{{"B2", 1}, {"A1", 2}}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
	_, err = tidyLines([]*cartv1.Line{{Sku: "b2", Quantity: 1}, {Sku: "B2", Quantity: 2}})
	if e, ok := errors.AsType[*rpc.Error](err); !ok || !warrentest.Refused(err, cartv1.Reason_REPEATED_LINE) || e.Violations[0].Field != "lines[1].sku" {
		t.Errorf("a product twice: %v", err)
	}
	if _, err := tidyLines([]*cartv1.Line{{Quantity: 1}}); !warrentest.Refused(err, cartv1.Reason_BAD_SKU) {
		t.Errorf("a line of nothing: %v", err)
	}
}

func TestMerging(t *testing.T) {
	full := make([]line, maxLines)
	for i := range full {
		full[i] = line{fmt.Sprintf("X%02d", i), 1}
	}
	for name, c := range map[string]struct{ mine, theirs, all, leftOut []line }{
		"nothing":          {},
		"into nothing":     {nil, []line{{"A", 1}}, []line{{"A", 1}}, nil},
		"of nothing":       {[]line{{"A", 1}}, nil, []line{{"A", 1}}, nil},
		"both have it":     {[]line{{"A", 1}, {"B", 1}}, []line{{"C", 1}, {"B", 2}}, []line{{"A", 1}, {"B", 3}, {"C", 1}}, nil},
		"too many of one":  {[]line{{"A", maxQuantity - 1}}, []line{{"A", 3}}, []line{{"A", maxQuantity}}, []line{{"A", 2}}},
		"a full cart":      {full, []line{{"A", 3}}, full, []line{{"A", 3}}},
		"a full cart's":    {full, []line{{"X00", 3}}, append([]line{{"X00", 4}}, full[1:]...), nil},
		"full of one line": {[]line{{"A", maxQuantity}}, []line{{"A", 1}}, []line{{"A", maxQuantity}}, []line{{"A", 1}}},
	} {
		t.Run(name, func(t *testing.T) {
			before := slices.Clone(c.mine)
			all, leftOut := merge(c.mine, c.theirs)
			if !slices.Equal(all, c.all) || !slices.Equal(leftOut, c.leftOut) || !slices.Equal(c.mine, before) {
				t.Errorf("got %v and %v", all, leftOut)
			}
		})
	}
}

func TestTokensAreSecret(t *testing.T) {
	one, token := newVisitor()
	other, _ := newVisitor()
	if one == other || len(token) != 43 || visitor(token) != one || !one.visitor {
		t.Errorf("%v, %v, %q", one, other, token)
	}
	if user(token) == one || user("x").visitor {
		t.Error("a user has a visitor's cart")
	}
}

func priced(currency string, units int64) quote {
	return quote{product: &catalogv1.Product{Name: "Mug", Price: &moneyv1.Money{CurrencyCode: currency, MinorUnits: units}}}
}

func TestTotals(t *testing.T) {
	two := []line{{"A", 2}, {"B", 3}}
	away, gone := quote{err: errors.New("nobody is there")}, quote{err: cache.ErrNotFound}
	for name, c := range map[string]struct {
		quotes []quote
		want   int64 // 0: none
	}{
		"all known":         {[]quote{priced("GBP", 255), priced("GBP", 100)}, 810},
		"one unknown":       {[]quote{priced("GBP", 255), away}, 0},
		"one gone":          {[]quote{gone, priced("GBP", 255)}, 0},
		"two currencies":    {[]quote{priced("GBP", 255), priced("EUR", 100)}, 0},
		"a fortune's worth": {[]quote{priced("GBP", 1_000_000_000_000), priced("GBP", 1_000_000_000_000)}, 5_000_000_000_000},
	} {
		if got := total(two, c.quotes).GetMinorUnits(); got != c.want {
			t.Errorf("%s: %d; want %d", name, got, c.want)
		}
	}
	if total(nil, nil) != nil {
		t.Error("an empty cart costs something")
	}
	most := float64(1_000_000_000_000) * maxQuantity * maxLines
	if most > math.MaxInt64/10 {
		t.Error("a total may not fit")
	}
}

func TestLinesSayWhatIsKnown(t *testing.T) {
	c := cart{version: 1, lines: []line{{"A", 2}, {"B", 1}, {"C", 1}}}
	got := c.message([]quote{priced("GBP", 255), {err: errors.New("nobody is there")}, {err: cache.ErrNotFound}})
	for i, want := range []cartv1.PriceState{cartv1.PriceState_PRICED, cartv1.PriceState_UNKNOWN, cartv1.PriceState_GONE} {
		if l := got.GetLines()[i]; l.GetPriceState() != want || (l.GetPrice() != nil) != (i == 0) {
			t.Errorf("line %d: %v", i, l)
		}
	}
	if l := got.GetLines()[0]; l.GetAmount().GetMinorUnits() != 510 || l.GetName() != "Mug" || got.GetTotal() != nil {
		t.Errorf("got %v", got)
	}
}
