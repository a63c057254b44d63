package main

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/gowarren/warren/rpc"
	catalogv1 "github.com/gowarren/warren/shop/api/shop/catalog/v1"
)

// refusedFor fails the test unless err has the reason and blames the field.
func refusedFor(t *testing.T, err error, reason catalogv1.Reason, field string) {
	t.Helper()
	if !errors.Is(err, rpc.Reason(reason)) {
		t.Errorf("got %v; want %v", err, reason)
		return
	}
	if v := rpc.FromError(err).Violations; len(v) != 1 || v[0].Field != field {
		t.Errorf("got violations %v; want one of %s", v, field)
	}
}

func TestPricesAreReadExactly(t *testing.T) {
	for text, want := range map[string]int64{
		"2.55": 255, "0.85": 85, "8.5": 850, "165": 16500, "0.01": 1, "2.550": 255, "007.10": 710,
		"1.1": 110, "0.07": 7, "9999999999.99": 999999999999, // what a float would round
	} {
		if got, err := parsePrice(text, "GBP"); err != nil || got != (price{want, "GBP"}) {
			t.Errorf("%s: got %v, %v; want %d", text, got, err, want)
		}
	}
	for _, c := range []struct {
		text, currency string
		want           int64
	}{{"255", "JPY", 255}, {"255.0", "JPY", 255}, {"1.234", "KWD", 1234}} {
		if got, err := parsePrice(c.text, c.currency); err != nil || got.units != c.want {
			t.Errorf("%s %s: got %v, %v; want %d", c.text, c.currency, got, err, c.want)
		}
	}
}

func TestOddPricesAreRefused(t *testing.T) {
	for _, text := range []string{
		"", " ", "0", "0.00", "-1", "+1", "1e3", "0x10", ".5", "5.", "1,50", "1 000", "2.555", "NaN", "Inf", "1.2.3", "٣",
		"10000000000.01", "9223372036854775808", "92233720368547758.08", strings.Repeat("9", 400), "184467440737095516.17",
	} {
		_, err := parsePrice(text, "GBP")
		if !errors.Is(err, rpc.Reason(catalogv1.Reason_BAD_PRICE)) {
			t.Errorf("%q: got %v; want BAD_PRICE", text, err)
		}
	}
	_, err := parsePrice("1.5", "JPY")
	refusedFor(t, err, catalogv1.Reason_BAD_PRICE, "price")
	for _, currency := range []string{"", "GB", "gbp", "XXX", "XAU", "POUNDS"} {
		_, err := parsePrice("1", currency)
		refusedFor(t, err, catalogv1.Reason_UNKNOWN_CURRENCY, "currency_code")
	}
}

func TestPricesPrint(t *testing.T) {
	for want, p := range map[string]price{
		"GBP 2.55": {255, "GBP"}, "GBP 0.05": {5, "GBP"}, "JPY 255": {255, "JPY"}, "KWD 0.001": {1, "KWD"}, "USD 10.00": {1000, "USD"},
	} {
		if got := p.String(); got != want {
			t.Errorf("got %s; want %s", got, want)
		}
	}
}

func FuzzParsePrice(f *testing.F) {
	for _, seed := range []string{"2.55", "0", "1e9", "999999999999999999999", "1."} {
		f.Add(seed, "GBP")
	}
	f.Fuzz(func(t *testing.T, text, currency string) {
		p, err := parsePrice(text, currency)
		if err != nil {
			return
		}
		if p.units <= 0 || p.units > maxPrice {
			t.Errorf("%q %s: %d is out of bounds", text, currency, p.units)
		}
		again, err := parsePrice(strings.TrimPrefix(p.String(), currency+" "), currency)
		if err != nil || again != p {
			t.Errorf("%q %s: read back %v, %v; want %v", text, currency, again, err, p)
		}
	})
}

func TestCodesHaveOneForm(t *testing.T) {
	for given, want := range map[string]string{"85123A": "85123A", "85123a": "85123A", " 22.X-1_b ": "22.X-1_B"} {
		if got, err := tidySKU(given); err != nil || got != want {
			t.Errorf("%q: got %q, %v; want %q", given, got, err, want)
		}
	}
	for _, bad := range []string{"", "  ", "-1", "a b", "ä1", "85123А" /* Cyrillic */, "x'; DROP TABLE products; --", strings.Repeat("1", 33), "a\x00"} {
		_, err := tidySKU(bad)
		refusedFor(t, err, catalogv1.Reason_BAD_SKU, "sku")
	}
}

func TestNamesAreTidied(t *testing.T) {
	for given, want := range map[string]string{
		"  RED   HARMONICA IN BOX ": "RED HARMONICA IN BOX",
		"Cafe\u0301":                "Café", // decomposed becomes composed
		"Tea\tand\nmilk":            "Tea and milk",
		"👩‍🍳 apron":                 "👩‍🍳 apron",
		"3":                         "3",
	} {
		if got, err := tidyName(given); err != nil || got != want {
			t.Errorf("%q: got %q, %v; want %q", given, got, err, want)
		}
	}
	for _, bad := range []string{"", "   ", "?", "???", "- -", "a\x00b", "evil\u202Etxt.exe", "zero\u200Bwidth", strings.Repeat("ä", 201)} {
		_, err := tidyName(bad)
		refusedFor(t, err, catalogv1.Reason_BAD_NAME, "name")
	}
	if _, err := tidyName(strings.Repeat("ä", 200)); err != nil {
		t.Errorf("200 characters: %v", err)
	}
}

func TestProductsAreTidied(t *testing.T) {
	p := mug("a1")
	p.description = " one\r\ntwo "
	got, err := p.tidied()
	if err != nil || got.sku != "A1" || got.description != "one\ntwo" {
		t.Errorf("got %+v, %v", got, err)
	}
	for field, c := range map[string]struct {
		spoil  func(*product)
		reason catalogv1.Reason
	}{
		"category":            {func(p *product) { p.category = " " }, catalogv1.Reason_BAD_CATEGORY},
		"description":         {func(p *product) { p.description = strings.Repeat("x", 4001) }, catalogv1.Reason_BAD_DESCRIPTION},
		"price.minor_units":   {func(p *product) { p.price.units = maxPrice + 1 }, catalogv1.Reason_BAD_PRICE},
		"price.currency_code": {func(p *product) { p.price.currency = "ABC" }, catalogv1.Reason_UNKNOWN_CURRENCY},
	} {
		p := mug("a1")
		c.spoil(&p)
		_, err := p.tidied()
		refusedFor(t, err, c.reason, field)
	}
}

func TestFieldMasks(t *testing.T) {
	all := product{name: "n", description: "d", category: "c", price: price{1, "GBP"}}
	for _, c := range []struct {
		mask   []string
		update product
		want   []string
	}{
		{nil, product{name: "n"}, []string{"name"}},
		{nil, all, changeable},
		{[]string{"description"}, product{}, []string{"description"}}, // to empty it
		{[]string{"*"}, product{}, changeable},
		{[]string{"price", "name"}, all, []string{"name", "price"}},
		{[]string{"sku", "name", "version"}, all, []string{"name"}}, // as the gateway fills it
		{[]string{"price.currency_code", "price.minor_units", "version"}, all, parts},
	} {
		got, err := changes(c.mask, c.update)
		slices.Sort(got)
		want := slices.Sorted(slices.Values(c.want))
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%v: got %v, %v; want %v", c.mask, got, err, want)
		}
	}
	for _, mask := range [][]string{{"sku"}, {"version"}, {"name", "create_time"}, {"price.amount"}, {"*", "name"}, {""}, nil} {
		_, err := changes(mask, product{})
		refusedFor(t, err, catalogv1.Reason_BAD_FIELD_MASK, "update_mask")
	}
}

func TestAPriceIsChangedInParts(t *testing.T) {
	old, update := product{price: price{255, "GBP"}}, product{price: price{300, "EUR"}}
	for want, fields := range map[price][]string{
		{300, "GBP"}: {"price.minor_units"},
		{255, "EUR"}: {"price.currency_code"},
		{300, "EUR"}: parts,
	} {
		if got := old.with(update, fields).price; got != want {
			t.Errorf("%v: got %v; want %v", fields, got, want)
		}
	}
}

func TestFold(t *testing.T) {
	for given, want := range map[string]string{
		"RED RETROSPOT":             " red retrospot ",
		"Café-Crème 100%":           " cafe creme 100 ",
		"CHILDREN'S MUG":            " childrens mug ",
		"100%_!":                    " 100 ",
		"ﬁne ＡＢＣ":                   " fine abc ",
		"---":                       "",
		"":                          "",
		`CHARLIE+LOLA"BUSY" SIGN`:   " charlie lola busy sign ",
		"T-LIGHT\tHOLDER, SET OF 3": " t light holder set of 3 ",
	} {
		if got := fold(given); got != want {
			t.Errorf("%q: got %q; want %q", given, got, want)
		}
	}
}

func TestCategoriesComeFromNames(t *testing.T) {
	for name, want := range map[string]string{
		"Red Retrospot Mug":                  "Kitchen and Table",
		"Set of 6 Mugs":                      "Kitchen and Table",
		"White Hanging Heart T-Light Holder": "Candles and Lights",
		"Christmas Candle":                   "Christmas",
		"Jumbo Bag Red Retrospot":            "Bags and Purses",
		"Picture Boxes":                      "Home and Storage",
		"Gold M.O.P Orbit":                   "Jewellery",
		"Chrysanthemum":                      otherGifts,
		"":                                   otherGifts,
	} {
		if got := categoryOf(name); got != want {
			t.Errorf("%q: got %s; want %s", name, got, want)
		}
	}
}

func TestNamesInCapitalsAreQuietened(t *testing.T) {
	for given, want := range map[string]string{
		"SET OF 3 COLOURED  FLYING DUCKS":    "Set of 3 Coloured Flying Ducks",
		"WHITE HANGING HEART T-LIGHT HOLDER": "White Hanging Heart T-Light Holder",
		"PINK/WHITE CHRISTMAS TREE 60CM":     "Pink/White Christmas Tree 60cm",
		"FAIRY CAKES NOTEBOOK A7 SIZE":       "Fairy Cakes Notebook A7 Size",
		"3D SHEET OF DOG STICKERS":           "3D Sheet of Dog Stickers",
		"SET/3 ROSE CANDLE":                  "Set/3 Rose Candle",
		"GOLD M.O.P ORBIT":                   "Gold M.O.P Orbit",
		"3 TRADITIONAl BISCUIT CUTTERS  SET": "3 Traditional Biscuit Cutters Set",
		"CHILDREN'S MUG":                     "Children's Mug",
		`LETTER "J" BLING KEY RING`:          `Letter "J" Bling Key Ring`,
		"BAG 500g SWIRLY MARBLES":            "Bag 500g Swirly Marbles",
		"Dr. Jam's Arouzer Stress Ball":      "Dr. Jam's Arouzer Stress Ball",
		"THE TV":                             "The TV",
		"":                                   "",
	} {
		if got := quieten(given); got != want {
			t.Errorf("%q: got %q; want %q", given, got, want)
		}
	}
}
