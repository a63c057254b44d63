package page_test

import (
	"context"
	"fmt"

	rpcv1 "github.com/gowarren/warren/api/warren/rpc/v1"
	"github.com/gowarren/warren/page"
)

func Example() {
	ctx := context.Background()
	pages := page.WithKey([]byte("a secret of all instances"), rpcv1.Reason_REASON_INVALID_REQUEST)
	skus := []string{"A1", "A2", "A3", "A4", "A5"}

	token := ""
	for {
		after := ""
		if err := pages.Read(ctx, token, "products", &after); err != nil {
			fmt.Println(err)
			return
		}
		var list []string
		for _, sku := range skus { // WHERE sku > after ORDER BY sku LIMIT 3
			if sku > after && len(list) < 3 {
				list = append(list, sku)
			}
		}
		list, next, err := page.Cut(ctx, pages, "products", list, 2, func(last string) string { return last })
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(list)
		if token = next; token == "" {
			return
		}
	}
	// Output:
	// [A1 A2]
	// [A3 A4]
	// [A5]
}
