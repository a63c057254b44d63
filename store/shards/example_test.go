package shards_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing/fstest"
	"time"

	"github.com/gowarren/warren/store"
	"github.com/gowarren/warren/store/shards"
)

// Orders lie with their customer, over two databases, and are found by either id.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "shards")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	urls := []string{"sqlite:" + filepath.Join(dir, "order-0.db"), "sqlite:" + filepath.Join(dir, "order-1.db")}
	all, err := shards.Open(ctx, urls, shards.Options{
		Migrations: fstest.MapFS{"0001_orders.sql": {Data: []byte(`CREATE TABLE orders (
			id VARCHAR(26) NOT NULL PRIMARY KEY, shard BIGINT NOT NULL, customer VARCHAR(64) NOT NULL);
			CREATE INDEX orders_shard ON orders (shard, id);`)}},
		Tables: []shards.Table{{Name: "orders", Shard: "shard", Key: []string{"id"}}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = all.Close() }()

	shard := all.Of("customer-7")
	id := shards.NewID(shard, time.Now())
	err = all.InTx(ctx, shard, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO orders (id, shard, customer) VALUES (?, ?, ?)`, id, shard, "customer-7")
		return err
	})
	if err != nil {
		fmt.Println(err)
		return
	}

	// To the other database, while others go on.
	if err := all.Move(ctx, shard, urls[1-shard%2], nil); err != nil {
		fmt.Println(err)
		return
	}

	found, err := all.OfID(id)
	if err != nil {
		fmt.Println(err)
		return
	}
	var customer string
	err = all.InTx(ctx, found, func(ctx context.Context, tx *store.Tx) error {
		return tx.QueryRow(ctx, `SELECT customer FROM orders WHERE id = ?`, id).Scan(&customer)
	}, store.ReadOnly)
	fmt.Println(customer, err)
	// Output: customer-7 <nil>
}
