package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing/fstest"

	"github.com/gowarren/warren/store"
)

// A service embeds its folder migrations instead.
var stockSchema = fstest.MapFS{
	"migrations/0001_stock.sql": &fstest.MapFile{Data: []byte(
		`CREATE TABLE stock (sku VARCHAR(40) PRIMARY KEY, units BIGINT NOT NULL);`)},
}

var errTooFew = errors.New("too few in stock")

func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)

	db, err := store.Open(ctx, "sqlite:"+filepath.Join(dir, "stock.db"), store.Options{Name: "stock"})
	if err != nil {
		panic(err)
	}
	defer db.Close()
	if err := db.Migrate(ctx, stockSchema); err != nil {
		panic(err)
	}
	if _, err := db.Exec(ctx, `INSERT INTO stock (sku, units) VALUES (?, ?)`, "85123A", 5); err != nil {
		panic(err)
	}

	reserve := func(units int) error {
		return db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
			var there int
			if err := tx.QueryRow(ctx, `SELECT units FROM stock WHERE sku = ? FOR UPDATE`, "85123A").Scan(&there); err != nil {
				return err
			}
			if there < units {
				return errTooFew
			}
			_, err := tx.Exec(ctx, `UPDATE stock SET units = units - ? WHERE sku = ?`, units, "85123A")
			return err
		})
	}
	fmt.Println(reserve(3))
	fmt.Println(reserve(3))
	// Output:
	// <nil>
	// too few in stock
}

type product struct {
	sku   string
	units int64
}

// One function reads a product of a list, and the only one of a row.
func scanProduct(scan func(...any) error) (p product, err error) {
	err = scan(&p.sku, &p.units)
	return p, err
}

func ExampleCollect() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)

	db, err := store.Open(ctx, "sqlite:"+filepath.Join(dir, "stock.db"), store.Options{Name: "stock"})
	if err != nil {
		panic(err)
	}
	defer db.Close()
	if err := db.Migrate(ctx, stockSchema); err != nil {
		panic(err)
	}
	if _, err := db.Exec(ctx, `INSERT INTO stock (sku, units) VALUES (?, ?), (?, ?)`, "85123A", 5, "22423", 2); err != nil {
		panic(err)
	}

	all, err := store.Collect(ctx, db, scanProduct, `SELECT sku, units FROM stock WHERE units > ? ORDER BY sku`, 0)
	fmt.Println(all, err)
	one, err := scanProduct(db.QueryRow(ctx, `SELECT sku, units FROM stock WHERE sku = ?`, "22423").Scan)
	fmt.Println(one, err)
	// Output:
	// [{22423 2} {85123A 5}] <nil>
	// {22423 2} <nil>
}
