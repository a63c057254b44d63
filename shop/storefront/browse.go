package main

import (
	"errors"
	"hash/fnv"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	catalogv1 "github.com/gowarren/warren/shop/api/shop/catalog/v1"
	"github.com/gowarren/warren/shop/storefront/internal/picture"
)

// pageSize is how many products a page shows: whole rows of two, three and four.
const pageSize = 24

// currency is what the filters' amounts are in.
const currency = "GBP"

// shelf is some products under a heading.
type shelf struct {
	Heading  string
	Products []*catalogv1.Product
}

// home shows what the day has chosen: the same for everybody until tomorrow.
func (v *visit) home() error {
	page, err := v.front.of(v.ctx, v.now().UTC().Format(time.DateOnly))
	if err != nil {
		return err
	}
	return v.show(200, "home", page)
}

// varied puts what looks different first: nobody wants three umbrellas beside
// one another.
func varied(products []*catalogv1.Product) []*catalogv1.Product {
	times := map[string]int{}
	rank := make(map[*catalogv1.Product]int, len(products))
	for _, p := range products {
		motif := picture.Motif(p.GetName())
		rank[p] = times[motif]
		times[motif]++
	}
	slices.SortStableFunc(products, func(a, b *catalogv1.Product) int { return rank[a] - rank[b] })
	return products
}

// byDay puts things into an order that is another one every day.
func byDay[T any](all []T, day string, name func(T) string) []T {
	all = slices.Clone(all)
	chance := func(one T) uint64 {
		h := fnv.New64a()
		_, _ = h.Write([]byte(day + " " + name(one)))
		return h.Sum64()
	}
	slices.SortFunc(all, func(a, b T) int {
		if chance(a) < chance(b) {
			return -1
		}
		return 1
	})
	return all
}

// browse is products by category and price.
type browse struct {
	Categories []*catalogv1.Category
	Category   string
	Total      int32 // in the category, whatever they cost
	Min, Max   string
	Problem    string // with what was filtered by
	Sort       string
	Products   []*catalogv1.Product
	Stock      map[string]stock
	Next       string
	First      string // "" on the first page
	Clear      string
}

func (b browse) title() string {
	if b.Category == "" {
		return "Everything"
	}
	return b.Category
}

func (v *visit) browse() error {
	query := v.r.URL.Query()
	page := browse{Category: query.Get("category"), Min: strings.TrimSpace(query.Get("min")), Max: strings.TrimSpace(query.Get("max")), Sort: query.Get("sort")}
	page.Clear = "/browse"
	if page.Category != "" {
		page.Clear = categoryPath(page.Category)
	}
	ask := url.Values{"page_size": {strconv.Itoa(pageSize)}, "page_token": {query.Get("after")}, "category": {page.Category}}
	page.Problem = pricesAsked(ask, page.Min, page.Max)
	if order, ok := sortOrders[page.Sort]; ok {
		ask.Set("sort", order.String())
	} else {
		page.Sort = ""
	}
	var err error
	if page.Categories, err = v.api.categories(v.ctx); err != nil {
		return err
	}
	for _, c := range page.Categories {
		if page.Category == "" || c.GetName() == page.Category {
			page.Total += c.GetProductCount()
		}
	}
	out, err := v.api.list(v.ctx, ask)
	if because(err, "BAD_PAGE_TOKEN") { // of another sort, or of long ago: from the beginning
		ask.Del("page_token")
		out, err = v.api.list(v.ctx, ask)
	}
	if err != nil {
		return err
	}
	page.Products = out.GetProducts()
	page.Stock = v.stockOf(skus(page.Products))
	page.First, page.Next = pages(v.r.URL, query, out.GetNextPageToken())
	return v.show(200, "browse", page)
}

// sortOrders are the orders that can be chosen.
var sortOrders = map[string]catalogv1.Sort{
	"price": catalogv1.Sort_BY_PRICE, "price-down": catalogv1.Sort_BY_PRICE_DOWN, "name": catalogv1.Sort_BY_NAME,
}

// pricesAsked adds the prices to what is asked for, and says what is wrong with them.
func pricesAsked(ask url.Values, least, most string) string {
	low, errLow := parseAmount(least, currency)
	high, errHigh := parseAmount(most, currency)
	switch {
	case least != "" && errLow != nil, most != "" && errHigh != nil:
		return "Prices look like 5 or 12.50; we left the filter out."
	case least != "" && most != "" && low > high:
		return "The lowest price is above the highest; we left the filter out."
	}
	if least != "" {
		ask.Set("min_price", strconv.FormatInt(low, 10))
	}
	if most != "" {
		ask.Set("max_price", strconv.FormatInt(high, 10))
	}
	return ""
}

// pages returns where the first and the next page of a list are, if they are
// not this one.
func pages(at *url.URL, query url.Values, token string) (first, next string) {
	if query.Get("after") != "" {
		query.Del("after")
		first = at.Path + "?" + query.Encode()
	}
	if token != "" {
		query.Set("after", token)
		next = at.Path + "?" + query.Encode()
	}
	return strings.TrimSuffix(first, "?"), next
}

func skus(products []*catalogv1.Product) []string {
	out := make([]string, len(products))
	for i, p := range products {
		out[i] = p.GetSku()
	}
	return out
}

// search is what was found for some words.
type search struct {
	Words       string
	Products    []*catalogv1.Product
	Stock       map[string]stock
	Next, First string
	// Suggestions are searches that find something where this one does not.
	Suggestions []string
	Categories  []*catalogv1.Category
}

func (s search) title() string {
	if s.Words == "" {
		return "Search"
	}
	return "“" + s.Words + "”"
}

// maxWords is the longest search.
const maxWords = 200

func (v *visit) search() error {
	query := v.r.URL.Query()
	page := search{Words: strings.Join(strings.Fields(query.Get("q")), " ")}
	if len(page.Words) > maxWords {
		page.Words = strings.ToValidUTF8(page.Words[:maxWords], "")
	}
	if page.Words != "" {
		out, err := v.find(page.Words, query.Get("after"), pageSize)
		if because(err, "BAD_PAGE_TOKEN") {
			out, err = v.find(page.Words, "", pageSize)
		}
		if err != nil {
			return err
		}
		page.Products = out.GetProducts()
		page.First, page.Next = pages(v.r.URL, query, out.GetNextPageToken())
	}
	if len(page.Products) == 0 {
		page.Suggestions = v.suggestions(page.Words)
		page.Categories, _ = v.api.categories(v.ctx) // without them the page still says what matters
	}
	page.Stock = v.stockOf(skus(page.Products))
	return v.show(200, "search", page)
}

func (v *visit) find(words, after string, size int) (*catalogv1.SearchProductsResponse, error) {
	out := &catalogv1.SearchProductsResponse{}
	query := url.Values{"query": {words}, "page_token": {after}, "page_size": {strconv.Itoa(size)}}
	err := v.api.do(v.ctx, call{path: "/v1/products:search", query: query, out: out})
	return out, err
}

// suggestions are single words of a search that find something alone, and the
// same words without an ending.
func (v *visit) suggestions(words string) []string {
	const most = 3
	var out []string
	for word := range strings.FieldsSeq(words) {
		for _, form := range []string{word, strings.TrimSuffix(word, "s")} {
			if len(out) == most || form == words || len(form) < 3 || slices.Contains(out, form) {
				continue
			}
			if found, err := v.find(form, "", 1); err == nil && len(found.GetProducts()) > 0 {
				out = append(out, form)
				break
			}
		}
	}
	return out
}

// nowhere answers for pages that don't exist.
func (v *visit) nowhere() error {
	return &problem{Status: 404, Reason: "NO_PAGE", cause: errors.New("there is no such page")}
}
