package contract

import (
	"time"

	warrenv1 "github.com/gowarren/warren/api/warren/v1"
)

// Access says who may call a method.
type Access int

// The zero Access is internal: what a contract does not open stays closed.
const (
	AccessInternal      Access = iota // other services of the system
	AccessPublic                      // everybody
	AccessAuthenticated               // every signed-in user
	AccessRoles                       // users with one of the method's roles
)

// String returns the access as messages and tables write it.
func (a Access) String() string {
	return name(a, "internal", "public", "authenticated", "roles")
}

// KeyMode says whether a caller sends an idempotency key.
type KeyMode int

// With the zero KeyMode a key is ignored.
const (
	KeyNone     KeyMode = iota // a key is ignored
	KeyAccepted                // a key is honoured
	KeyRequired                // a call without a key is refused
)

// String returns the mode as messages and tables write it.
func (k KeyMode) String() string { return name(k, "none", "accepted", "required") }

// Priority orders methods for load shedding: the higher, the later.
type Priority int

// The zero Priority is normal.
const (
	PriorityLow      Priority = iota - 1 // shed first: reports, bulk work
	PriorityNormal                       // what says nothing
	PriorityHigh                         // shed last: checkout, payment
	PriorityCritical                     // never shed: health
)

// String returns the priority as messages and tables write it.
func (p Priority) String() string { return name(p+1, "low", "normal", "high", "critical") }

// LimitBy says what identifies the caller whom a rate limit bounds.
type LimitBy int

// The zero LimitBy is the client's address.
const (
	ByClientAddress LimitBy = iota
	ByUser                  // the signed-in user, else the client's address
	ByField                 // the value of a request field
)

// String returns the key's kind as messages and tables write it.
func (b LimitBy) String() string { return name(b, "address", "user", "field") }

// RateLimit bounds the calls that share one key.
type RateLimit struct {
	By       LimitBy
	Field    string // with ByField: the path of the request field
	Requests int    // calls per period
	Per      time.Duration
	Burst    int // calls that may come at once
}

// Cache says how long an answer may be reused.
type Cache struct {
	MaxAge time.Duration
	Shared bool // one answer serves all callers, not only the one who asked
}

func name[T ~int](value T, names ...string) string {
	if value < 0 || int(value) >= len(names) {
		return "unknown"
	}
	return names[value]
}

func accessOf(a warrenv1.Access) Access {
	switch a {
	case warrenv1.Access_ACCESS_PUBLIC:
		return AccessPublic
	case warrenv1.Access_ACCESS_AUTHENTICATED:
		return AccessAuthenticated
	case warrenv1.Access_ACCESS_ROLES:
		return AccessRoles
	}
	return AccessInternal
}

func keyModeOf(k warrenv1.IdempotencyKey) KeyMode {
	switch k {
	case warrenv1.IdempotencyKey_IDEMPOTENCY_KEY_ACCEPTED:
		return KeyAccepted
	case warrenv1.IdempotencyKey_IDEMPOTENCY_KEY_REQUIRED:
		return KeyRequired
	}
	return KeyNone
}

func priorityOf(p warrenv1.Priority) Priority {
	if p == warrenv1.Priority_PRIORITY_UNSPECIFIED {
		return PriorityNormal
	}
	return Priority(p - warrenv1.Priority_PRIORITY_NORMAL)
}

func limitByOf(b warrenv1.RateLimit_By) LimitBy {
	switch b {
	case warrenv1.RateLimit_BY_USER:
		return ByUser
	case warrenv1.RateLimit_BY_FIELD:
		return ByField
	}
	return ByClientAddress
}
