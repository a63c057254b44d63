package rpc

import (
	"context"
	"errors"
	"strings"
	"time"

	"google.golang.org/grpc/metadata"

	rpcv1 "github.com/gowarren/warren/api/warren/rpc/v1"
	"github.com/gowarren/warren/auth"
)

// keysRetryAfter is how soon token keys that are missing may be there.
const keysRetryAfter = time.Second

// identify says who is calling. Tokens that are there must be right, also
// where none is needed: a caller with a wrong one is mistaken about who he is.
func (s *Server) identify(ctx context.Context) (auth.Caller, error) {
	token, err := bearer(metadata.ValueFromIncomingContext(ctx, MetadataAuthorization))
	if err != nil {
		return auth.Caller{}, err
	}
	var caller auth.Caller
	if token != "" && s.opts.Verifier != nil {
		if caller, err = s.opts.Verifier.Verify(ctx, token); err != nil {
			return auth.Caller{}, s.rejected(ctx, "bearer", err)
		}
	}
	if signed := incoming(ctx, MetadataService); signed != "" && s.opts.ServiceKey != nil {
		if caller.Service, err = s.opts.ServiceKey.Verify(signed); err != nil {
			return auth.Caller{}, s.rejected(ctx, "service", err)
		}
	}
	return caller, nil
}

// bearer returns the token in the authorization metadata. Two of them could be
// read differently by two readers.
func bearer(values []string) (string, error) {
	if len(values) == 0 {
		return "", nil
	}
	if len(values) > 1 {
		return "", Errorf(rpcv1.Reason_REASON_UNAUTHENTICATED, "more than one authorization was sent")
	}
	scheme, token, ok := strings.Cut(values[0], " ")
	if !ok || token == "" || !strings.EqualFold(scheme, "bearer") {
		return "", Errorf(rpcv1.Reason_REASON_UNAUTHENTICATED, "the authorization is not a bearer token")
	}
	return token, nil
}

// rejected answers a caller whose token was not accepted. Why stays in the log:
// it would help forgers only.
func (s *Server) rejected(ctx context.Context, kind string, err error) error {
	if errors.Is(err, auth.ErrKeysUnavailable) {
		s.logger.WarnContext(ctx, "cannot judge tokens", "error", err)
		unavailable := Errorf(rpcv1.Reason_REASON_KEYS_UNAVAILABLE, "the keys to judge the token with are not there yet")
		unavailable.RetryAfter = keysRetryAfter
		return unavailable
	}
	s.logger.DebugContext(ctx, "a token was refused", "kind", kind, "error", err)
	return Errorf(rpcv1.Reason_REASON_UNAUTHENTICATED, "the %s token is not valid", kind)
}

// denied answers a caller who may not call the method.
func denied(method string, err error) error {
	d, ok := errors.AsType[*auth.Denied](err)
	if ok && d.Unauthenticated {
		return Errorf(rpcv1.Reason_REASON_UNAUTHENTICATED, "%s %s", method, d.Reason)
	}
	return Errorf(rpcv1.Reason_REASON_PERMISSION_DENIED, "%s %w", method, err)
}
