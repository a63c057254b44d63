package main

import (
	"context"

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
	if from := rpc.ClientAddress(ctx); from.IsValid() {
		attrs = append(attrs, "client", from)
	}
	s.log.InfoContext(ctx, "audit", attrs...)
}
