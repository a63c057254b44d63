package etcdregistry_test

import (
	"context"
	"fmt"
	"net/url"

	"github.com/gowarren/warren/registry"
	"github.com/gowarren/warren/registry/etcdregistry"
)

func Example() {
	address, err := url.Parse("etcd://127.0.0.1:2379/shop?ttl=5s")
	if err != nil {
		fmt.Println(err)
		return
	}
	driver, err := etcdregistry.Open(context.Background(), address)
	if err != nil {
		fmt.Println(err)
		return
	}
	// Nothing waits for etcd: what is announced is registered when it is there.
	r := registry.New(driver, registry.Options{})
	defer r.Close()
	fmt.Println("stale:", r.Snapshot().Stale)
	// Output: stale: true
}
