package main

import (
	"context"

	"github.com/gowarren/warren/auth"
	catalogv1 "github.com/gowarren/warren/shop/api/shop/catalog/v1"
)

func (s *service) CreateProduct(ctx context.Context, req *catalogv1.CreateProductRequest) (*catalogv1.Product, error) {
	p, err := productOf(req).tidied()
	if err != nil {
		return nil, err
	}
	if p, err = s.products.create(ctx, p, s.now()); err != nil {
		return nil, err
	}
	s.changed(ctx, "created", p.sku)
	return p.message(), nil
}

func (s *service) UpdateProduct(ctx context.Context, req *catalogv1.UpdateProductRequest) (*catalogv1.Product, error) {
	wanted := productOf(req.GetProduct())
	sku, err := tidySKU(wanted.sku)
	if err != nil {
		return nil, err
	}
	fields, err := changes(req.GetUpdateMask().GetPaths(), wanted)
	if err != nil {
		return nil, err
	}
	p, err := s.products.update(ctx, sku, req.GetProduct().GetVersion(), s.now(), func(old product) (product, error) {
		return old.with(wanted, fields).tidied()
	})
	if err != nil {
		return nil, explain(err, sku)
	}
	s.changed(ctx, "updated", p.sku)
	return p.message(), nil
}

func (s *service) DeleteProduct(ctx context.Context, req *catalogv1.DeleteProductRequest) (*catalogv1.DeleteProductResponse, error) {
	sku, err := tidySKU(req.GetSku())
	if err != nil {
		return nil, err
	}
	if err := s.products.remove(ctx, sku, req.GetVersion()); err != nil {
		return nil, explain(err, sku)
	}
	s.changed(ctx, "deleted", sku)
	return &catalogv1.DeleteProductResponse{}, nil
}

// changed follows a change: all instances forget the old product, and the log
// says who did it.
func (s *service) changed(ctx context.Context, what, sku string) {
	s.forget(ctx, sku)
	s.log.InfoContext(ctx, "product "+what, "sku", sku, "by", auth.FromContext(ctx).Subject)
}

func (s *service) forget(ctx context.Context, skus ...string) {
	if err := s.hot.changed(ctx, skus...); err != nil {
		s.log.WarnContext(ctx, "other instances may show old products until their caches expire", "error", err)
	}
}
