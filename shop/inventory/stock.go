package main

import (
	"cmp"
	"hash/fnv"
	"slices"
	"strings"
	"time"

	"github.com/gowarren/warren/rpc"
	inventoryv1 "github.com/gowarren/warren/shop/api/shop/inventory/v1"
)

// maxOnHand bounds what is counted of one product, far from the end of int64.
const maxOnHand = 1_000_000_000

// stock is how much there is of a product.
type stock struct {
	sku              string
	onHand, reserved int64
	version, told    int64
	updated          time.Time
}

func (s stock) available() int64 { return s.onHand - s.reserved }

// line is some of one product.
type line struct {
	sku      string
	quantity int64
}

// tidyLines returns the lines in the one order in which stock is locked, so
// that no two transactions wait for each other, and one line per product.
func tidyLines(list []*inventoryv1.Line) ([]line, error) {
	quantities := map[string]int64{}
	for _, l := range list {
		sku, err := tidySKU(l.GetSku())
		if err != nil {
			return nil, err
		}
		quantities[sku] += int64(l.GetQuantity())
	}
	out := make([]line, 0, len(quantities))
	for sku, quantity := range quantities {
		out = append(out, line{sku, quantity})
	}
	slices.SortFunc(out, func(a, b line) int { return cmp.Compare(a.sku, b.sku) })
	return out, nil
}

// tidySKU returns the code as the catalogue writes it: compared without case.
// Its form is the contract's to check.
func tidySKU(sku string) (string, error) {
	sku = strings.ToUpper(sku)
	if sku == "" {
		return "", refuse(inventoryv1.Reason_BAD_SKU, "sku", "a product code is missing")
	}
	return sku, nil
}

// movement is one change of the stock of a product.
type movement struct {
	sku              string
	kind             inventoryv1.MovementKind
	onHand, reserved int64 // what is added
	reference        string
	reason, author   string
	version          int64
	at               time.Time
}

// moved returns the movements of a kind for all lines. What each kind does to
// the stock stands here and nowhere else.
func moved(kind inventoryv1.MovementKind, reference string, lines []line) []movement {
	out := make([]movement, len(lines))
	for i, l := range lines {
		out[i] = movement{sku: l.sku, kind: kind, reference: reference}
		switch kind {
		case inventoryv1.MovementKind_RESERVED:
			out[i].reserved = l.quantity
		case inventoryv1.MovementKind_RELEASED, inventoryv1.MovementKind_EXPIRED:
			out[i].reserved = -l.quantity
		case inventoryv1.MovementKind_SOLD:
			out[i].reserved, out[i].onHand = -l.quantity, -l.quantity
		case inventoryv1.MovementKind_RESTOCKED, inventoryv1.MovementKind_INITIAL:
			out[i].onHand = l.quantity
		}
	}
	return out
}

// productsOf returns the codes of the movements, each once.
func productsOf(movements []movement) []string {
	out := make([]string, len(movements))
	for i, m := range movements {
		out[i] = m.sku
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// check tells why the stock can't move so, if it can't: it is never negative,
// and never promises what is not there.
func (s stock) check(m movement) error {
	switch after := (stock{onHand: s.onHand + m.onHand, reserved: s.reserved + m.reserved}); {
	case after.onHand > maxOnHand:
		return rpc.Errorf(inventoryv1.Reason_TOO_MUCH, "there can be at most %d of %s", int64(maxOnHand), s.sku)
	case after.available() < 0:
		return outOfStock(s.sku, s.available(), max(m.reserved, -m.onHand))
	case after.reserved < 0, after.onHand < 0:
		return rpc.Errorf(inventoryv1.Reason_REASON_UNSPECIFIED, "%s holds less than the reservation says", s.sku)
	}
	return nil
}

// firstStock is how much there is of a product of the first catalogue: made up,
// but always the same.
func firstStock(sku string) int64 {
	sum := fnv.New32a()
	_, _ = sum.Write([]byte(sku)) // never goes wrong
	return 500 + int64(sum.Sum32()%2000)
}
