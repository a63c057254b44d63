package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/gowarren/warren/auth"
	cartv1 "github.com/gowarren/warren/shop/api/shop/cart/v1"
)

// service implements the contract. What the contract says (who may call, what
// is valid, how long it may take) is enforced before a method here is called.
type service struct {
	cartv1.UnimplementedCartServiceServer
	carts    *carts
	prices   *prices
	settings *settings
	log      *slog.Logger
	now      func() time.Time
}

// caller is the user who calls.
func caller(ctx context.Context) owner { return user(auth.FromContext(ctx).Subject) }

// shown is the cart at today's prices.
func (s *service) shown(ctx context.Context, c cart) *cartv1.Cart {
	return c.message(s.prices.of(ctx, c.lines))
}

func (s *service) GetCart(ctx context.Context, _ *cartv1.GetCartRequest) (*cartv1.Cart, error) {
	c, err := s.carts.read(ctx, caller(ctx))
	if err != nil {
		return nil, err
	}
	return s.shown(ctx, c), nil
}

func (s *service) ReadVisitorCart(ctx context.Context, req *cartv1.ReadVisitorCartRequest) (*cartv1.Cart, error) {
	c, err := s.carts.read(ctx, visitor(req.GetCartToken()))
	if err != nil {
		return nil, err
	}
	if c.version == 0 {
		return nil, noCart()
	}
	return s.shown(ctx, c), nil
}

func (s *service) PutCart(ctx context.Context, req *cartv1.PutCartRequest) (*cartv1.Cart, error) {
	lines, err := tidyLines(req.GetLines())
	if err != nil {
		return nil, err
	}
	quotes := s.prices.of(ctx, lines)
	for i, q := range quotes {
		if q.gone() {
			return nil, refuse(cartv1.Reason_UNKNOWN_PRODUCT, fieldOf(i), "the catalogue has no product %s", lines[i].sku)
		}
	}
	who, token := caller(ctx), ""
	if auth.FromContext(ctx).Anonymous() {
		if who, token, err = s.visitor(ctx, req.GetCartToken()); err != nil {
			return nil, err
		}
	}
	c, err := s.carts.put(ctx, who, req.GetVersion(), lines, s.now())
	if err != nil {
		return nil, err
	}
	out := c.message(quotes)
	out.CartToken = token
	return out, nil
}

// visitor returns whose cart is put, of somebody who is not signed in. Without a
// token he gets one; tokens that were not given out here open nothing.
func (s *service) visitor(ctx context.Context, token string) (who owner, fresh string, err error) {
	if token == "" {
		who, fresh = newVisitor()
		return who, fresh, nil
	}
	who = visitor(token)
	c, err := s.carts.read(ctx, who)
	if err == nil && c.version == 0 {
		err = noCart()
	}
	return who, "", err
}

func (s *service) DeleteCart(ctx context.Context, req *cartv1.DeleteCartRequest) (*cartv1.DeleteCartResponse, error) {
	return &cartv1.DeleteCartResponse{}, s.carts.empty(ctx, caller(ctx), req.GetVersion(), s.now())
}

func (s *service) MergeCart(ctx context.Context, req *cartv1.MergeCartRequest) (*cartv1.MergeCartResponse, error) {
	c, leftOut, err := s.carts.merge(ctx, visitor(req.GetCartToken()), caller(ctx), s.now())
	if err != nil {
		return nil, err
	}
	out := &cartv1.MergeCartResponse{Cart: s.shown(ctx, c)}
	for _, l := range leftOut {
		out.LeftOut = append(out.LeftOut, &cartv1.Line{Sku: l.sku, Quantity: l.quantity})
	}
	return out, nil
}

const (
	cleanPeriod = 10 * time.Minute
	cleanBatch  = 1000
)

// clean removes what visitors have left behind, until its context ends.
func (s *service) clean(ctx context.Context) error {
	tick := time.NewTicker(cleanPeriod)
	defer tick.Stop()
	for {
		n, err := s.carts.clean(ctx, s.now().Add(-s.settings.visitorKeep.Get()), cleanBatch)
		if n > 0 {
			s.log.InfoContext(ctx, "old carts of visitors removed", "count", n)
		}
		if err != nil {
			return err
		}
		if n == cleanBatch {
			continue
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}
