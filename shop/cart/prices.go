package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"

	"github.com/gowarren/warren/cache"
	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/rpc"
	catalogv1 "github.com/gowarren/warren/shop/api/shop/catalog/v1"
)

const (
	priceTTL = 5 * time.Second
	// Old prices are better than none while the catalogue is away: a cart promises
	// none, the order does.
	priceStale = 5 * time.Minute
	// asking is how many products of one cart are asked for at once.
	asking = 8
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
// bounded time: it belongs to showing a cart, which must not hang on it.
func (p *prices) of(ctx context.Context, lines []line) []quote {
	ctx, cancel := context.WithTimeout(ctx, p.patience.Get())
	defer cancel()
	out := make([]quote, len(lines))
	var all sync.WaitGroup
	for worker := range min(asking, len(lines)) {
		all.Go(func() {
			for i := worker; i < len(lines); i += asking {
				out[i].product, out[i].err = p.known.Get(ctx, lines[i].sku, p.ask)
			}
		})
	}
	all.Wait()
	return out
}

func (p *prices) ask(ctx context.Context, sku string) (*catalogv1.Product, error) {
	found, err := p.catalog.GetProduct(ctx, &catalogv1.GetProductRequest{Sku: sku})
	if err == nil {
		return found, nil
	}
	if rpc.FromError(err).Code == codes.NotFound {
		return nil, fmt.Errorf("product %s %w", sku, cache.ErrNotFound)
	}
	return nil, fmt.Errorf("ask for product %s: %w", sku, err)
}
