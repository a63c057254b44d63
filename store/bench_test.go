package store_test

import (
	"context"
	"testing"

	"github.com/gowarren/warren/store"
	"github.com/gowarren/warren/store/storetest"
)

func benchmarked(b *testing.B, parameters string) *store.DB {
	db := open(b, storetest.SQLite(b)+parameters, store.Options{})
	ctx := context.Background()
	if _, err := db.Exec(ctx, `CREATE TABLE products (sku VARCHAR(40) PRIMARY KEY, price BIGINT NOT NULL)`); err != nil {
		b.Fatal(err)
	}
	if _, err := db.Exec(ctx, `INSERT INTO products (sku, price) VALUES (?, ?)`, "85123A", 255); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	return db
}

func BenchmarkHotRead(b *testing.B) {
	db := benchmarked(b, "")
	var price int64
	for b.Loop() {
		if err := db.QueryRow(context.Background(), `SELECT price FROM products WHERE sku = ?`, "85123A").Scan(&price); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkHotReadWithDeadline(b *testing.B) {
	db := benchmarked(b, "")
	ctx := b.Context()
	var price int64
	for b.Loop() {
		if err := db.QueryRow(ctx, `SELECT price FROM products WHERE sku = ?`, "85123A").Scan(&price); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkHotReadParallel(b *testing.B) {
	db := benchmarked(b, "")
	b.RunParallel(func(pb *testing.PB) {
		var price int64
		for pb.Next() {
			if err := db.QueryRow(context.Background(), `SELECT price FROM products WHERE sku = ?`, "85123A").Scan(&price); err != nil {
				b.Error(err)
			}
		}
	})
}

func smallTransaction(b *testing.B, db *store.DB) {
	for b.Loop() {
		err := db.InTx(context.Background(), func(ctx context.Context, tx *store.Tx) error {
			var price int64
			if err := tx.QueryRow(ctx, `SELECT price FROM products WHERE sku = ?`, "85123A").Scan(&price); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, `UPDATE products SET price = ? WHERE sku = ?`, price+1, "85123A")
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSmallTransactionFull(b *testing.B) { smallTransaction(b, benchmarked(b, "")) }

func BenchmarkSmallTransactionNormal(b *testing.B) {
	smallTransaction(b, benchmarked(b, "?synchronous=normal"))
}
