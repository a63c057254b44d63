package main

import (
	"cmp"
	"context"
	"log/slog"
	"math"
	"time"

	"github.com/gowarren/warren/auth"
	"github.com/gowarren/warren/page"
	inventoryv1 "github.com/gowarren/warren/shop/api/shop/inventory/v1"
)

// service implements the contract. What the contract says (who may call, what
// is valid, how long it may take) is enforced before a method here is called.
type service struct {
	inventoryv1.UnimplementedInventoryServiceServer
	stocks   *stocks
	pages    *page.Tokens
	settings *settings
	log      *slog.Logger
	meter    *meter
	now      func() time.Time
}

func (s *service) GetStock(ctx context.Context, req *inventoryv1.GetStockRequest) (*inventoryv1.Stock, error) {
	sku, err := tidySKU(req.GetSku())
	if err != nil {
		return nil, err
	}
	found, err := s.stocks.get(ctx, sku)
	if err != nil {
		return nil, err
	}
	return found.message(), nil
}

const stockPage, movementPage = 100, 50

func (s *service) ListStock(ctx context.Context, req *inventoryv1.ListStockRequest) (*inventoryv1.ListStockResponse, error) {
	const query = "stock"
	after := ""
	if err := s.pages.Read(ctx, req.GetPageToken(), query, &after); err != nil {
		return nil, err
	}
	size := cmp.Or(int(req.GetPageSize()), stockPage)
	list, err := s.stocks.list(ctx, after, size+1) // one more tells whether there is a next page
	if err != nil {
		return nil, err
	}
	list, token, err := page.Cut(ctx, s.pages, query, list, size, func(last stock) string { return last.sku })
	resp := &inventoryv1.ListStockResponse{NextPageToken: token}
	for _, found := range list {
		resp.Stock = append(resp.Stock, found.message())
	}
	return resp, err
}

func (s *service) AdjustStock(ctx context.Context, req *inventoryv1.AdjustStockRequest) (*inventoryv1.Stock, error) {
	sku, err := tidySKU(req.GetSku())
	if err != nil {
		return nil, err
	}
	author := auth.FromContext(ctx).Subject
	after, err := s.stocks.adjust(ctx, movement{
		sku: sku, kind: inventoryv1.MovementKind_ADJUSTED, onHand: int64(req.GetDelta()), reason: req.GetReason(), author: author,
	}, s.now())
	if err != nil {
		return nil, err
	}
	s.log.InfoContext(ctx, "stock adjusted", "sku", sku, "delta", req.GetDelta(), "by", author)
	return after.message(), nil
}

func (s *service) ListMovements(ctx context.Context, req *inventoryv1.ListMovementsRequest) (*inventoryv1.ListMovementsResponse, error) {
	sku, err := tidySKU(req.GetSku())
	if err != nil {
		return nil, err
	}
	query, before := "movements\n"+sku, int64(math.MaxInt64)
	if err := s.pages.Read(ctx, req.GetPageToken(), query, &before); err != nil {
		return nil, err
	}
	if _, err := s.stocks.get(ctx, sku); err != nil {
		return nil, err
	}
	size := cmp.Or(int(req.GetPageSize()), movementPage)
	list, err := s.stocks.movements(ctx, sku, before, size+1)
	if err != nil {
		return nil, err
	}
	list, token, err := page.Cut(ctx, s.pages, query, list, size, func(last movement) int64 { return last.version })
	resp := &inventoryv1.ListMovementsResponse{NextPageToken: token}
	for _, m := range list {
		resp.Movements = append(resp.Movements, m.message())
	}
	return resp, err
}

func (s *service) AuditStock(ctx context.Context, _ *inventoryv1.AuditStockRequest) (*inventoryv1.AuditStockResponse, error) {
	return s.stocks.audit(ctx)
}

func (s *service) GetReservation(ctx context.Context, req *inventoryv1.GetReservationRequest) (*inventoryv1.Reservation, error) {
	r, err := s.stocks.reservation(ctx, req.GetReservationId())
	if err != nil {
		return nil, err
	}
	return r.message(), nil
}
