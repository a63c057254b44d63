package registrytest_test

import (
	"context"
	"fmt"

	"github.com/gowarren/warren/registry"
	"github.com/gowarren/warren/registry/registrytest"
)

// A hub stands for the registry of a whole system in the tests of what uses one.
func ExampleHub() {
	hub := registrytest.NewHub()
	caller := registry.New(hub.Open(), registry.Options{})
	defer caller.Close()
	if err := caller.Ready(context.Background()); err != nil {
		fmt.Println(err)
		return
	}
	changes, stop := caller.Watch()
	defer stop()
	err := hub.Open().Put(context.Background(), registry.Instance{
		ID: "catalog/1", Service: "catalog", Address: "127.0.0.1:1",
		Contracts: []string{"shop.catalog.v1.CatalogService"}, State: registry.Ready,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for len(caller.Contract("shop.catalog.v1.CatalogService")) == 0 {
		<-changes
	}
	fmt.Println(caller.Snapshot().Instances[0].ID)
	// Output: catalog/1
}
