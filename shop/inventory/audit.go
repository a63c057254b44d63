package main

import (
	"context"
	"fmt"

	inventoryv1 "github.com/gowarren/warren/shop/api/shop/inventory/v1"
	"github.com/gowarren/warren/store"
)

const maxDiscrepancies = 100

// account is the stock of a product beside what it should be.
type account struct {
	stock
	sumOnHand, sumReserved int64 // of the movements
	count, last            int64 // of the movements
	promised               int64 // by reservations that hold
}

// problem tells what is wrong with an account; empty: nothing.
func (a account) problem() string {
	switch {
	case a.onHand < 0 || a.reserved < 0 || a.available() < 0:
		return fmt.Sprintf("on hand %d, reserved %d", a.onHand, a.reserved)
	case a.onHand != a.sumOnHand:
		return fmt.Sprintf("on hand %d, but the movements sum up to %d", a.onHand, a.sumOnHand)
	case a.reserved != a.sumReserved:
		return fmt.Sprintf("reserved %d, but the movements sum up to %d", a.reserved, a.sumReserved)
	case a.reserved != a.promised:
		return fmt.Sprintf("reserved %d, but the reservations hold %d", a.reserved, a.promised)
	case a.count != a.version || a.last != a.version:
		return fmt.Sprintf("version %d, but there are %d movements up to %d", a.version, a.count, a.last)
	}
	return ""
}

// audit compares all stock with its movements and reservations, as they are at
// one moment.
func (s *stocks) audit(ctx context.Context) (*inventoryv1.AuditStockResponse, error) {
	out := &inventoryv1.AuditStockResponse{}
	err := s.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		out.Reset() // the transaction may be run again
		promised, err := store.Collect(ctx, tx, scanLine, `SELECT l.sku, SUM(l.quantity) FROM reservations r
			JOIN reservation_lines l ON l.reservation_id = r.id WHERE r.state = ? GROUP BY l.sku`, int64(held))
		if err != nil {
			return err
		}
		bySKU := map[string]int64{}
		for _, l := range promised {
			bySKU[l.sku] = l.quantity
		}
		accounts, err := store.Collect(ctx, tx, scanAccount, `SELECT s.sku, s.on_hand, s.reserved, s.version,
			COALESCE(SUM(m.on_hand), 0), COALESCE(SUM(m.reserved), 0), COUNT(m.version), COALESCE(MAX(m.version), 0)
			FROM stock s LEFT JOIN movements m ON m.sku = s.sku GROUP BY s.sku, s.on_hand, s.reserved, s.version ORDER BY s.sku`)
		if err != nil {
			return err
		}
		for _, a := range accounts {
			a.promised = bySKU[a.sku]
			out.Products, out.Movements = out.GetProducts()+1, out.GetMovements()+a.count
			if problem := a.problem(); problem != "" && len(out.GetDiscrepancies()) < maxDiscrepancies {
				out.Discrepancies = append(out.Discrepancies, &inventoryv1.AuditStockResponse_Discrepancy{Sku: a.sku, Problem: problem})
			}
		}
		return nil
	}, store.ReadOnly)
	if err != nil {
		return nil, fmt.Errorf("audit stock: %w", err)
	}
	return out, nil
}

// oversold counts the products of which more is promised than there is. It is
// the part of the audit that is cheap enough to be asked all the time.
func (s *stocks) oversold(ctx context.Context) (int64, error) {
	var n int64
	err := s.db.QueryRow(ctx, `SELECT COUNT(*) FROM stock s LEFT JOIN (
			SELECT l.sku AS sku, SUM(l.quantity) AS quantity FROM reservations r
			JOIN reservation_lines l ON l.reservation_id = r.id WHERE r.state = ? GROUP BY l.sku
		) p ON p.sku = s.sku WHERE s.on_hand < 0 OR s.reserved > s.on_hand OR COALESCE(p.quantity, 0) > s.on_hand`, int64(held)).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count what is oversold: %w", err)
	}
	return n, nil
}

func scanAccount(scan func(...any) error) (account, error) {
	var a account
	err := scan(&a.sku, &a.onHand, &a.reserved, &a.version, &a.sumOnHand, &a.sumReserved, &a.count, &a.last)
	return a, err
}
