package main

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"slices"
	"strings"

	"github.com/gowarren/warren/rpc"
	catalogv1 "github.com/gowarren/warren/shop/api/shop/catalog/v1"
)

// row is one line of an import as its source has it.
type row struct {
	line                                              int64
	sku, name, description, category, price, currency string
}

// intake judges the rows of one import, one after the other. The rules, in
// this order:
//
//   - What is no goods is refused: postage, discounts, fees, samples, manual
//     corrections, known by their code or their name.
//   - The price is an exact decimal, more than nothing, and not finer than the
//     currency's smallest unit.
//   - The code and the name follow the rules of every product; a name needs a
//     letter or a digit, so blanks and "??" are refused.
//   - Of the rows with one code the first counts. A later one that says the
//     same adds nothing; one that says something else is refused.
type intake struct{ seen map[string]said }

func newIntake() *intake { return &intake{seen: map[string]said{}} }

// said is what is remembered of a row until its import ends. Descriptions may be
// long, and there may be many.
type said struct {
	name  string
	price price
	rest  [sha256.Size]byte // of category and description
}

func (p product) said() said {
	return said{name: p.name, price: p.price, rest: sha256.Sum256([]byte(p.category + "\x00" + p.description))}
}

// take returns the product of a row. It is nil, without an error, when an
// earlier row said the same. An empty category or description means that the
// row doesn't say.
func (i *intake) take(r row) (*product, *rpc.Error) {
	p, err := r.product()
	if err != nil {
		refused, ok := errors.AsType[*rpc.Error](err)
		if !ok {
			refused = refuse(catalogv1.Reason_REASON_UNSPECIFIED, "", "%w", err)
		}
		return nil, refused
	}
	earlier, repeated := i.seen[p.sku]
	if !repeated {
		i.seen[p.sku] = p.said()
		return &p, nil
	}
	if earlier == p.said() {
		return nil, nil
	}
	return nil, refuse(catalogv1.Reason_REPEATED_SKU, "sku", "an earlier row has %s: %s", p.sku, difference(earlier, p.said()))
}

func (r row) product() (product, error) {
	if isNoGoods(r.sku, r.name) {
		return product{}, refuse(catalogv1.Reason_NOT_GOODS, "sku", "%s %q is no goods", shorten(r.sku, 40), shorten(r.name, 80))
	}
	money, err := parsePrice(r.price, r.currency)
	if err != nil {
		return product{}, err
	}
	p := product{sku: r.sku, name: r.name, description: r.description, category: r.category, price: money}
	unsaid := strings.TrimSpace(r.category) == ""
	if unsaid {
		p.category = otherGifts
	}
	if p, err = p.tidied(); err != nil {
		return product{}, err
	}
	if unsaid {
		p.category = ""
	}
	return p, nil
}

// difference tells what a later row says otherwise.
func difference(earlier, later said) string {
	var out []string
	if earlier.name != later.name {
		out = append(out, "name \""+shorten(earlier.name, 80)+"\", not \""+shorten(later.name, 80)+"\"")
	}
	if earlier.price != later.price {
		out = append(out, "price "+earlier.price.String()+", not "+later.price.String())
	}
	if earlier.rest != later.rest {
		out = append(out, "another category or description")
	}
	return strings.Join(out, "; ")
}

var (
	noGoodsCodes = []string{"POST", "DOT", "M", "D", "C2", "C3", "S", "B", "BANK CHARGES", "AMAZONFEE", "CRUK", "ADJUST", "ADJUST2"}
	noGoodsNames = []string{
		"POSTAGE", "DOTCOM POSTAGE", "CARRIAGE", "NEXT DAY CARRIAGE", "MANUAL", "DISCOUNT", "SAMPLES", "BANK CHARGES", "AMAZON FEE",
		"CRUK COMMISSION", "ADJUST BAD DEBT", "ADJUSTMENT",
	}
)

func isNoGoods(sku, name string) bool {
	sku = strings.ToUpper(strings.TrimSpace(sku))
	name = strings.ToUpper(strings.Join(strings.Fields(name), " "))
	// Vouchers are money, not goods: what they are worth is another service's to say.
	return slices.Contains(noGoodsCodes, sku) || slices.Contains(noGoodsNames, name) || strings.HasPrefix(sku, "GIFT_")
}

// completed returns the product as it is kept, given what is kept now (nil:
// nothing): what a row doesn't say stays, or is derived if there is nothing.
func (p product) completed(old *product) product {
	if old == nil {
		p.category = cmp.Or(p.category, categoryOf(p.name))
		return p
	}
	p.category = cmp.Or(p.category, old.category)
	p.description = cmp.Or(p.description, old.description)
	return p
}

// maxRefusals bounds how many refusals an answer lists.
const maxRefusals = 1000

// report is what became of an import.
type report struct {
	rows, created, updated, unchanged, refused int64
	refusals                                   []refusal // the first of them
}

type refusal struct {
	line    int64
	sku     string
	reason  catalogv1.Reason
	message string
}

// refuse notes a row that was not taken. The list ends at most refusals.
func (r *report) refuse(from row, err *rpc.Error, most int) {
	r.refused++
	if len(r.refusals) < most {
		r.refusals = append(r.refusals, refusal{
			line: from.line, sku: shorten(from.sku, 100), reason: reasonOf(err), message: shorten(err.Message, 500),
		})
	}
}

// byReason counts the refusals listed.
func (r *report) byReason() map[string]int {
	out := map[string]int{}
	for _, refused := range r.refusals {
		out[refused.reason.String()]++
	}
	return out
}
