package main

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gowarren/warren/cache"
	catalogv1 "github.com/gowarren/warren/shop/api/shop/catalog/v1"
)

const (
	hotProducts = 20_000
	// A page of a list, or of a search, is stale for this long at most where an
	// invalidation is lost.
	hotPageTTL = 10 * time.Second
	// Old answers are better than none while the database is away.
	hotStale = 5 * time.Minute
	// How long a writer waits until the other instances know.
	hotPublish = time.Second
)

// hot answers what is asked most from memory. What it returns is shared by all
// who ask: it is sent, never changed.
type hot struct {
	from       *products
	products   *cache.Cache[string, *catalogv1.Product]
	lists      *cache.Cache[string, []*catalogv1.Product]
	categories *cache.Cache[string, []*catalogv1.Category]
}

func newHot(from *products, metrics prometheus.Registerer, peers cache.Invalidator) (*hot, error) {
	h := &hot{from: from}
	var errs [3]error
	h.products, errs[0] = cache.New(cache.Options[string, *catalogv1.Product]{
		Name: "products", Max: hotProducts, TTL: 30 * time.Second, NegativeTTL: 5 * time.Second,
		StaleIfError: hotStale, Metrics: metrics, Invalidator: peers,
	})
	h.lists, errs[1] = cache.New(cache.Options[string, []*catalogv1.Product]{
		Name: "product_lists", Max: hotProducts, TTL: hotPageTTL, StaleIfError: hotStale, Metrics: metrics, Invalidator: peers,
		Cost: func(_ string, page []*catalogv1.Product) int { return len(page) + 1 },
	})
	h.categories, errs[2] = cache.New(cache.Options[string, []*catalogv1.Category]{
		Name: "categories", Max: 10, TTL: hotPageTTL, StaleIfError: hotStale, Metrics: metrics, Invalidator: peers,
	})
	return h, errors.Join(errs[:]...)
}

func (h *hot) close() {
	h.products.Close()
	h.lists.Close()
	h.categories.Close()
}

// product returns one product, or errNoProduct.
func (h *hot) product(ctx context.Context, sku string) (*catalogv1.Product, error) {
	return h.products.Get(ctx, sku, func(ctx context.Context, sku string) (*catalogv1.Product, error) {
		p, err := h.from.get(ctx, sku)
		if err != nil {
			return nil, err
		}
		return p.message(), nil
	})
}

// list returns the products of a filter after a position.
func (h *hot) list(ctx context.Context, f filter, after string, limit int) ([]*catalogv1.Product, error) {
	key := strconv.Itoa(limit) + "\n" + after + "\n" + f.String()
	return h.lists.Get(ctx, key, func(ctx context.Context, _ string) ([]*catalogv1.Product, error) {
		page, err := h.from.list(ctx, f, after, limit)
		if err != nil {
			return nil, err
		}
		out := make([]*catalogv1.Product, len(page))
		for i, p := range page {
			out[i] = p.message()
		}
		return out, nil
	})
}

func (h *hot) allCategories(ctx context.Context) ([]*catalogv1.Category, error) {
	return h.categories.Get(ctx, "all", func(ctx context.Context, _ string) ([]*catalogv1.Category, error) {
		all, err := h.from.categories(ctx)
		if err != nil {
			return nil, err
		}
		out := make([]*catalogv1.Category, len(all))
		for i, c := range all {
			out[i] = &catalogv1.Category{Name: c.name, ProductCount: int32(c.count)}
		}
		return out, nil
	})
}

// changed forgets products that were changed, on all instances. It belongs
// after the commit, and goes on when the caller has gone: the change is made.
func (h *hot) changed(ctx context.Context, skus ...string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), hotPublish)
	defer cancel()
	// Side by side: an instance that hangs takes the time of one, and must not
	// keep the others from hearing of the rest.
	var errs [3]error
	var told sync.WaitGroup
	told.Go(func() { errs[0] = h.products.Invalidate(ctx, skus...) })
	told.Go(func() { errs[1] = h.lists.Clear(ctx) })
	told.Go(func() { errs[2] = h.categories.Clear(ctx) })
	told.Wait()
	return errors.Join(errs[:]...)
}

// String names the filter, the same for the same products.
func (f filter) String() string {
	bound := func(n *int64) string {
		if n == nil {
			return ""
		}
		return strconv.FormatInt(*n, 10)
	}
	return bound(f.min) + "\n" + bound(f.max) + "\n" + f.category + "\n" + f.sort.String()
}
