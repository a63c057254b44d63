package cache_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gowarren/warren/cache"
)

func Example() {
	names := map[string]string{"85123A": "white hanging heart"}
	products, err := cache.New(cache.Options[string, string]{Name: "products", TTL: time.Minute})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer products.Close()
	load := func(_ context.Context, sku string) (string, error) {
		fmt.Println("load", sku)
		if name, ok := names[sku]; ok {
			return name, nil
		}
		return "", fmt.Errorf("product %s: %w", sku, cache.ErrNotFound)
	}
	ctx := context.Background()
	for _, sku := range []string{"85123A", "85123A", "nothing", "nothing"} {
		name, err := products.Get(ctx, sku, load)
		fmt.Println(name, err, errors.Is(err, cache.ErrNotFound))
	}
	names["85123A"] = "red hanging heart"
	if err := products.Invalidate(ctx, "85123A"); err != nil {
		fmt.Println(err)
	}
	fmt.Println(products.Get(ctx, "85123A", load))
	// Output:
	// load 85123A
	// white hanging heart <nil> false
	// white hanging heart <nil> false
	// load nothing
	//  product nothing: not found true
	//  product nothing: not found true
	// load 85123A
	// red hanging heart <nil>
}
