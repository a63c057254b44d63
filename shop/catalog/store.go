package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/gowarren/warren/cache"
	"github.com/gowarren/warren/rpc"
	catalogv1 "github.com/gowarren/warren/shop/api/shop/catalog/v1"
	"github.com/gowarren/warren/store"
)

//go:embed migrations/*.sql
var migrations embed.FS

// errNoProduct says that there is no product of that code, so that caches
// remember it.
var errNoProduct = fmt.Errorf("product %w", cache.ErrNotFound)

// products are the products in the database.
type products struct{ db *store.DB }

func newProducts(db *store.DB) *products { return &products{db: db} }

const columns = `sku, name, description, category, price_units, currency, version, create_time, update_time`

func scanProduct(scan func(...any) error) (product, error) {
	var p product
	err := scan(&p.sku, &p.name, &p.description, &p.category, &p.price.units, &p.price.currency, &p.version, &p.created, &p.updated)
	return p, err
}

// get returns one product, or errNoProduct.
func (s *products) get(ctx context.Context, sku string) (product, error) {
	p, err := scanProduct(s.db.QueryRow(ctx, `SELECT `+columns+` FROM products WHERE sku = ?`, sku).Scan)
	if errors.Is(err, store.ErrNoRows) {
		return product{}, errNoProduct
	}
	if err != nil {
		return product{}, fmt.Errorf("get product %s: %w", sku, err)
	}
	return p, nil
}

// filter says which products a list has.
type filter struct {
	category string // empty: all
	min, max *int64 // minor units
	sort     catalogv1.Sort
}

// list returns the first products after a position, in the filter's order.
func (s *products) list(ctx context.Context, f filter, after string, limit int) ([]product, error) {
	begin, args, order := f.begin(after)
	where := []string{begin}
	if f.category != "" {
		where, args = append(where, `category = ?`), append(args, f.category)
	}
	if f.min != nil {
		where, args = append(where, `price_units >= ?`), append(args, *f.min)
	}
	if f.max != nil {
		where, args = append(where, `price_units <= ?`), append(args, *f.max)
	}
	query := `SELECT ` + columns + ` FROM products WHERE ` + strings.Join(where, ` AND `) + ` ORDER BY ` + order + ` LIMIT ?`
	out, err := store.Collect(ctx, s.db, scanProduct, query, append(args, limit)...)
	if err != nil {
		return nil, fmt.Errorf("list products: %w", err)
	}
	return out, nil
}

// category is a category with the number of its products.
type category struct {
	name  string
	count int64
}

func (s *products) categories(ctx context.Context) ([]category, error) {
	out, err := store.Collect(ctx, s.db, func(scan func(...any) error) (c category, err error) {
		err = scan(&c.name, &c.count)
		return c, err
	}, `SELECT category, COUNT(*) FROM products GROUP BY category ORDER BY category`)
	if err != nil {
		return nil, fmt.Errorf("list categories: %w", err)
	}
	return out, nil
}

// create adds a product, and returns it as it is kept.
func (s *products) create(ctx context.Context, p product, now time.Time) (product, error) {
	var kept product
	err := s.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		kept, err = insert(ctx, tx, p.fresh(now))
		return err
	})
	if errors.Is(err, store.ErrConflict) {
		return product{}, refuse(catalogv1.Reason_PRODUCT_EXISTS, "sku", "there is a product %s", p.sku)
	}
	if err != nil {
		return product{}, fmt.Errorf("create product %s: %w", p.sku, err)
	}
	return kept, nil
}

// fresh returns the product as it begins. Times are kept to the microsecond.
func (p product) fresh(now time.Time) product {
	p.version, p.created = 1, now.UTC().Truncate(time.Microsecond)
	p.updated = p.created
	return p
}

// insert adds a product. Where one of that code was removed before, the version
// goes on from its last one: whoever still holds an old number must not change
// the new product with it.
func insert(ctx context.Context, tx *store.Tx, p product) (product, error) {
	if err := insertRow(ctx, tx, p); err != nil {
		return product{}, err
	}
	// After the insertion, which has waited for a removal under way.
	var last int64
	err := tx.QueryRow(ctx, `SELECT version FROM removed_products WHERE sku = ?`, p.sku).Scan(&last)
	if errors.Is(err, store.ErrNoRows) {
		return p, nil
	}
	if err != nil {
		return product{}, err
	}
	p.version = last + 1
	_, err = tx.Exec(ctx, `UPDATE products SET version = ? WHERE sku = ?`, p.version, p.sku)
	return p, err
}

func insertRow(ctx context.Context, tx *store.Tx, p product) error {
	_, err := tx.Exec(ctx, `INSERT INTO products (`+columns+`, search_name, search_text) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		p.sku, p.name, p.description, p.category, p.price.units, p.price.currency, p.version, p.created, p.updated,
		p.searchName(), p.searchText())
	return err
}

// update changes a product that has the version given, with change, and
// returns it as it is kept.
func (s *products) update(ctx context.Context, sku string, version int64, now time.Time, change func(product) (product, error)) (product, error) {
	var out product
	err := s.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		old, err := locked(ctx, tx, sku)
		if err != nil {
			return err
		}
		if old.version != version {
			return versionConflict(sku, old.version, version)
		}
		if out, err = change(old); err != nil {
			return err
		}
		out, err = save(ctx, tx, old, out, now)
		return err
	})
	if err != nil {
		return product{}, fmt.Errorf("update product %s: %w", sku, err)
	}
	return out, nil
}

// locked reads a product that nobody else changes until the transaction ends.
func locked(ctx context.Context, tx *store.Tx, sku string) (product, error) {
	p, err := scanProduct(tx.QueryRow(ctx, `SELECT `+columns+` FROM products WHERE sku = ? FOR UPDATE`, sku).Scan)
	if errors.Is(err, store.ErrNoRows) {
		return product{}, errNoProduct
	}
	return p, err
}

func versionConflict(sku string, current, wanted int64) error {
	err := rpc.Errorf(catalogv1.Reason_VERSION_CONFLICT, "product %s has version %d, not %d: read it again", sku, current, wanted)
	err.Metadata = map[string]string{"version": strconv.FormatInt(current, 10)}
	return err
}

// save writes a changed product over its older self.
func save(ctx context.Context, tx *store.Tx, old, p product, now time.Time) (product, error) {
	p.sku, p.version, p.created, p.updated = old.sku, old.version+1, old.created, now.UTC().Truncate(time.Microsecond)
	n, err := tx.Exec(ctx, `UPDATE products SET name = ?, description = ?, category = ?, price_units = ?, currency = ?,
		version = ?, update_time = ?, search_name = ?, search_text = ? WHERE sku = ? AND version = ?`,
		p.name, p.description, p.category, p.price.units, p.price.currency, p.version, p.updated,
		p.searchName(), p.searchText(), p.sku, old.version)
	if err != nil {
		return product{}, err
	}
	if n != 1 { // the lock says this doesn't happen; the version says so too
		return product{}, versionConflict(p.sku, old.version+1, old.version)
	}
	return p, nil
}

// remove deletes a product that has the version given, or any if it is 0.
func (s *products) remove(ctx context.Context, sku string, version int64) error {
	err := s.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		old, err := locked(ctx, tx, sku)
		if err != nil {
			return err
		}
		if version != 0 && old.version != version {
			return versionConflict(sku, old.version, version)
		}
		if _, err := tx.Exec(ctx, `DELETE FROM products WHERE sku = ?`, sku); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO removed_products (sku, version) VALUES (?, ?)
			ON CONFLICT (sku) DO UPDATE SET version = excluded.version`, sku, old.version)
		return err
	})
	if err != nil {
		return fmt.Errorf("delete product %s: %w", sku, err)
	}
	return nil
}
