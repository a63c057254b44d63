package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"time"

	"github.com/gowarren/warren/events"
	identityv1 "github.com/gowarren/warren/shop/api/shop/identity/v1"
	"github.com/gowarren/warren/store"
)

//go:embed migrations/*.sql
var migrations embed.FS

// users are the users, their sessions and the keys in the database.
type users struct{ db *store.DB }

func newUsers(db *store.DB) *users { return &users{db: db} }

const userColumns = `id, email, display_name, password_hash, role_customer, role_staff, role_admin, create_time, update_time`

func scanUser(scan func(...any) error) (user, error) {
	var u user
	var customer, staff, admin bool
	if err := scan(&u.id, &u.email, &u.name, &u.password, &customer, &staff, &admin, &u.created, &u.updated); err != nil {
		if errors.Is(err, store.ErrNoRows) {
			return user{}, errNoUser
		}
		return user{}, err
	}
	for role, has := range map[string]bool{roleCustomer: customer, roleStaff: staff, roleAdmin: admin} {
		if has {
			u.roles = append(u.roles, role)
		}
	}
	var err error
	u.roles, err = tidyRoles(u.roles)
	return u, err
}

// get returns a user, or errNoUser.
func (s *users) get(ctx context.Context, id string) (user, error) {
	u, err := scanUser(s.db.QueryRow(ctx, `SELECT `+userColumns+` FROM users WHERE id = ?`, id).Scan)
	if err != nil {
		return user{}, fmt.Errorf("get user: %w", err)
	}
	return u, nil
}

// byEmail returns the user of an address, or errNoUser.
func (s *users) byEmail(ctx context.Context, email string) (user, error) {
	u, err := scanUser(s.db.QueryRow(ctx, `SELECT `+userColumns+` FROM users WHERE email_key = ?`, emailKey(email)).Scan)
	if err != nil {
		return user{}, fmt.Errorf("get user by address: %w", err)
	}
	return u, nil
}

// create adds a user whose address nobody has.
func (s *users) create(ctx context.Context, u user) error {
	err := s.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error { return insertUser(ctx, tx, u) })
	if errors.Is(err, store.ErrConflict) {
		return refuse(identityv1.Reason_EMAIL_TAKEN, "email", "somebody has registered with this address")
	}
	if err != nil {
		return fmt.Errorf("create user: %w", err)
	}
	return nil
}

// insertUser adds a user, and tells the other services.
func insertUser(ctx context.Context, tx *store.Tx, u user) error {
	_, err := tx.Exec(ctx, `INSERT INTO users (`+userColumns+`, email_key) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		u.id, u.email, u.name, u.password, u.has(roleCustomer), u.has(roleStaff), u.has(roleAdmin), u.created, u.updated, emailKey(u.email))
	if err != nil {
		return err
	}
	return events.Publish(ctx, tx, u.registered())
}

// rename changes what a user is called, and returns the user.
func (s *users) rename(ctx context.Context, id, name string, now time.Time) (user, error) {
	n, err := s.db.Exec(ctx, `UPDATE users SET display_name = ?, update_time = ? WHERE id = ?`, name, now, id)
	if err != nil {
		return user{}, fmt.Errorf("rename user: %w", err)
	}
	if n == 0 {
		return user{}, errNoUser
	}
	return s.get(ctx, id)
}

// renewPassword keeps a new hash of the same password, unless the password was
// changed in between.
func (s *users) renewPassword(ctx context.Context, u user, hash string) error {
	_, err := s.db.Exec(ctx, `UPDATE users SET password_hash = ? WHERE id = ? AND password_hash = ?`, hash, u.id, u.password)
	if err != nil {
		return fmt.Errorf("renew password hash: %w", err)
	}
	return nil
}

// place is where a page of users ends.
type place struct {
	Created int64  `json:"t"` // microseconds
	ID      string `json:"i"`
}

// list returns users with a role (empty: all) in the order in which they
// registered.
func (s *users) list(ctx context.Context, role string, after place, limit int) ([]user, error) {
	having := map[string]string{"": ``, roleCustomer: ` AND role_customer`, roleStaff: ` AND role_staff`, roleAdmin: ` AND role_admin`}
	condition, known := having[role]
	if !known {
		return nil, invalid("role", "there is no role %q", role)
	}
	out, err := store.Collect(ctx, s.db, scanUser, `SELECT `+userColumns+` FROM users WHERE (create_time > ? OR (create_time = ? AND id > ?))`+
		condition+` ORDER BY create_time, id LIMIT ?`, after.Created, after.Created, after.ID, limit)
	if err != nil {
		return nil, fmt.Errorf("list users: %w", err)
	}
	return out, nil
}

// locked waits until nobody else does what the lock is named after.
func locked(ctx context.Context, tx *store.Tx, name string) error {
	return tx.QueryRow(ctx, `SELECT name FROM locks WHERE name = ? FOR UPDATE`, name).Scan(&name)
}
