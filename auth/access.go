package auth

import (
	"strings"

	"github.com/gowarren/warren/internal/contract"
)

// Denied says why a caller may not call a method.
type Denied struct {
	// Unauthenticated says that signing in would help, or that the caller
	// would have to; otherwise who is calling is known and not allowed.
	Unauthenticated bool
	// Reason is fit to be shown to the caller.
	Reason string
}

// Error returns the reason.
func (d *Denied) Error() string { return d.Reason }

// Allow reports whether the caller may call the method, with a *Denied if not.
// A method whose contract says nothing, or that has no contract (nil), is
// open to services of the system only.
func Allow(c Caller, m *contract.Method) error {
	if m == nil {
		return allowInternal(c)
	}
	switch m.Access {
	case contract.AccessPublic:
		return nil
	case contract.AccessAuthenticated:
		return allowUser(c)
	case contract.AccessRoles:
		if err := allowUser(c); err != nil {
			return err
		}
		if !c.HasRole(m.Roles...) {
			return &Denied{Reason: "needs the role " + strings.Join(m.Roles, " or ")}
		}
		return nil
	}
	return allowInternal(c)
}

func allowUser(c Caller) error {
	if c.Anonymous() {
		return &Denied{Unauthenticated: true, Reason: "needs a signed-in user"}
	}
	return nil
}

func allowInternal(c Caller) error {
	if c.Service == "" {
		return &Denied{Reason: "is open to services of the system only"}
	}
	return nil
}
