package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"unicode/utf8"

	"github.com/gowarren/warren/rpc"
	identityv1 "github.com/gowarren/warren/shop/api/shop/identity/v1"
)

const (
	adminEmail        = "SHOP_ADMIN_EMAIL"
	adminPasswordFile = "SHOP_ADMIN_PASSWORD_FILE"
	minAdminPassword  = 10
	maxPassword       = 256
)

// firstAdmin is who administers a shop that has no admin.
type firstAdmin struct {
	email    string
	password string
	done     atomic.Bool
}

// readFirstAdmin reads from the environment who that is; nil is nobody.
func readFirstAdmin(getenv func(string) string, readFile func(string) ([]byte, error)) (*firstAdmin, error) {
	email, file := getenv(adminEmail), getenv(adminPasswordFile)
	if email == "" && file == "" {
		return nil, nil
	}
	if email == "" || file == "" {
		return nil, fmt.Errorf("read the first admin: %s and %s belong together, and one is not set", adminEmail, adminPasswordFile)
	}
	email, err := tidyEmail(email)
	if err != nil {
		return nil, fmt.Errorf("read the first admin: %s: %w", adminEmail, err)
	}
	content, err := readFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the first admin: %s: %w", adminPasswordFile, err)
	}
	password := strings.TrimRight(string(content), "\r\n")
	if utf8.RuneCountInString(password) < minAdminPassword || len(password) > maxPassword || !utf8.ValidString(password) {
		return nil, fmt.Errorf("read the first admin: %s: the password has %d characters at least and %d bytes at most",
			adminPasswordFile, minAdminPassword, maxPassword)
	}
	return &firstAdmin{email: email, password: password}, nil
}

// ready tells whether the matter is settled.
func (a *firstAdmin) ready(context.Context) error {
	if !a.done.Load() {
		return errors.New("the first admin is not created yet")
	}
	return nil
}

// create makes the account if there is no admin.
func (a *firstAdmin) create(ctx context.Context, s *service) error {
	there, err := s.users.hasAdmin(ctx)
	if err != nil {
		return err
	}
	if there {
		a.done.Store(true)
		return nil
	}
	hash, err := s.hasher.seal(ctx, a.password)
	if err != nil {
		return err
	}
	u := newUser(a.email, "", hash, s.now(), roleCustomer, roleStaff, roleAdmin)
	created, err := s.users.createFirst(ctx, u)
	switch {
	case errors.Is(err, rpc.Reason(identityv1.Reason_EMAIL_TAKEN)):
		s.log.ErrorContext(ctx, "there is no admin, and the account of "+adminEmail+" exists and is none: set another address")
	case err != nil:
		return err
	case created:
		s.audit(ctx, "first admin created", "user", u.id)
	}
	a.done.Store(true)
	return nil
}
