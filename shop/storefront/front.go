package main

import (
	"context"
	"errors"
	"net/url"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gowarren/warren/cache"
	"github.com/gowarren/warren/config"
	catalogv1 "github.com/gowarren/warren/shop/api/shop/catalog/v1"
)

// home is the first page.
type home struct {
	Categories []*catalogv1.Category
	Picks      []*catalogv1.Product // of the day, from everywhere
	Shelves    []shelf
}

func (home) title() string { return "Gifts and homeware, one parcel away" }

const (
	homePicks   = 8
	homeShelves = 3
	shelfSize   = 4
	// homeAsked is of how many categories products are asked for, however many
	// there are: enough for the shelves and for picks that differ.
	homeAsked = 12
	// homeKept is no longer than the catalogue itself keeps a list. Neither of the two
	// is a limit, and so no setting: nothing is refused or left undone beyond them.
	// They say how old the page may be, as priceTTL and hotPageTTL do elsewhere; what
	// one visitor may cost is bounded by storefront.calls.
	homeKept = 10 * time.Second
	// The page of a while ago is better than none while the catalogue is away.
	homeStale = 5 * time.Minute
)

// front makes the first page, which most visitors see first and which is the same
// for all of them until tomorrow: however many come, it is asked for once in a
// while.
type front struct {
	api   *api
	calls *config.Value[int]
	kept  *cache.Cache[string, home] // by day
}

func newFront(api *api, calls *config.Value[int], metrics prometheus.Registerer) (*front, error) {
	kept, err := cache.New(cache.Options[string, home]{
		Name: "home", Max: 10, TTL: homeKept, StaleIfError: homeStale, LoadTimeout: pageTime, Metrics: metrics,
	})
	if err != nil {
		return nil, err
	}
	return &front{api: api, calls: calls, kept: kept}, nil
}

// errPatchy is why a page is shown, and not kept: something is missing on it.
var errPatchy = errors.New("some categories did not answer")

func (f *front) of(ctx context.Context, day string) (home, error) {
	page, err := f.kept.Get(ctx, day, f.load)
	switch {
	case errors.Is(err, errPatchy):
		return page, nil
	case err != nil && ctx.Err() != nil:
		return home{}, away(ctx, err)
	}
	return page, err
}

// load asks on nobody's behalf: a visitor whose calls are limited must not keep
// the page from the others.
func (f *front) load(ctx context.Context, day string) (home, error) {
	o, _ := ctx.Value(originKey{}).(origin)
	ctx = withOrigin(ctx, origin{requestID: o.requestID})
	categories, err := f.api.categories(ctx)
	if err != nil {
		return home{}, err
	}
	page := home{Categories: categories}
	chosen := byDay(categories, day, (*catalogv1.Category).GetName)
	chosen = chosen[:min(homeAsked, len(chosen))]
	found, errs := make([][]*catalogv1.Product, len(chosen)), make([]error, len(chosen))
	beside(f.calls.Get(), len(chosen), func(i int) {
		var out *catalogv1.ListProductsResponse
		out, errs[i] = f.api.list(ctx, url.Values{"category": {chosen[i].GetName()}, "page_size": {"48"}})
		found[i] = varied(byDay(out.GetProducts(), day, (*catalogv1.Product).GetSku))
	})
	for i, products := range found {
		switch {
		case len(products) < shelfSize:
		case len(page.Shelves) < homeShelves:
			page.Shelves = append(page.Shelves, shelf{chosen[i].GetName(), products[:shelfSize]})
		default:
			page.Picks = append(page.Picks, products[:shelfSize]...)
		}
	}
	page.Picks = varied(byDay(page.Picks, day, (*catalogv1.Product).GetSku))
	page.Picks = page.Picks[:min(homePicks, len(page.Picks))]
	if err := errors.Join(errs...); err != nil {
		return page, errors.Join(errPatchy, err)
	}
	return page, nil
}

// beside does something n times, so many at once.
func beside(most, n int, do func(i int)) {
	var all sync.WaitGroup
	free := make(chan struct{}, most)
	for i := range n {
		free <- struct{}{}
		all.Go(func() {
			defer func() { <-free }()
			do(i)
		})
	}
	all.Wait()
}
