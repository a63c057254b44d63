// Package catalog is the work that every contestant does: it answers with a
// product out of memory.
package catalog

import (
	"context"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	catalogv1 "github.com/gowarren/warren/bench/api/bench/catalog/v1"
)

// Size is how many products there are.
const Size = 1000

// ID is the id of the nth product, which wraps around.
func ID(n int) string { return fmt.Sprintf("p-%04d", n%Size) }

// Service is the implementation of the contract that all contestants serve.
type Service struct {
	catalogv1.UnimplementedCatalogServiceServer
	products map[string]*catalogv1.Product
}

// New returns the service with all products.
func New() *Service {
	s := &Service{products: make(map[string]*catalogv1.Product, Size)}
	for n := range Size {
		p := product(n)
		s.products[p.Id] = p
	}
	return s
}

func product(n int) *catalogv1.Product {
	return &catalogv1.Product{
		Id:          ID(n),
		Sku:         fmt.Sprintf("SKU-%06d", 851230+n),
		Name:        fmt.Sprintf("White hanging heart lantern no. %d", n),
		Description: "A lantern of white metal for one candle, with a ring to hang it up; 21 cm high, for the house and the garden.",
		Category:    "Home and garden",
		Currency:    "GBP",
		Price:       int64(255 + n),
		Stock:       int32(1 + n%97),
		Rating:      3.5 + float64(n%3)/2,
		Tags:        []string{"lantern", "white", "gift"},
	}
}

// GetProduct returns one product.
func (s *Service) GetProduct(_ context.Context, r *catalogv1.GetProductRequest) (*catalogv1.Product, error) {
	if p, ok := s.products[r.GetId()]; ok {
		return p, nil
	}
	return nil, status.Errorf(codes.NotFound, "there is no product %s", r.GetId())
}

// GetMemberProduct does the same; who may call it is not the work.
func (s *Service) GetMemberProduct(ctx context.Context, r *catalogv1.GetProductRequest) (*catalogv1.Product, error) {
	return s.GetProduct(ctx, r)
}
