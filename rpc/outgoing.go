package rpc

import (
	"context"
	"strconv"

	"google.golang.org/grpc/metadata"

	"github.com/gowarren/warren/auth"
)

// outgoing returns ctx with the metadata that every call carries, and whether
// the call serves one that is itself a repeat.
func (c *Client) outgoing(ctx context.Context) (_ context.Context, repeated bool) {
	var buffer [12]string
	kv := buffer[:0]
	if caller := auth.FromContext(ctx); caller.Token != "" {
		kv = append(kv, MetadataAuthorization, "Bearer "+caller.Token)
	}
	if c.opts.ServiceKey != nil {
		// Without a token the other side answers as to a stranger, and says so.
		if token, err := c.opts.ServiceKey.Sign(c.opts.Service); err == nil {
			kv = append(kv, MetadataService, token)
		}
	}
	if id := metadata.ValueFromIncomingContext(ctx, MetadataRequestID); len(id) > 0 {
		kv = append(kv, MetadataRequestID, id[0])
	}
	if n := metadata.ValueFromIncomingContext(ctx, MetadataAttempt); len(n) > 0 {
		attempt, err := strconv.Atoi(n[0])
		if repeated = err != nil || attempt > 1; repeated {
			kv = append(kv, MetadataAttempt, n[0])
		}
	}
	if c.opts.Tracer != nil {
		c.opts.Tracer.Inject(ctx, func(key, value string) { kv = append(kv, key, value) })
	}
	if len(kv) == 0 {
		return ctx, repeated
	}
	return metadata.AppendToOutgoingContext(ctx, kv...), repeated
}
