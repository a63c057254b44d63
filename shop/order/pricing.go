package main

import (
	"context"
	"fmt"
	"strings"

	catalogv1 "github.com/gowarren/warren/shop/api/shop/catalog/v1"
	orderv1 "github.com/gowarren/warren/shop/api/shop/order/v1"
)

// quote is what was ordered at the catalogue's prices, in one currency.
type quote struct {
	lines    []line
	currency string
}

// priced asks the catalogue for the prices of what is wanted.
func priced(ctx context.Context, catalog catalogv1.CatalogServiceClient, wanted []*orderv1.PlaceOrderLine) (quote, error) {
	if err := distinct(wanted); err != nil {
		return quote{}, err
	}
	products, err := ask(ctx, catalog, wanted)
	if err != nil {
		return quote{}, err
	}
	return quoteFor(wanted, products)
}

// ask returns the products that are wanted.
func ask(ctx context.Context, catalog catalogv1.CatalogServiceClient, wanted []*orderv1.PlaceOrderLine) ([]*catalogv1.Product, error) {
	req := &catalogv1.BatchGetProductsRequest{}
	for _, w := range wanted {
		req.Skus = append(req.Skus, w.GetSku())
	}
	got, err := catalog.BatchGetProducts(ctx, req)
	if err != nil {
		return nil, fmt.Errorf("ask for prices: %w", err)
	}
	known := map[string]*catalogv1.Product{}
	for _, p := range got.GetProducts() {
		known[p.GetSku()] = p
	}
	products := make([]*catalogv1.Product, len(wanted))
	for i, w := range wanted {
		if products[i] = known[strings.ToUpper(w.GetSku())]; products[i] == nil {
			return nil, refuse(orderv1.Reason_UNKNOWN_PRODUCT, fmt.Sprintf("lines[%d].sku", i), "there is no product %s", w.GetSku())
		}
	}
	return products, nil
}

// quoteFor refuses what the customer can't want: other prices than he was shown, or
// several currencies.
func quoteFor(wanted []*orderv1.PlaceOrderLine, products []*catalogv1.Product) (q quote, err error) {
	for i, p := range products {
		price, shown := p.GetPrice(), wanted[i].GetExpectedPrice()
		if q.currency == "" {
			q.currency = price.GetCurrencyCode()
		}
		if price.GetCurrencyCode() != q.currency {
			return q, refuse(orderv1.Reason_BAD_TOTAL, fmt.Sprintf("lines[%d].sku", i), "%s is sold in %s, others in %s: order them apart",
				p.GetSku(), price.GetCurrencyCode(), q.currency)
		}
		if shown != nil && (shown.GetMinorUnits() != price.GetMinorUnits() || shown.GetCurrencyCode() != price.GetCurrencyCode()) {
			return q, refuse(orderv1.Reason_PRICE_CHANGED, fmt.Sprintf("lines[%d].expected_price", i), "%s costs %d %s now",
				p.GetSku(), price.GetMinorUnits(), price.GetCurrencyCode())
		}
		q.lines = append(q.lines, line{sku: p.GetSku(), name: p.GetName(), quantity: int64(wanted[i].GetQuantity()), price: price.GetMinorUnits()})
	}
	return q, nil
}

// distinct refuses a product that is ordered twice: which quantity was meant?
func distinct(wanted []*orderv1.PlaceOrderLine) error {
	seen := map[string]bool{}
	for i, w := range wanted {
		sku := strings.ToUpper(w.GetSku())
		if seen[sku] {
			return refuse(orderv1.Reason_REPEATED_LINE, fmt.Sprintf("lines[%d].sku", i), "%s is ordered twice: add up the quantities", w.GetSku())
		}
		seen[sku] = true
	}
	return nil
}
