package staticregistry_test

import (
	"context"
	"fmt"

	"github.com/gowarren/warren/registry"
	"github.com/gowarren/warren/registry/staticregistry"
)

func Example() {
	list, err := staticregistry.New(registry.Instance{
		Service: "catalog", Address: "10.0.0.7:9000", Contracts: []string{"shop.catalog.v1.CatalogService"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	r := registry.New(list, registry.Options{})
	defer r.Close()
	if err := r.Ready(context.Background()); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(r.Contract("shop.catalog.v1.CatalogService")[0].ID)
	// Output: catalog/1
}
