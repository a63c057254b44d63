package node

import (
	"context"
	"net/url"

	"github.com/gowarren/warren/config/driver"
	"github.com/gowarren/warren/config/etcdconfig"
	"github.com/gowarren/warren/config/fileconfig"
	"github.com/gowarren/warren/internal/openurl"
	registrydriver "github.com/gowarren/warren/registry/driver"
	"github.com/gowarren/warren/registry/etcdregistry"
	"github.com/gowarren/warren/registry/staticregistry"
)

// OpenRegistry opens the driver that a registry URL names. This file is the
// standard set: what is linked into every Warren process.
func OpenRegistry(ctx context.Context, raw string) (registrydriver.Driver, error) {
	return openurl.Open(ctx, "registry", raw, map[string]func(context.Context, *url.URL) (registrydriver.Driver, error){
		"etcd":   etcdregistry.Open,
		"static": staticregistry.Open,
	})
}

// OpenConfig opens the driver that a configuration centre's URL names.
func OpenConfig(ctx context.Context, raw string) (driver.Driver, error) {
	return openurl.Open(ctx, "configuration centre", raw, map[string]func(context.Context, *url.URL) (driver.Driver, error){
		"etcd": etcdconfig.Open,
		"file": fileconfig.Open,
	})
}
