package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/gowarren/warren/config"
	catalogv1 "github.com/gowarren/warren/shop/api/shop/catalog/v1"
	inventoryv1 "github.com/gowarren/warren/shop/api/shop/inventory/v1"
	"github.com/gowarren/warren/store"
)

const (
	seedName = "catalogue"
	// seedPage is as much as the catalogue gives at once.
	seedPage = 200
	// seedRetry is how often a catalogue that is not there yet is asked.
	seedRetry = 500 * time.Millisecond
)

// seeding gives the catalogue its first stock, once in the life of the system:
// a product that staff adds later has none until somebody adjusts it.
type seeding struct {
	stocks  *stocks
	wanted  *config.Value[bool]
	catalog catalogv1.CatalogServiceClient
	log     *slog.Logger
	done    atomic.Bool
}

// run returns when there is nothing left to do.
func (s *seeding) run(ctx context.Context) error {
	for told := false; ; {
		err := s.try(ctx)
		if err == nil {
			s.done.Store(true)
			return nil
		}
		if !told && ctx.Err() == nil {
			s.log.InfoContext(ctx, "the first stock waits for the catalogue", "error", err)
			told = true
		}
		pause := time.NewTimer(seedRetry)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return nil
		}
	}
}

func (s *seeding) try(ctx context.Context) error {
	if !s.wanted.Get() {
		return nil
	}
	seeded, err := s.stocks.seeded(ctx, seedName)
	if err != nil || seeded {
		return err
	}
	var skus []string
	req := &catalogv1.ListProductsRequest{PageSize: seedPage}
	for {
		part, err := s.catalog.ListProducts(ctx, req)
		if err != nil {
			return fmt.Errorf("ask for the products: %w", err)
		}
		for _, p := range part.GetProducts() {
			skus = append(skus, p.GetSku())
		}
		if req.PageToken = part.GetNextPageToken(); req.GetPageToken() == "" {
			break
		}
	}
	if err := s.stocks.seed(ctx, seedName, skus, time.Now()); err != nil {
		return err
	}
	s.log.InfoContext(ctx, "the catalogue has its first stock", "products", len(skus))
	return nil
}

// seeded reports whether somebody has done it.
func (s *stocks) seeded(ctx context.Context, name string) (bool, error) {
	var products int64
	err := s.db.QueryRow(ctx, `SELECT products FROM seeds WHERE name = ?`, name).Scan(&products)
	if errors.Is(err, store.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for the first stock: %w", err)
	}
	return true, nil
}

// seed gives products of which nothing ever was there their first stock. Of
// several instances that start together one does it.
func (s *stocks) seed(ctx context.Context, name string, skus []string, now time.Time) error {
	skus = slices.Clone(skus)
	slices.Sort(skus)
	err := s.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO seeds (name, products, create_time) VALUES (?, ?, ?)`, name, len(skus), now)
		if err != nil {
			return err
		}
		for part := range slices.Chunk(slices.Compact(skus), recordAtOnce) {
			if err := seedPart(ctx, tx, part, now); err != nil {
				return err
			}
		}
		return nil
	})
	if errors.Is(err, store.ErrConflict) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("make the first stock: %w", err)
	}
	return nil
}

func seedPart(ctx context.Context, tx *store.Tx, skus []string, now time.Time) error {
	if err := create(ctx, tx, now, skus...); err != nil {
		return err
	}
	there, err := locked(ctx, tx, skus)
	if err != nil {
		return err
	}
	var lines []line
	for _, sku := range skus {
		if there[sku].version == 0 {
			lines = append(lines, line{sku, firstStock(sku)})
		}
	}
	return move(ctx, tx, moved(inventoryv1.MovementKind_INITIAL, seedName, lines), now)
}
