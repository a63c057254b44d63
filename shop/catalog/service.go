package main

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"strconv"
	"time"

	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/rpc"
	catalogv1 "github.com/gowarren/warren/shop/api/shop/catalog/v1"
)

// service implements the contract. What the contract says (who may call, what
// is valid, how long it may take) is enforced before a method here is called.
type service struct {
	catalogv1.UnimplementedCatalogServiceServer
	products *products
	hot      *hot
	log      *slog.Logger
	now      func() time.Time
	rows     *config.Value[int] // of an import
}

func (s *service) GetProduct(ctx context.Context, req *catalogv1.GetProductRequest) (*catalogv1.Product, error) {
	sku, err := tidySKU(req.GetSku())
	if err != nil {
		return nil, err
	}
	p, err := s.hot.product(ctx, sku)
	if err != nil {
		return nil, explain(err, sku)
	}
	return p, nil
}

// explain gives errNoProduct the contract's reason.
func explain(err error, sku string) error {
	if errors.Is(err, errNoProduct) {
		return rpc.Errorf(catalogv1.Reason_PRODUCT_NOT_FOUND, "there is no product %s", sku)
	}
	return err
}

const (
	listPage, maxListPage     = 50, 200
	searchPage, maxSearchPage = 20, 100
)

func (s *service) ListProducts(ctx context.Context, req *catalogv1.ListProductsRequest) (*catalogv1.ListProductsResponse, error) {
	f := filter{category: req.GetCategory(), min: req.MinPrice, max: req.MaxPrice}
	if f.category != "" {
		var err error
		if f.category, err = tidyCategory(f.category); err != nil {
			return nil, err
		}
	}
	pages, err := s.products.pages(ctx)
	if err != nil {
		return nil, err
	}
	query, after := "list\n"+f.String(), ""
	if token := req.GetPageToken(); token != "" {
		if err := pages.read(token, query, &after); err != nil {
			return nil, err
		}
	}
	size := min(cmp.Or(int(req.GetPageSize()), listPage), maxListPage)
	page, err := s.hot.list(ctx, f, after, size+1) // one more tells whether there is a next page
	if err != nil {
		return nil, err
	}
	resp := &catalogv1.ListProductsResponse{Products: page}
	if len(page) > size {
		resp.Products = page[:size]
		resp.NextPageToken, err = pages.token(query, page[size-1].GetSku())
	}
	return resp, err
}

func (s *service) SearchProducts(ctx context.Context, req *catalogv1.SearchProductsRequest) (*catalogv1.SearchProductsResponse, error) {
	pages, err := s.products.pages(ctx)
	if err != nil {
		return nil, err
	}
	query := "search\n" + strconv.Quote(req.GetQuery())
	var after *position
	if token := req.GetPageToken(); token != "" {
		after = &position{}
		if err := pages.read(token, query, after); err != nil {
			return nil, err
		}
	}
	size := min(cmp.Or(int(req.GetPageSize()), searchPage), maxSearchPage)
	matches, err := s.products.search(ctx, req.GetQuery(), after, size+1)
	if err != nil {
		return nil, err
	}
	resp := &catalogv1.SearchProductsResponse{}
	if len(matches) > size {
		matches = matches[:size]
		last := matches[size-1]
		if resp.NextPageToken, err = pages.token(query, position{Score: last.score, SKU: last.sku}); err != nil {
			return nil, err
		}
	}
	for _, m := range matches {
		resp.Products = append(resp.Products, m.message())
	}
	return resp, nil
}

func (s *service) ListCategories(ctx context.Context, _ *catalogv1.ListCategoriesRequest) (*catalogv1.ListCategoriesResponse, error) {
	all, err := s.hot.allCategories(ctx)
	return &catalogv1.ListCategoriesResponse{Categories: all}, err
}
