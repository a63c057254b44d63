package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	identityv1 "github.com/gowarren/warren/shop/api/shop/identity/v1"
)

// errSignedOut says that this needs a user, and nobody is signed in.
var errSignedOut = errors.New("nobody is signed in")

// tokens keeps the access tokens of sessions fresh. A refresh token works once,
// and one that comes again ends the user's session: so of all requests of a
// visitor, in all processes, one renews and the others wait for it.
type tokens struct {
	sessions *sessions
	api      *api
	log      *slog.Logger
	now      func() time.Time
}

const (
	// margin is how long a token must still be good for.
	margin = 20 * time.Second
	// glimpse is how often those who wait look whether the token is there.
	glimpse = 40 * time.Millisecond
)

// access returns an access token that is good for a while.
func (t *tokens) access(ctx context.Context, one *session) (string, error) {
	for {
		if !one.signedIn() {
			return "", errSignedOut
		}
		if t.now().Add(margin).Before(one.Expires) {
			return one.Access, nil
		}
		mine, err := t.sessions.claim(ctx, one)
		if err != nil {
			return "", err
		}
		if mine {
			return t.renew(ctx, one)
		}
		if err := t.wait(ctx); err != nil {
			return "", err
		}
		if err := t.sessions.read(ctx, one); err != nil {
			return "", err
		}
	}
}

func (t *tokens) wait(ctx context.Context) error {
	timer := time.NewTimer(glimpse)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return away(ctx, context.Cause(ctx))
	}
}

// renew exchanges the refresh token. Once it is sent, the answer is waited for
// and kept even if the visitor leaves: a token that nobody kept is lost.
func (t *tokens) renew(ctx context.Context, one *session) (string, error) {
	ctx = context.WithoutCancel(ctx)
	got := &identityv1.Session{}
	err := t.api.do(ctx, call{method: http.MethodPost, path: "/v1/sessions:refresh", out: got,
		in: &identityv1.RefreshRequest{RefreshToken: one.Refresh}})
	switch {
	case refused(err):
		t.log.InfoContext(ctx, "a session could not be renewed", "reason", problemOf(err).Reason)
		if err := t.sessions.save(ctx, one, (*kept).signOut); err != nil {
			return "", err
		}
		return "", errSignedOut
	case err != nil:
		return "", errors.Join(err, t.sessions.release(ctx, one))
	}
	if err := t.sessions.save(ctx, one, func(k *kept) { k.signIn(got) }); err != nil {
		return "", err
	}
	return one.Access, t.sessions.release(ctx, one)
}

// stale makes the next access renew the token: the gateway did not take it.
func (t *tokens) stale(ctx context.Context, one *session, token string) error {
	return t.sessions.save(ctx, one, func(k *kept) {
		if k.Access == token {
			k.Expires = time.Time{}
		}
	})
}
