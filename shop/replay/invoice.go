package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// invoice is what one customer bought at once.
type invoice struct {
	number   string
	customer string
	country  string // ISO 3166-1
	lines    []wish
}

// wish is some of one product.
type wish struct {
	sku      string
	quantity int64
	pence    int64 // what it cost then
	line     int   // in the file
}

// oddity is what is not as it should be about a line of the file.
type oddity struct {
	line    int
	kind    string // a few words
	text    string
	refused bool // the line is no order
}

// mostQuantity and mostLines are what the shop takes in one order.
const (
	mostQuantity = 10_000
	mostLines    = 50
)

var skuForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$`)

// countries are those of the file, by the names that it has for them.
func countries() map[string]string {
	return map[string]string{
		"United Kingdom": "GB", "EIRE": "IE", "France": "FR", "Germany": "DE", "Norway": "NO", "Netherlands": "NL",
		"Australia": "AU", "Belgium": "BE", "Italy": "IT", "Japan": "JP", "Poland": "PL", "Portugal": "PT", "Spain": "ES", "Switzerland": "CH",
	}
}

// readInvoices reads the file: the invoices in their order, and all that is odd.
func readInvoices(from io.Reader) (all []*invoice, odd []oddity, rows int, err error) {
	in := csv.NewReader(from)
	in.FieldsPerRecord = -1
	heading, err := in.Read()
	if err != nil {
		return nil, nil, 0, fmt.Errorf("read the heading: %w", err)
	}
	heading[0] = strings.TrimPrefix(heading[0], "\ufeff")
	columns := []string{"InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country"}
	if !slices.Equal(heading, columns) {
		return nil, nil, 0, fmt.Errorf("the columns are %v, want %v", heading, columns)
	}
	found := map[string]*invoice{}
	for {
		fields, err := in.Read()
		if errors.Is(err, io.EOF) {
			return all, odd, rows, nil
		}
		if parse, ok := errors.AsType[*csv.ParseError](err); ok {
			rows++
			odd = append(odd, oddity{parse.StartLine, "not CSV", parse.Err.Error(), true})
			continue
		}
		if err != nil {
			return nil, nil, rows, fmt.Errorf("read the file: %w", err)
		}
		rows++
		line, _ := in.FieldPos(0)
		fresh, w, remarks := readLine(fields, line)
		odd = append(odd, remarks...)
		if w == nil {
			continue
		}
		inv := found[fresh.number]
		if inv == nil {
			inv, found[fresh.number] = fresh, fresh
			all = append(all, inv)
		}
		odd = append(odd, inv.add(*w)...)
	}
}

// readLine judges a line by itself; without a wish it is refused.
func readLine(fields []string, line int) (*invoice, *wish, []oddity) {
	refuse := func(kind, format string, args ...any) (*invoice, *wish, []oddity) {
		return nil, nil, []oddity{{line, kind, fmt.Sprintf(format, args...), true}}
	}
	if len(fields) != 8 {
		return refuse("columns", "it has %d columns", len(fields))
	}
	for i := range fields {
		fields[i] = strings.TrimSpace(fields[i])
	}
	quantity, err := strconv.ParseInt(fields[3], 10, 64)
	if err != nil {
		return refuse("quantity is no number", "%q", fields[3])
	}
	pence, err := parsePence(fields[5])
	switch {
	case fields[0] == "":
		return refuse("no invoice", "the number of the invoice is missing")
	case strings.HasPrefix(strings.ToUpper(fields[0]), "C"):
		return refuse("credit note", "invoice %s takes back what was sold", fields[0])
	case !skuForm.MatchString(fields[1]):
		return refuse("no product", "%q is no product's code", fields[1])
	case quantity <= 0 || quantity > mostQuantity:
		return refuse("quantity out of bounds", "%d of %s", quantity, fields[1])
	case err != nil:
		return refuse("price is no amount", "%q", fields[5])
	case pence <= 0:
		return refuse("no price", "%s costs %s", fields[1], fields[5])
	}
	var odd []oddity
	inv := &invoice{number: fields[0], customer: fields[6], country: countries()[fields[7]]}
	if inv.customer == "" {
		inv.customer = "guest-" + inv.number
		odd = append(odd, oddity{line, "customer unknown", "a guest buys what is on invoice " + inv.number, false})
	}
	if inv.country == "" {
		inv.country = "GB"
		odd = append(odd, oddity{line, "country unknown", fmt.Sprintf("%q; it is sent within Great Britain", fields[7]), false})
	}
	return inv, &wish{sku: strings.ToUpper(fields[1]), quantity: quantity, pence: pence, line: line}, odd
}

// add adds up what is on the invoice more than once.
func (v *invoice) add(w wish) []oddity {
	for i, have := range v.lines {
		if have.sku != w.sku {
			continue
		}
		if have.quantity+w.quantity > mostQuantity {
			return []oddity{{w.line, "quantity out of bounds", fmt.Sprintf("%d more of %s", w.quantity, w.sku), true}}
		}
		v.lines[i].quantity += w.quantity
		return []oddity{{w.line, "product repeated", fmt.Sprintf("%s stands in line %d, too: added up", w.sku, have.line), false}}
	}
	v.lines = append(v.lines, w)
	return nil
}

// parts are the orders that an invoice makes: the shop takes no longer ones.
func (v *invoice) parts() [][]wish { return slices.Collect(slices.Chunk(v.lines, mostLines)) }

// parsePence reads a decimal number of pounds, exactly.
func parsePence(s string) (int64, error) {
	whole, part, _ := strings.Cut(s, ".")
	if len(part) > 2 {
		if strings.Trim(part[2:], "0") != "" {
			return 0, fmt.Errorf("%q is no whole number of pence", s)
		}
		part = part[:2]
	}
	part += strings.Repeat("0", 2-len(part))
	pounds, err := strconv.ParseInt(whole, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("%q is no amount", s)
	}
	pence, err := strconv.ParseUint(part, 10, 8)
	if err != nil {
		return 0, fmt.Errorf("%q is no amount", s)
	}
	if strings.HasPrefix(whole, "-") {
		return pounds*100 - int64(pence), nil
	}
	return pounds*100 + int64(pence), nil
}
