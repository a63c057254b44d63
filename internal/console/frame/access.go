package frame

import (
	"net"
	"net/http"
	"strings"
)

// Role is what somebody may do.
type Role int

// A viewer looks, an operator acts on what runs, an admin changes what holds
// for all.
const (
	Viewer Role = iota
	Operator
	Admin
)

// ParseRole reads a role as people write it.
func ParseRole(text string) (Role, bool) {
	for _, r := range []Role{Viewer, Operator, Admin} {
		if r.String() == text {
			return r, true
		}
	}
	return Viewer, false
}

// String returns the role as people write it.
func (r Role) String() string {
	switch r {
	case Operator:
		return "operator"
	case Admin:
		return "admin"
	}
	return "viewer"
}

// Caller is who is there.
type Caller struct {
	Name string
	Role Role
	// Session is empty where nobody has to sign in.
	Session string
	// Key recognises the token that the session began with.
	Key string
}

// Access says who comes in.
type Access struct {
	// Open lets in whoever reaches the console, as Caller: for an address that
	// only this machine has.
	Open   bool
	Caller Caller
	// Check tells to whom a token belongs; asked where it isn't open.
	Check func(token string) (Caller, bool)
	// Still tells whether the token of somebody who signed in is good yet; asked
	// with every request, so that taking it away ends what it began.
	Still func(Caller) bool
}

// policy lets a page load nothing but what the console itself serves, and run
// no script that stands in a page.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; " +
	"form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// guarded keeps other sites out: they may neither send what changes something
// (by Sec-Fetch-Site and Origin), nor put the console into a frame, nor reach an
// open one under a name of their own.
func guarded(access Access, next http.Handler) http.Handler {
	same := http.NewCrossOriginProtection()
	checked := same.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if access.Open && !isLoopback(r.Host) {
			http.Error(w, "this console is open to this machine only; reach it as localhost", http.StatusMisdirectedRequest)
			return
		}
		checked.ServeHTTP(w, r)
	})
}

// isLoopback tells whether a host, perhaps with a port, is this machine by name:
// another name that leads here was chosen by somebody else.
func isLoopback(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// LoopbackAddress tells whether only this machine reaches a listener.
func LoopbackAddress(address string) bool { return isLoopback(address) }
