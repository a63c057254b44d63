package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gowarren/warren/cache"
	"github.com/gowarren/warren/config"
	catalogv1 "github.com/gowarren/warren/shop/api/shop/catalog/v1"
)

const (
	priceTTL = 5 * time.Second
	// Old prices are better than none while the catalogue is away: a cart promises
	// none, the order does.
	priceStale = 5 * time.Minute
)

// prices are what the catalogue says of products.
type prices struct {
	catalog  catalogv1.CatalogServiceClient
	patience *config.Value[time.Duration]
	known    *cache.Cache[string, *catalogv1.Product]
}

func newPrices(catalog catalogv1.CatalogServiceClient, patience *config.Value[time.Duration], metrics prometheus.Registerer) (*prices, error) {
	known, err := cache.New(cache.Options[string, *catalogv1.Product]{
		Name: "prices", TTL: priceTTL, NegativeTTL: time.Second, StaleIfError: priceStale, LoadTimeout: 2 * time.Second, Metrics: metrics,
	})
	if err != nil {
		return nil, err
	}
	return &prices{catalog: catalog, patience: patience, known: known}, nil
}

// quote is what is known of one product: it, or why it is missing.
type quote struct {
	product *catalogv1.Product
	err     error
}

// gone reports whether the catalogue says that there is no such product.
func (q quote) gone() bool { return errors.Is(q.err, cache.ErrNotFound) }

// of returns what is known of the products of the lines, in their order, in a
// bounded time: it belongs to showing a cart, which must not hang on it. For those
// that are not known the catalogue is asked once.
func (p *prices) of(ctx context.Context, lines []line) []quote {
	ctx, cancel := context.WithTimeout(ctx, p.patience.Get())
	defer cancel()
	together := batch{catalog: p.catalog, lines: lines}
	out := make([]quote, len(lines))
	for i, l := range lines {
		out[i].product, out[i].err = p.known.Get(ctx, l.sku, together.ask)
	}
	return out
}

// batch asks for all products of a cart as soon as one is asked for.
type batch struct {
	catalog catalogv1.CatalogServiceClient
	lines   []line
	once    sync.Once
	found   map[string]*catalogv1.Product
	err     error
}

func (b *batch) ask(ctx context.Context, sku string) (*catalogv1.Product, error) {
	b.once.Do(func() { b.found, b.err = b.all(ctx) })
	if b.err != nil {
		return nil, b.err
	}
	if found := b.found[sku]; found != nil {
		return found, nil
	}
	return nil, fmt.Errorf("product %s %w", sku, cache.ErrNotFound)
}

func (b *batch) all(ctx context.Context) (map[string]*catalogv1.Product, error) {
	req := &catalogv1.BatchGetProductsRequest{}
	for _, l := range b.lines {
		req.Skus = append(req.Skus, l.sku)
	}
	got, err := b.catalog.BatchGetProducts(ctx, req)
	if err != nil {
		return nil, fmt.Errorf("ask for %d products: %w", len(b.lines), err)
	}
	found := make(map[string]*catalogv1.Product, len(b.lines))
	for _, p := range got.GetProducts() {
		found[p.GetSku()] = p
	}
	return found, nil
}
