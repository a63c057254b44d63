package main

import identityv1 "github.com/gowarren/warren/shop/api/shop/identity/v1"

// registered is what other services are told of a new user.
func (u user) registered() *identityv1.UserRegistered {
	return &identityv1.UserRegistered{UserId: u.id, Email: u.email, DisplayName: u.name}
}
