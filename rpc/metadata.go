package rpc

import (
	"context"
	"net/netip"

	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/gowarren/warren/auth"
)

// The names of the metadata that Warren adds to calls, beside the trace.
const (
	// MetadataIdempotencyKey makes repeats of a call have one effect.
	MetadataIdempotencyKey = "idempotency-key"
	// MetadataAttempt counts the attempts of a call, from the second on. Who
	// receives it does not retry what it calls in turn: retries of retries
	// multiply.
	MetadataAttempt = "warren-attempt"
	// MetadataService carries the signed name of the calling service.
	MetadataService = "warren-service"
	// MetadataAuthorization carries the user's bearer token.
	MetadataAuthorization = "authorization"
	// MetadataRequestID identifies a request from the edge to the last hop.
	MetadataRequestID = "x-request-id"
	// MetadataClientAddress is the address of the client outside the system.
	MetadataClientAddress = "warren-client-address"
	// MetadataKey is the key by which a call sticks to an instance.
	MetadataKey = "warren-key"
)

// metadataPushback is how a gRPC server tells when, or whether, to retry.
const metadataPushback = "grpc-retry-pushback-ms"

type keyContext struct{}

// WithKey returns a context whose calls stick to one instance per key, as long
// as the balancer is the consistent hash and the instance is there and not
// overloaded.
func WithKey(ctx context.Context, key string) context.Context {
	return context.WithValue(ctx, keyContext{}, key)
}

// keyOf returns the key of WithKey, or "".
func keyOf(ctx context.Context) string {
	key, _ := ctx.Value(keyContext{}).(string)
	return key
}

type serviceContext struct{}

// ToService returns a context whose calls go to instances of the service with
// the name: for contracts that several services serve, each about itself.
func ToService(ctx context.Context, service string) context.Context {
	return context.WithValue(ctx, serviceContext{}, service)
}

// serviceOf returns the service of ToService, or "" for any.
func serviceOf(ctx context.Context) string {
	service, _ := ctx.Value(serviceContext{}).(string)
	return service
}

// ClientAddress returns the address of the client outside the system whose
// request a handler serves, or the zero Addr where it is not known. What the
// call says of it is believed only when a service of the system made the call,
// as the gateway does; of anybody else it is where the connection comes from.
func ClientAddress(ctx context.Context) netip.Addr {
	if auth.FromContext(ctx).Service != "" {
		said := metadata.ValueFromIncomingContext(ctx, MetadataClientAddress)
		if len(said) != 1 {
			return netip.Addr{}
		}
		addr, _ := netip.ParseAddr(said[0])
		return addr.Unmap()
	}
	p, ok := peer.FromContext(ctx)
	if !ok || p.Addr == nil {
		return netip.Addr{}
	}
	from, _ := netip.ParseAddrPort(p.Addr.String()) // a socket of this machine has none
	return from.Addr().Unmap()
}
