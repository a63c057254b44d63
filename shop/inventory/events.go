package main

import (
	"context"
	"fmt"

	"github.com/gowarren/warren/events"
	inventoryv1 "github.com/gowarren/warren/shop/api/shop/inventory/v1"
	"github.com/gowarren/warren/store"
)

// tell publishes the stock of products, at most so many, that has changed since
// it was told last, and returns of how many. A product that is sold a thousand
// times a second is so told once per period, and who sells it writes no event.
func (s *stocks) tell(ctx context.Context, limit int) (int, error) {
	skus, err := store.Collect(ctx, s.db, scanText, `SELECT sku FROM stock WHERE untold = TRUE ORDER BY sku LIMIT ?`, limit)
	if err != nil {
		return 0, fmt.Errorf("find stock that has changed: %w", err)
	}
	if len(skus) == 0 {
		return 0, nil
	}
	err = s.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		changed, err := locked(ctx, tx, skus)
		if err != nil {
			return err
		}
		for _, sku := range skus {
			if err := tellOne(ctx, tx, changed[sku]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("tell of stock that has changed: %w", err)
	}
	return len(skus), nil
}

func tellOne(ctx context.Context, tx *store.Tx, s stock) error {
	if s.told == s.version {
		return nil // somebody else was faster
	}
	if _, err := tx.Exec(ctx, `UPDATE stock SET told = version, untold = FALSE WHERE sku = ?`, s.sku); err != nil {
		return err
	}
	return events.Publish(ctx, tx, &inventoryv1.StockChanged{Sku: s.sku, Available: s.available(), Version: s.version})
}
