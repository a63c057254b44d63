package node

import (
	"context"
	"net/url"

	"github.com/gowarren/warren/config/driver"
	"github.com/gowarren/warren/config/etcdconfig"
	"github.com/gowarren/warren/config/fileconfig"
	"github.com/gowarren/warren/events/amqpevents"
	eventsdriver "github.com/gowarren/warren/events/driver"
	"github.com/gowarren/warren/events/kafkaevents"
	"github.com/gowarren/warren/events/natsevents"
	"github.com/gowarren/warren/internal/openurl"
	lockdriver "github.com/gowarren/warren/lock/driver"
	"github.com/gowarren/warren/lock/etcdlock"
	"github.com/gowarren/warren/lock/redislock"
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

// OpenEvents opens the broker that a URL names.
func OpenEvents(ctx context.Context, raw string) (eventsdriver.Driver, error) {
	return openurl.Open(ctx, "events", raw, map[string]func(context.Context, *url.URL) (eventsdriver.Driver, error){
		"nats": natsevents.Open, "tls": natsevents.Open,
		"amqp": amqpevents.Open, "amqps": amqpevents.Open,
		"kafka": kafkaevents.Open, "kafkas": kafkaevents.Open,
	})
}

// OpenLocks opens the driver that a URL of locks names.
func OpenLocks(ctx context.Context, raw string) (lockdriver.Driver, error) {
	return openurl.Open(ctx, "locks", raw, map[string]func(context.Context, *url.URL) (lockdriver.Driver, error){
		"etcd":  etcdlock.Open,
		"redis": redislock.Open, "rediss": redislock.Open,
	})
}
