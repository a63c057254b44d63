package main

import (
	"bytes"
	"strings"
	"testing"
)

const heading = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"

// TestOddLinesAreReported has one line of each kind that is no order, or not quite.
func TestOddLinesAreReported(t *testing.T) {
	for line, want := range map[string]string{
		"1,22423,CAKESTAND,2,12/1/2010 10:03,12.75,17,United Kingdom": "",
		`1,22423,"CAKE, STAND",2,12/1/2010 10:03,12.75,17,Norway`:     "",
		"1,22423,CAKESTAND,2,12/1/2010 10:03,12.75,,United Kingdom":   "customer unknown",
		"1,22423,CAKESTAND,2,12/1/2010 10:03,12.75,17,Atlantis":       "country unknown",
		"1,22423,CAKESTAND,-2,12/1/2010 10:03,12.75,17,EIRE":          "quantity out of bounds!",
		"1,22423,CAKESTAND,10001,12/1/2010 10:03,12.75,17,EIRE":       "quantity out of bounds!",
		"1,22423,CAKESTAND,two,12/1/2010 10:03,12.75,17,EIRE":         "quantity is no number!",
		"1,22423,CAKESTAND,2,12/1/2010 10:03,0.00,17,EIRE":            "no price!",
		"1,22423,CAKESTAND,2,12/1/2010 10:03,-0.50,17,EIRE":           "no price!",
		"1,22423,CAKESTAND,2,12/1/2010 10:03,1.755,17,EIRE":           "price is no amount!",
		"1,POSTAGE & MORE,X,2,12/1/2010 10:03,1.75,17,EIRE":           "no product!",
		"C1,22423,CAKESTAND,2,12/1/2010 10:03,1.75,17,EIRE":           "credit note!",
		",22423,CAKESTAND,2,12/1/2010 10:03,1.75,17,EIRE":             "no invoice!",
		"1,22423,CAKESTAND":                             "columns!",
		`1,22423,CAKE"STAND,2,12/1/2010,1.75,17,Norway`: "not CSV!",
	} {
		all, odd, rows, err := readInvoices(strings.NewReader(heading + line + "\n"))
		if err != nil || rows != 1 {
			t.Fatalf("%s: %d lines, %v", line, rows, err)
		}
		var kinds []string
		for _, one := range odd {
			if one.refused {
				one.kind += "!"
			}
			kinds = append(kinds, one.kind)
		}
		got := strings.Join(kinds, ", ")
		if refused := strings.HasSuffix(want, "!"); got != want || refused == (len(all) == 1) {
			t.Errorf("%s: %q and %d invoices, want %q", line, got, len(all), want)
		}
	}
}

// TestLinesBecomeInvoices adds up what stands there twice, and in both cases.
func TestLinesBecomeInvoices(t *testing.T) {
	all, odd, _, err := readInvoices(strings.NewReader(heading +
		"1,85099b,BAG,2,12/1/2010 10:03,1.95,17,France\n2,22423,STAND,1,12/1/2010 10:04,12.75,18,France\n1,85099B,BAG,3,12/1/2010 10:03,1.9,17,France\n"))
	if err != nil || len(all) != 2 || len(odd) != 1 {
		t.Fatalf("%d invoices, %v, %v", len(all), odd, err)
	}
	if got := all[0].lines; len(got) != 1 || got[0] != (wish{"85099B", 5, 195, 2}) || all[0].country != "FR" {
		t.Errorf("%+v", all[0])
	}
}

// TestTheFileIsReadWhole counts what is in the file that travels with the program.
func TestTheFileIsReadWhole(t *testing.T) {
	all, odd, rows, err := readInvoices(bytes.NewReader(orders))
	if err != nil || rows != 4688 || len(all) != 236 {
		t.Fatalf("%d lines, %d invoices, %v", rows, len(all), err)
	}
	orders, kept := 0, rows
	for _, v := range all {
		orders += len(v.parts())
	}
	for _, one := range odd {
		if one.refused {
			kept--
		}
	}
	t.Logf("%d of %d lines make %d invoices and %d orders", kept, rows, len(all), orders)
}
