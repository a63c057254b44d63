package main

import (
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
	"google.golang.org/protobuf/types/known/timestamppb"

	identityv1 "github.com/gowarren/warren/shop/api/shop/identity/v1"
)

// The roles that a user can have.
const (
	roleCustomer = "customer"
	roleStaff    = "staff"
	roleAdmin    = "admin"
)

const (
	maxEmail = 254
	maxName  = 100
)

// user is somebody who can sign in.
type user struct {
	id       string
	email    string
	name     string
	password string // its hash
	roles    []string
	created  time.Time
	updated  time.Time
}

// newUser returns a user with an id of their own. Times are kept to the
// microsecond.
func newUser(email, name, hash string, now time.Time, roles ...string) user {
	now = now.UTC().Truncate(time.Microsecond)
	return user{id: newID(), email: email, name: name, password: hash, roles: roles, created: now, updated: now}
}

// newID returns an id that nobody can guess.
func newID() string { return strings.ToLower(rand.Text()) }

func (u user) has(role string) bool { return slices.Contains(u.roles, role) }

// message is the user as the contract has it: never with the password.
func (u user) message() *identityv1.User {
	return &identityv1.User{
		Id: u.id, Email: u.email, DisplayName: u.name, Roles: u.roles,
		CreateTime: timestamppb.New(u.created), UpdateTime: timestamppb.New(u.updated),
	}
}

// tidyEmail returns an address in its normal form: composed, its domain in
// small letters. What stands before the @ stays as it was given.
func tidyEmail(email string) (string, error) {
	email, err := tidy(email)
	if err != nil {
		return "", invalid("email", "the address %w", err)
	}
	at := strings.LastIndexByte(email, '@')
	if at < 1 || at == len(email)-1 || strings.ContainsAny(email, " \t") {
		return "", invalid("email", "the address is not one of an e-mail")
	}
	email = email[:at+1] + strings.ToLower(email[at+1:])
	if utf8.RuneCountInString(email) > maxEmail {
		return "", invalid("email", "the address is longer than %d characters", maxEmail)
	}
	return email, nil
}

// emailKey is what makes two addresses one account. Mail servers may tell
// Ada@… from ada@…, people do not.
func emailKey(email string) string {
	return strings.ToLower(norm.NFC.String(strings.TrimSpace(email)))
}

func tidyName(name string) (string, error) {
	name, err := tidy(name)
	if err != nil {
		return "", invalid("display_name", "the name %w", err)
	}
	if utf8.RuneCountInString(name) > maxName {
		return "", invalid("display_name", "the name is longer than %d characters", maxName)
	}
	return name, nil
}

var errNoUser = errors.New("there is no such user")

// tidyRoles returns the roles in their order, each once.
func tidyRoles(roles []string) ([]string, error) {
	var out []string
	for _, role := range []string{roleCustomer, roleStaff, roleAdmin} {
		if slices.Contains(roles, role) {
			out = append(out, role)
		}
	}
	for _, role := range roles {
		if !slices.Contains(out, role) {
			return nil, invalid("roles", "there is no role %q", role)
		}
	}
	if len(out) == 0 {
		return nil, invalid("roles", "a user has at least one role")
	}
	return out, nil
}
