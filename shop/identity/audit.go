package main

import (
	"context"

	"google.golang.org/grpc/metadata"

	"github.com/gowarren/warren/auth"
	"github.com/gowarren/warren/rpc"
)

// audit notes what happened to an account: who did it and from where, never a
// password, a token or an address of e-mail.
func (s *service) audit(ctx context.Context, event string, attrs ...any) {
	attrs = append(attrs, "event", event)
	if by := auth.FromContext(ctx).Subject; by != "" {
		attrs = append(attrs, "by", by)
	}
	if from := metadata.ValueFromIncomingContext(ctx, rpc.MetadataClientAddress); len(from) == 1 {
		attrs = append(attrs, "client", from[0])
	}
	s.log.InfoContext(ctx, "audit", attrs...)
}
