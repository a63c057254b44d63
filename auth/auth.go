// Package auth says who is calling and whether they may: it verifies the
// bearer tokens of users against an issuer's keys, signs and verifies the
// identity of services towards one another, and compares both with the access
// that a contract grants.
package auth

import (
	"context"
	"slices"
	"time"
)

// Caller is who makes a call. The zero value is an anonymous caller from
// outside the system.
type Caller struct {
	// Subject identifies the user; empty when nobody is signed in.
	Subject string
	// Roles are the user's roles. The slice is shared: do not change it.
	Roles []string
	// Issuer is who vouched for the user.
	Issuer string
	// Service is the service of the system that makes the call, possibly on
	// the user's behalf; empty for a call from outside.
	Service string
	// Token is the user's bearer token, passed on when a service calls another.
	Token string
	// Expires is when the user's token ends.
	Expires time.Time
}

// Anonymous reports whether no user is signed in.
func (c Caller) Anonymous() bool { return c.Subject == "" }

// HasRole reports whether the user has at least one of the roles.
func (c Caller) HasRole(roles ...string) bool {
	return slices.ContainsFunc(c.Roles, func(r string) bool { return slices.Contains(roles, r) })
}

// String names the caller in logs. It never shows the token.
func (c Caller) String() string {
	switch {
	case c.Anonymous() && c.Service == "":
		return "anonymous"
	case c.Anonymous():
		return "service " + c.Service
	case c.Service == "":
		return "user " + c.Subject
	}
	return "user " + c.Subject + " through service " + c.Service
}

type callerKey struct{}

// callerContext is its own type because a context.WithValue would cost a second
// allocation for every call.
type callerContext struct {
	context.Context
	caller Caller
}

// Value makes the context findable from those derived from it.
func (c *callerContext) Value(key any) any {
	if _, ok := key.(callerKey); ok {
		return c
	}
	return c.Context.Value(key)
}

// NewContext returns a context that carries the caller.
func NewContext(ctx context.Context, c Caller) context.Context {
	return &callerContext{Context: ctx, caller: c}
}

// FromContext returns the caller that the context carries, or an anonymous one.
func FromContext(ctx context.Context) Caller {
	if c, ok := ctx.Value(callerKey{}).(*callerContext); ok {
		return c.caller
	}
	return Caller{}
}
