package main

import (
	"strconv"
	"strings"

	catalogv1 "github.com/gowarren/warren/shop/api/shop/catalog/v1"
)

// A position in a list is the code of the product before it, behind what the
// list is sorted by: products change their prices and names, and a list must
// go on where it was.

// position returns the position behind a product.
func (f filter) position(p *catalogv1.Product) string {
	switch f.sort {
	case catalogv1.Sort_BY_NAME:
		return product{name: p.GetName()}.searchName() + "\n" + p.GetSku()
	case catalogv1.Sort_BY_PRICE, catalogv1.Sort_BY_PRICE_DOWN:
		return strconv.FormatInt(p.GetPrice().GetMinorUnits(), 10) + "\n" + p.GetSku()
	}
	return p.GetSku()
}

// begin returns the condition under which a product stands behind a position,
// its arguments, and the order.
func (f filter) begin(after string) (where string, args []any, order string) {
	column, than, way := "search_name", ">", ""
	switch f.sort {
	case catalogv1.Sort_BY_NAME:
	case catalogv1.Sort_BY_PRICE:
		column = "price_units"
	case catalogv1.Sort_BY_PRICE_DOWN:
		column, than, way = "price_units", "<", " DESC"
	default:
		return `sku > ?`, []any{after}, `sku`
	}
	order = column + way + `, sku`
	value, sku, found := strings.Cut(after, "\n")
	if !found {
		return `sku > ?`, []any{""}, order
	}
	var key any = value
	if column == "price_units" {
		key, _ = strconv.ParseInt(value, 10, 64) // tokens are signed: we wrote it
	}
	return `(` + column + ` ` + than + ` ? OR ` + column + ` = ? AND sku > ?)`, []any{key, key, sku}, order
}
