package main

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/gowarren/warren/auth"
	"github.com/gowarren/warren/page"
	"github.com/gowarren/warren/rpc"
	identityv1 "github.com/gowarren/warren/shop/api/shop/identity/v1"
)

// service implements the contract. What the contract says (who may call, what
// is valid, how long it may take) is enforced before a method here is called.
type service struct {
	identityv1.UnimplementedIdentityServiceServer
	users    *users
	keys     *keyring
	hasher   *hasher
	pages    *page.Tokens
	settings *settings
	now      func() time.Time
	log      *slog.Logger
}

func (s *service) Register(ctx context.Context, req *identityv1.RegisterRequest) (*identityv1.User, error) {
	email, err := tidyEmail(req.GetEmail())
	if err != nil {
		return nil, err
	}
	name, err := tidyName(req.GetDisplayName())
	if err != nil {
		return nil, err
	}
	hash, err := s.hasher.seal(ctx, req.GetPassword())
	if err != nil {
		return nil, err
	}
	u := newUser(email, name, hash, s.now(), roleCustomer)
	if err := s.users.create(ctx, u); err != nil {
		return nil, err
	}
	s.audit(ctx, "registered", "user", u.id)
	return u.message(), nil
}

func (s *service) GetProfile(ctx context.Context, _ *identityv1.GetProfileRequest) (*identityv1.User, error) {
	return s.answer(s.users.get(ctx, auth.FromContext(ctx).Subject))
}

func (s *service) UpdateProfile(ctx context.Context, req *identityv1.UpdateProfileRequest) (*identityv1.User, error) {
	id := auth.FromContext(ctx).Subject
	if req.DisplayName == nil {
		return s.answer(s.users.get(ctx, id))
	}
	name, err := tidyName(req.GetDisplayName())
	if err != nil {
		return nil, err
	}
	return s.answer(s.users.rename(ctx, id, name, s.now()))
}

func (s *service) GetUser(ctx context.Context, req *identityv1.GetUserRequest) (*identityv1.User, error) {
	return s.answer(s.users.get(ctx, req.GetUserId()))
}

// answer gives errNoUser the contract's reason.
func (s *service) answer(u user, err error) (*identityv1.User, error) {
	if errors.Is(err, errNoUser) {
		return nil, rpc.Errorf(identityv1.Reason_USER_NOT_FOUND, "there is no such user")
	}
	if err != nil {
		return nil, err
	}
	return u.message(), nil
}

const listPage, maxListPage = 50, 200

func (s *service) ListUsers(ctx context.Context, req *identityv1.ListUsersRequest) (*identityv1.ListUsersResponse, error) {
	query, after := "users\n"+req.GetRole(), place{}
	if err := s.pages.Read(ctx, req.GetPageToken(), query, &after); err != nil {
		return nil, err
	}
	size := min(cmp.Or(int(req.GetPageSize()), listPage), maxListPage)
	list, err := s.users.list(ctx, req.GetRole(), after, size+1) // one more tells whether there is a next page
	if err != nil {
		return nil, err
	}
	list, token, err := page.Cut(ctx, s.pages, query, list, size, func(last user) place {
		return place{Created: last.created.UnixMicro(), ID: last.id}
	})
	if err != nil {
		return nil, err
	}
	resp := &identityv1.ListUsersResponse{NextPageToken: token}
	for _, u := range list {
		resp.Users = append(resp.Users, u.message())
	}
	return resp, nil
}

func (s *service) SetRoles(ctx context.Context, req *identityv1.SetRolesRequest) (*identityv1.User, error) {
	roles, err := tidyRoles(req.GetRoles())
	if err != nil {
		return nil, err
	}
	before, after, err := s.users.setRoles(ctx, auth.FromContext(ctx).Subject, req.GetUserId(), roles, s.now())
	if err == nil {
		s.audit(ctx, "roles set", "user", after.id, "before", before.roles, "after", after.roles)
	}
	return s.answer(after, err)
}

// clean removes what nobody can use any more.
func (s *service) clean(ctx context.Context) error {
	return s.users.clean(ctx, s.now(), s.settings.window.Get())
}
