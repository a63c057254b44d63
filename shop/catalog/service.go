package main

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"strconv"
	"time"

	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/page"
	"github.com/gowarren/warren/rpc"
	catalogv1 "github.com/gowarren/warren/shop/api/shop/catalog/v1"
)

// service implements the contract. What the contract says (who may call, what
// is valid, how long it may take) is enforced before a method here is called.
type service struct {
	catalogv1.UnimplementedCatalogServiceServer
	products *products
	hot      *hot
	pages    *page.Tokens
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

func (s *service) BatchGetProducts(ctx context.Context, req *catalogv1.BatchGetProductsRequest) (*catalogv1.BatchGetProductsResponse, error) {
	resp, seen := &catalogv1.BatchGetProductsResponse{}, map[string]bool{}
	for _, code := range req.GetSkus() {
		sku, err := tidySKU(code)
		if err != nil {
			return nil, err
		}
		if seen[sku] {
			continue
		}
		seen[sku] = true
		p, err := s.hot.product(ctx, sku)
		if errors.Is(err, errNoProduct) {
			continue
		}
		if err != nil {
			return nil, err
		}
		resp.Products = append(resp.Products, p)
	}
	return resp, nil
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
	f := filter{category: req.GetCategory(), min: req.MinPrice, max: req.MaxPrice, sort: req.GetSort()}
	if f.category != "" {
		var err error
		if f.category, err = tidyCategory(f.category); err != nil {
			return nil, err
		}
	}
	query, after := "list\n"+f.String(), ""
	if err := s.pages.Read(ctx, req.GetPageToken(), query, &after); err != nil {
		return nil, err
	}
	size := min(cmp.Or(int(req.GetPageSize()), listPage), maxListPage)
	list, err := s.hot.list(ctx, f, after, size+1) // one more tells whether there is a next page
	if err != nil {
		return nil, err
	}
	list, token, err := page.Cut(ctx, s.pages, query, list, size, f.position)
	return &catalogv1.ListProductsResponse{Products: list, NextPageToken: token}, err
}

func (s *service) SearchProducts(ctx context.Context, req *catalogv1.SearchProductsRequest) (*catalogv1.SearchProductsResponse, error) {
	query := "search\n" + strconv.Quote(req.GetQuery())
	var after *position
	if err := s.pages.Read(ctx, req.GetPageToken(), query, &after); err != nil {
		return nil, err
	}
	size := min(cmp.Or(int(req.GetPageSize()), searchPage), maxSearchPage)
	matches, err := s.products.search(ctx, req.GetQuery(), after, size+1)
	if err != nil {
		return nil, err
	}
	matches, token, err := page.Cut(ctx, s.pages, query, matches, size, func(last found) position {
		return position{Score: last.score, SKU: last.sku}
	})
	if err != nil {
		return nil, err
	}
	resp := &catalogv1.SearchProductsResponse{NextPageToken: token}
	for _, m := range matches {
		resp.Products = append(resp.Products, m.message())
	}
	return resp, nil
}

func (s *service) ListCategories(ctx context.Context, _ *catalogv1.ListCategoriesRequest) (*catalogv1.ListCategoriesResponse, error) {
	all, err := s.hot.allCategories(ctx)
	return &catalogv1.ListCategoriesResponse{Categories: all}, err
}
