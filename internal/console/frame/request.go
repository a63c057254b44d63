package frame

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Request is one question of a browser, as pages see it.
type Request struct {
	*http.Request
	// Caller is who asks.
	Caller Caller
	// Now is when the view was made; all that is relative refers to it.
	Now time.Time
	// Range is the span of time that the page is about.
	Range Range
	// ID is found in the log, and told with an error.
	ID string

	page    *Page
	missing []Missing
	status  int
}

// Missing is something that the page has to do without.
type Missing struct{ What, Why string }

func (f *Frame) request(r *http.Request, p *Page) *Request {
	now := time.Now()
	q := r.URL.Query()
	caller, id := callerOf(r.Context()), rand.Text()[:10]
	return &Request{
		Request: r.WithContext(saying(r, caller, id)), Caller: caller, Now: now, Range: ParseRange(q.Get("from"), q.Get("to"), now), ID: id, page: p,
	}
}

// Missing notes what is missing, and why; the rest of the page is shown.
func (r *Request) Missing(what string, err error) {
	if err == nil {
		return
	}
	r.missing = append(r.missing, Missing{What: what, Why: Say(err)})
}

// Say is what an error says to people.
func Say(err error) string {
	s, ok := status.FromError(err)
	if !ok {
		return err.Error()
	}
	switch s.Code() {
	case codes.Unimplemented:
		return "not served here"
	case codes.DeadlineExceeded:
		return "it did not answer in time"
	}
	return s.Message()
}

// Get returns a parameter of the URL.
func (r *Request) Get(name string) string { return r.URL.Query().Get(name) }

// With is this page's URL with parameters changed: name, value, name, value; an
// empty value removes one.
func (r *Request) With(pairs ...string) string {
	q := r.URL.Query()
	for i := 0; i+1 < len(pairs); i += 2 {
		q.Del(pairs[i])
		if pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	return link(r.URL.EscapedPath(), q)
}

// Toggled is this page's URL with a value of a repeatable parameter switched.
func (r *Request) Toggled(name, value string) string {
	q := r.URL.Query()
	have := q[name]
	q.Del("page")
	if i := slices.Index(have, value); i >= 0 {
		q[name] = slices.Delete(slices.Clone(have), i, i+1)
	} else {
		q[name] = append(slices.Clone(have), value)
	}
	return link(r.URL.EscapedPath(), q)
}

// Has tells whether a parameter has the value.
func (r *Request) Has(name, value string) bool { return slices.Contains(r.URL.Query()[name], value) }

// Filtered tells whether any of the parameters is given.
func (r *Request) Filtered(names ...string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return r.URL.Query().Has(n) && r.Get(n) != "" })
}

// Canonical is the URL of what is shown: sorted, and without what is empty.
func (r *Request) Canonical() string { return link(r.URL.EscapedPath(), r.URL.Query()) }

func link(path string, q url.Values) string {
	for name, values := range q {
		q[name] = slices.DeleteFunc(slices.Clone(values), func(v string) bool { return v == "" })
		if len(q[name]) == 0 {
			delete(q, name)
		}
	}
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

// Problem is why a page can't be shown.
type Problem struct {
	Status           int
	Title, Text, Tip string
	ID               string
	// Again tells whether asking again may help.
	Again bool
}

var errNowhere = &Problem{
	Status: http.StatusNotFound, Title: "There is no such page", Text: "The address is not one of the console's.",
	Tip: "The menu leads to all pages; / searches.",
}

func notFound(text string) error {
	return &Problem{
		Status: http.StatusNotFound, Title: "Nothing found", Text: fmt.Sprintf("Nothing here is called %q.", text),
		Tip: "Search for a service, an instance (catalog/1), a transaction, a trace id of 32 hex digits, a contract or a setting.",
	}
}

// Error makes a problem an error.
func (p *Problem) Error() string { return p.Title + ": " + p.Text }

func problemOf(err error, id string) *Problem {
	var p *Problem
	if errors.As(err, &p) {
		out := *p
		out.ID = id
		return &out
	}
	out := &Problem{Status: http.StatusBadGateway, Title: "This could not be read", Text: Say(err), ID: id, Again: true}
	switch status.Code(err) {
	case codes.NotFound:
		out.Status, out.Title, out.Again = http.StatusNotFound, "It is not there", false
	case codes.InvalidArgument, codes.FailedPrecondition:
		out.Status, out.Title, out.Again = http.StatusUnprocessableEntity, "This is not possible", false
	case codes.PermissionDenied:
		out.Status, out.Title, out.Again = http.StatusForbidden, "Not allowed", false
	case codes.Unimplemented:
		out.Status, out.Title, out.Again = http.StatusNotImplemented, "Not available in this system", false
		out.Tip = "The system that this console looks at does not serve it."
	}
	if strings.TrimSpace(out.Text) == "" {
		out.Text = status.Code(err).String()
	}
	return out
}
