package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/gowarren/warren/rpc"
	identityv1 "github.com/gowarren/warren/shop/api/shop/identity/v1"
	"github.com/gowarren/warren/store"
)

// setRoles replaces a user's roles on behalf of an admin, and returns the user
// before and after. The token may say admin of somebody who is none any more;
// the database is asked. One admin always stays.
func (s *users) setRoles(ctx context.Context, by, id string, roles []string, now time.Time) (before, after user, err error) {
	err = s.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		// All admins are locked, in one order: two who dismiss one another at the
		// same moment do so one after the other.
		admins, err := lockedAdmins(ctx, tx)
		if err != nil {
			return err
		}
		if !slices.Contains(admins, by) {
			return &rpc.Error{Code: codes.PermissionDenied, Message: "only an admin sets roles"}
		}
		before, err = scanUser(tx.QueryRow(ctx, `SELECT `+userColumns+` FROM users WHERE id = ? FOR UPDATE`, id).Scan)
		if err != nil {
			return err
		}
		after = before
		after.roles, after.updated = roles, now.UTC().Truncate(time.Microsecond)
		if before.has(roleAdmin) && !after.has(roleAdmin) && len(admins) == 1 {
			return rpc.Errorf(identityv1.Reason_LAST_ADMIN, "this is the only admin: make somebody else one first")
		}
		_, err = tx.Exec(ctx, `UPDATE users SET role_customer = ?, role_staff = ?, role_admin = ?, update_time = ? WHERE id = ?`,
			after.has(roleCustomer), after.has(roleStaff), after.has(roleAdmin), after.updated, id)
		return err
	})
	if err != nil {
		return user{}, user{}, fmt.Errorf("set roles: %w", err)
	}
	return before, after, nil
}

func lockedAdmins(ctx context.Context, tx *store.Tx) ([]string, error) {
	rows, err := tx.Query(ctx, `SELECT id FROM users WHERE role_admin = ? ORDER BY id FOR UPDATE`, true)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		out = append(out, id)
	}
	return out, rows.Err()
}

// hasAdmin tells whether anybody is an admin.
func (s *users) hasAdmin(ctx context.Context) (bool, error) {
	var n int64
	if err := s.db.QueryRow(ctx, `SELECT COUNT(*) FROM users WHERE role_admin = ?`, true).Scan(&n); err != nil {
		return false, fmt.Errorf("count admins: %w", err)
	}
	return n > 0, nil
}

// createFirst adds a user if there is no admin. It reports false when there is.
func (s *users) createFirst(ctx context.Context, u user) (created bool, err error) {
	err = s.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		created = false
		if err := locked(ctx, tx, "first admin"); err != nil {
			return err
		}
		admins, err := lockedAdmins(ctx, tx)
		if err != nil || len(admins) > 0 {
			return err
		}
		created = true
		return insertUser(ctx, tx, u)
	})
	if errors.Is(err, store.ErrConflict) {
		return false, refuse(identityv1.Reason_EMAIL_TAKEN, "email", "somebody has registered with this address")
	}
	if err != nil {
		return false, fmt.Errorf("create the first admin: %w", err)
	}
	return created, nil
}
