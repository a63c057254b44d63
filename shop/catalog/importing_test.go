package main

import (
	"strings"
	"testing"

	catalogv1 "github.com/gowarren/warren/shop/api/shop/catalog/v1"
)

func TestIntakeJudgesRows(t *testing.T) {
	good := row{sku: "85123A", name: "White Mug", price: "2.55", currency: "GBP"}
	with := func(change func(*row)) row { r := good; change(&r); return r }
	for name, c := range map[string]struct {
		row    row
		reason catalogv1.Reason
	}{
		"postage by code":     {with(func(r *row) { r.sku = "POST" }), catalogv1.Reason_NOT_GOODS},
		"in small letters":    {with(func(r *row) { r.sku = "dot" }), catalogv1.Reason_NOT_GOODS},
		"a code with a space": {with(func(r *row) { r.sku = "BANK CHARGES" }), catalogv1.Reason_NOT_GOODS},
		"a voucher":           {with(func(r *row) { r.sku = "gift_0001_20" }), catalogv1.Reason_NOT_GOODS},
		"postage by name":     {with(func(r *row) { r.name = " dotcom  POSTAGE " }), catalogv1.Reason_NOT_GOODS},
		"manual correction":   {with(func(r *row) { r.name = "Manual" }), catalogv1.Reason_NOT_GOODS},
		"no price":            {with(func(r *row) { r.price = "" }), catalogv1.Reason_BAD_PRICE},
		"nothing":             {with(func(r *row) { r.price = "0" }), catalogv1.Reason_BAD_PRICE},
		"a credit":            {with(func(r *row) { r.price = "-11062.06" }), catalogv1.Reason_BAD_PRICE},
		"too fine":            {with(func(r *row) { r.price = "0.001" }), catalogv1.Reason_BAD_PRICE},
		"no currency":         {with(func(r *row) { r.currency = "" }), catalogv1.Reason_UNKNOWN_CURRENCY},
		"no code":             {with(func(r *row) { r.sku = "" }), catalogv1.Reason_BAD_SKU},
		"no name":             {with(func(r *row) { r.name = "  " }), catalogv1.Reason_BAD_NAME},
		"a question":          {with(func(r *row) { r.name = "??" }), catalogv1.Reason_BAD_NAME},
		"a hidden category":   {with(func(r *row) { r.category = "a\x01" }), catalogv1.Reason_BAD_CATEGORY},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := newIntake().take(c.row)
			if err == nil || p != nil || reasonOf(err) != c.reason {
				t.Errorf("got %v, %v; want %v", p, err, c.reason)
			}
		})
	}
	p, err := newIntake().take(good)
	if err != nil || p.sku != "85123A" || p.price != (price{255, "GBP"}) || p.category != "" {
		t.Errorf("good row: got %+v, %v", p, err)
	}
}

func TestOfRepeatedCodesTheFirstCounts(t *testing.T) {
	in := newIntake()
	first := row{sku: "85123A", name: "White Mug", price: "2.55", currency: "GBP"}
	if p, err := in.take(first); p == nil || err != nil {
		t.Fatalf("first: got %v, %v", p, err)
	}
	same := first
	same.sku, same.name, same.price = "85123a", " White  Mug ", "2.550"
	if p, err := in.take(same); p != nil || err != nil {
		t.Errorf("the same: got %v, %v", p, err)
	}
	dearer := first
	dearer.price = "5.91"
	_, err := in.take(dearer)
	if err == nil || reasonOf(err) != catalogv1.Reason_REPEATED_SKU || !strings.Contains(err.Message, "price GBP 2.55, not GBP 5.91") {
		t.Errorf("dearer: got %v", err)
	}
	other := first
	other.name = "Red Mug"
	if _, err := in.take(other); err == nil || !strings.Contains(err.Message, `name "White Mug", not "Red Mug"`) {
		t.Errorf("other name: got %v", err)
	}
}

func TestARefusedRowDoesNotTakeItsCode(t *testing.T) {
	in := newIntake()
	bad := row{sku: "1", name: "Mug", price: "0", currency: "GBP"}
	if _, err := in.take(bad); err == nil {
		t.Fatal("a price of nothing was taken")
	}
	bad.price = "1"
	if p, err := in.take(bad); p == nil || err != nil {
		t.Errorf("got %v, %v", p, err)
	}
}

func TestWhatARowDoesNotSayStays(t *testing.T) {
	old := mug("1")
	old.category, old.description = "Staff Choice", "Best mug"
	says := product{sku: "1", name: "New Mug", price: price{1, "GBP"}}
	if got := says.completed(&old); got.category != "Staff Choice" || got.description != "Best mug" || got.name != "New Mug" {
		t.Errorf("got %+v", got)
	}
	if got := says.completed(nil); got.category != "Kitchen and Table" {
		t.Errorf("got %+v", got)
	}
}

func TestTheReportListsTheFirstRefusals(t *testing.T) {
	var out report
	for n := range 5 {
		out.refuse(row{line: int64(n), sku: strings.Repeat("x", 500)}, refuse(catalogv1.Reason_BAD_PRICE, "price", "%s", strings.Repeat("y", 900)), 3)
	}
	if out.refused != 5 || len(out.refusals) != 3 || len(out.refusals[0].sku) != 100 || len(out.refusals[0].message) != 500 {
		t.Errorf("got %d refused, %d listed", out.refused, len(out.refusals))
	}
}

func TestTheSeedIsTheRealCatalogue(t *testing.T) {
	file, err := seedFiles.Open(seedFile)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	rows, err := readSeed(file)
	if err != nil {
		t.Fatal(err)
	}
	entries, out := sortRows(rows)
	if out.rows != 4688 || out.created != 1455 || out.unchanged != 1835 || out.refused != 1398 {
		t.Errorf("rows %d, created %d, unchanged %d, refused %d", out.rows, out.created, out.unchanged, out.refused)
	}
	if out.rows != out.created+out.unchanged+out.refused || out.created != int64(len(entries)) || out.refused != int64(len(out.refusals)) {
		t.Errorf("the report's numbers don't add up: %d rows", out.rows)
	}
	if rows[0].line != 2 || rows[len(rows)-1].line != 4689 {
		t.Errorf("lines %d to %d", rows[0].line, rows[len(rows)-1].line)
	}
	codes := map[string]bool{}
	for _, p := range entries {
		if codes[p.sku] || p.category == "" || p.price.check() != nil {
			t.Errorf("%+v", p)
		}
		codes[p.sku] = true
	}
}

func TestSeedsThatAreDamaged(t *testing.T) {
	for _, text := range []string{"", "a,b\n", "a,b,c\n1,\"2,3\n", "a,b,c\n1,2\n"} {
		if rows, err := readSeed(strings.NewReader(text)); err == nil {
			t.Errorf("%q: read %v", text, rows)
		}
	}
	text := "StockCode,Description,UnitPrice\nPOST,POSTAGE,18\n22139,,0\n85123a,\"MUG, WHITE\",2.55\n85123A,\"MUG, WHITE\",2.5500\n"
	rows, err := readSeed(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	entries, out := sortRows(rows)
	if len(entries) != 1 || entries[0].name != "Mug, White" || entries[0].sku != "85123A" || out.unchanged != 1 {
		t.Errorf("got %+v, %+v", entries, out)
	}
	if got := out.byReason(); got["NOT_GOODS"] != 1 || got["BAD_PRICE"] != 1 {
		t.Errorf("got %v", got)
	}
	if out.refusals[0].line != 2 || out.refusals[1].line != 3 {
		t.Errorf("got %+v", out.refusals)
	}
}
