package main

import (
	"net/url"
	"slices"
	"sync"
	"time"

	catalogv1 "github.com/gowarren/warren/shop/api/shop/catalog/v1"
	inventoryv1 "github.com/gowarren/warren/shop/api/shop/inventory/v1"
)

// low is from how few on the visitor is told how many are left.
const low = 10

// stock is how much there is of a product, as a visitor is told.
type stock struct {
	Known     bool
	Available int64
}

// Word names it for styles.
func (s stock) Word() string {
	switch {
	case !s.Known:
		return "unknown"
	case s.Available <= 0:
		return "out"
	case s.Available <= low:
		return "low"
	}
	return "in"
}

// stockOf looks up the stock of products, as far as it is known within a
// glance: a page without it is better than none.
func (v *visit) stockOf(skus []string) map[string]stock {
	ctx, cancel := v.glance()
	defer cancel()
	out := make(map[string]stock, len(skus))
	var mu sync.Mutex
	beside(v.settings.calls.Get(), len(skus), func(i int) {
		got := &inventoryv1.Stock{}
		err := v.api.do(ctx, call{path: "/v1/stock/" + url.PathEscape(skus[i]), out: got})
		one := stock{Known: err == nil, Available: got.GetAvailable()}
		if because(err, "SKU_NOT_FOUND") { // it was never delivered
			one.Known = true
		}
		mu.Lock()
		defer mu.Unlock()
		out[skus[i]] = one
	})
	return out
}

// product is one product.
type product struct {
	*catalogv1.Product
	Stock   stock
	Related []*catalogv1.Product
	// Most of it that can be put into the cart at once.
	Most int64
}

func (p product) title() string { return p.GetName() }

// mostAtOnce is as many as somebody may put into a cart here; the contract
// allows more.
const mostAtOnce = 99

func (v *visit) product() error {
	sku := v.r.PathValue("sku")
	got := &catalogv1.Product{}
	if err := v.api.do(v.ctx, call{path: "/v1/products/" + url.PathEscape(sku), out: got}); err != nil {
		if p := problemOf(err); p.Status == 400 { // no code of a product looks like that
			p.Status = 404
		}
		return err
	}
	page := product{Product: got, Most: mostAtOnce}
	var both sync.WaitGroup
	both.Go(func() { page.Stock = v.stockOf([]string{got.GetSku()})[got.GetSku()] })
	both.Go(func() { page.Related = v.related(got) })
	both.Wait()
	if page.Stock.Known && page.Stock.Available > 0 {
		page.Most = min(page.Most, page.Stock.Available)
	}
	return v.show(200, "product", page)
}

// related are others of the category, which are left out where they don't come.
func (v *visit) related(of *catalogv1.Product) []*catalogv1.Product {
	ctx, cancel := v.glance()
	defer cancel()
	out, err := v.api.list(ctx, url.Values{"category": {of.GetCategory()}, "page_size": {"48"}})
	if err != nil {
		return nil
	}
	others := slices.DeleteFunc(out.GetProducts(), func(p *catalogv1.Product) bool { return p.GetSku() == of.GetSku() })
	others = varied(byDay(others, of.GetSku()+v.now().UTC().Format(time.DateOnly), (*catalogv1.Product).GetSku))
	return others[:min(4, len(others))]
}
