package rpc

import "context"

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
