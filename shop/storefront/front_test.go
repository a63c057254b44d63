package main

import (
	"fmt"
	"net/http"
	"sync"
	"testing"

	catalogv1 "github.com/gowarren/warren/shop/api/shop/catalog/v1"
)

// manyCategories is a shop of more categories than its first page asks for.
func manyCategories(t *testing.T) *site {
	t.Helper()
	s := newSite(t)
	all := &catalogv1.ListCategoriesResponse{}
	for i := range 40 {
		all.Categories = append(all.Categories, &catalogv1.Category{Name: fmt.Sprint("Kind ", i), ProductCount: 7})
	}
	s.gateway.answer("GET /v1/categories", 200, all)
	return s
}

// However many visitors come at once, the first page is asked for once, with a few
// calls beside one another, and on behalf of nobody.
func TestTheFirstPageIsAskedForOnce(t *testing.T) {
	s := manyCategories(t)
	most := s.shop.settings.calls.Get()
	var mu sync.Mutex
	now, peak, full := 0, 0, make(chan struct{})
	s.gateway.do("GET /v1/products", func(*http.Request) (int, any) {
		mu.Lock()
		now++
		peak = max(peak, now)
		if now == most {
			select {
			case <-full:
			default:
				close(full)
			}
		}
		mu.Unlock()
		<-full // until there are as many as may be
		mu.Lock()
		defer mu.Unlock()
		now--
		return 200, &catalogv1.ListProductsResponse{Products: []*catalogv1.Product{mug, mug, mug, mug}}
	})
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() { s.get("/").has(t, 200, "Picked for today", "Kind 39", "£2.55") })
	}
	all.Wait()
	s.get("/").has(t, 200, "Picked for today")
	categories, asked := s.gateway.times("GET", "/v1/categories")
	products, _ := s.gateway.times("GET", "/v1/products")
	if categories != 1 || products != homeAsked || peak != most {
		t.Errorf("asked for categories %d times, for products %d times, %d at once; want 1, %d, %d", categories, products, peak, homeAsked, most)
	}
	if asked.request != "request-1" || asked.address != "" {
		t.Errorf("asked for %q on behalf of %q", asked.request, asked.address)
	}
}

// A page on which something is missing is shown, and not kept.
func TestAPatchyFirstPage(t *testing.T) {
	s := manyCategories(t)
	s.gateway.answer("GET /v1/products", 503, refusal("UNAVAILABLE", "away"))
	s.get("/").has(t, 200, "Kind 39")
	s.gateway.answer("GET /v1/products", 200, &catalogv1.ListProductsResponse{Products: []*catalogv1.Product{mug, mug, mug, mug}})
	s.get("/").has(t, 200, "Kind 39", "Picked for today")
	s.gateway.answer("GET /v1/products", 503, refusal("UNAVAILABLE", "away"))
	s.gateway.answer("GET /v1/categories", 503, refusal("UNAVAILABLE", "away"))
	s.get("/").has(t, 200, "Kind 39", "Picked for today") // it is kept
}
