package main

import (
	"context"
	"errors"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/gowarren/warren/auth"
	"github.com/gowarren/warren/rpc"
	identityv1 "github.com/gowarren/warren/shop/api/shop/identity/v1"
)

// SignIn takes the same way, at the same cost, whether the user is unknown or
// the password is wrong.
func (s *service) SignIn(ctx context.Context, req *identityv1.SignInRequest) (*identityv1.Session, error) {
	account := accountOf(req.GetEmail())
	door := doorOf(account, rpc.ClientAddress(ctx))
	if err := s.admit(ctx, account, door); err != nil {
		return nil, err
	}
	u, err := s.users.byEmail(ctx, req.GetEmail())
	if err != nil && !errors.Is(err, errNoUser) {
		return nil, err
	}
	right, stale, err := s.hasher.check(ctx, u.password, req.GetPassword())
	if err != nil {
		return nil, errors.Join(err, s.users.forgive(context.WithoutCancel(ctx), account, door))
	}
	if !right {
		s.audit(ctx, "sign-in refused", "account", account[:12])
		return nil, rpc.Errorf(identityv1.Reason_BAD_CREDENTIALS, "the address or the password is wrong")
	}
	if err := s.users.succeeded(ctx, account, door); err != nil {
		return nil, err
	}
	if stale {
		s.renew(ctx, u, req.GetPassword())
	}
	g, err := s.users.openSession(ctx, u, s.now(), s.settings.refreshLife.Get())
	if err != nil {
		return nil, err
	}
	s.audit(ctx, "signed in", "user", u.id, "session", g.session)
	return s.granted(g)
}

// admit counts the attempt, and refuses it if the account was tried too often
// from this address, or from all. What an address tries beyond its own limit
// does not count for the account: one address alone cannot close it to others.
func (s *service) admit(ctx context.Context, account, door string) error {
	now := s.now()
	for _, count := range []struct {
		of    string
		limit int
	}{{door, s.settings.attempts.Get()}, {account, s.settings.accountAttempts.Get()}} {
		tries, ends, err := s.users.attempt(ctx, count.of, now, s.settings.window.Get())
		if err != nil {
			return err
		}
		if tries > int64(count.limit) {
			s.audit(ctx, "sign-in held back", "account", account[:12], "tries", tries, "limit", count.limit)
			refused := rpc.Errorf(identityv1.Reason_TOO_MANY_SIGN_INS, "too many sign-ins to this account")
			refused.RetryAfter = max(ends.Sub(now), time.Second)
			return refused
		}
	}
	return nil
}

// renew hashes the password as new ones are hashed. If that is not possible
// now, the next sign-in will do it.
func (s *service) renew(ctx context.Context, u user, password string) {
	hash, err := s.hasher.seal(ctx, password)
	if err == nil {
		err = s.users.renewPassword(ctx, u, hash)
	}
	if err != nil {
		s.log.WarnContext(ctx, "password hash not renewed", "user", u.id, "error", err)
	}
}

func (s *service) Refresh(ctx context.Context, req *identityv1.RefreshRequest) (*identityv1.Session, error) {
	g, err := s.users.refresh(ctx, req.GetRefreshToken(), s.now(), s.settings.refreshLife.Get(), s.settings.mostRefreshes())
	if theft, ok := errors.AsType[*reused](err); ok {
		s.audit(ctx, "refresh token reused, session ended", "user", theft.userID, "session", theft.session)
		return nil, rpc.Errorf(identityv1.Reason_REFRESH_TOKEN_REUSED, "the refresh token was used before: its session has ended")
	}
	if err != nil {
		return nil, err
	}
	return s.granted(g)
}

func (s *service) granted(g grant) (*identityv1.Session, error) {
	access, expires, err := s.keys.sign(g.user, g.session)
	if err != nil {
		return nil, err
	}
	return &identityv1.Session{
		AccessToken: access, AccessExpireTime: timestamppb.New(expires),
		RefreshToken: g.token, RefreshExpireTime: timestamppb.New(g.expires),
		User: g.user.message(),
	}, nil
}

func (s *service) SignOut(ctx context.Context, _ *identityv1.SignOutRequest) (*identityv1.SignOutResponse, error) {
	caller := auth.FromContext(ctx)
	session, err := sessionOf(caller.Token)
	if err != nil {
		return nil, err
	}
	if err := s.users.signOut(ctx, caller.Subject, session, s.now()); err != nil {
		return nil, err
	}
	s.audit(ctx, "signed out", "user", caller.Subject, "session", session)
	return &identityv1.SignOutResponse{}, nil
}
