// Package openurl opens a driver by its URL: the scheme picks the driver, the
// query carries its parameters, and a mistake in either is an error that says
// what would have been right.
package openurl

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// Opener makes a T from a URL whose scheme it answers for.
type Opener[T any] = func(context.Context, *url.URL) (T, error)

// Open calls the opener of raw's scheme. The word what ("registry", "config")
// begins the error messages, which never repeat the credentials in raw.
func Open[T any](ctx context.Context, what, raw string, openers map[string]func(context.Context, *url.URL) (T, error)) (T, error) {
	var none T
	u, err := Parse(raw)
	if err != nil {
		return none, fmt.Errorf("open %s: %w", what, err)
	}
	open, ok := openers[u.Scheme]
	if !ok {
		return none, fmt.Errorf("open %s %s: no driver for scheme %q; linked: %s",
			what, Redact(u), u.Scheme, strings.Join(slices.Sorted(maps.Keys(openers)), ", "))
	}
	opened, err := open(ctx, u)
	if err != nil {
		return none, fmt.Errorf("open %s %s: %w", what, Redact(u), err)
	}
	return opened, nil
}

// Parse is [url.Parse] for addresses of engines: the host may be a list
// ("etcd://a:2379,b:2379/shop"), a scheme is required, and an error does not
// repeat raw, which may hold a password.
func Parse(raw string) (*url.URL, error) {
	scheme, rest, ok := strings.Cut(raw, ":")
	if !ok || scheme == "" {
		return nil, errors.New("the URL has no scheme, such as etcd://host or sqlite:file")
	}
	// url.Parse refuses a host with two ports, so a list of hosts is set aside
	// and put back as it was.
	hosts := ""
	if authority, found := strings.CutPrefix(rest, "//"); found {
		end := strings.IndexAny(authority, "/?#")
		if end < 0 {
			end = len(authority)
		}
		at := strings.LastIndex(authority[:end], "@") + 1
		if list := authority[at:end]; strings.Contains(list, ",") {
			hosts = list
			raw = scheme + "://" + authority[:at] + "list" + authority[end:]
		}
	}
	u, err := url.Parse(raw)
	if err != nil {
		if parse, ok := errors.AsType[*url.Error](err); ok {
			err = parse.Err // the outer error quotes the whole URL
		}
		return nil, fmt.Errorf("malformed URL with scheme %q: %w", scheme, err)
	}
	if hosts != "" {
		u.Host = hosts
	}
	return u, nil
}

// Redact is u as text without its user, password and query: all that can hold
// a secret.
func Redact(u *url.URL) string {
	bare := *u
	bare.User, bare.RawQuery, bare.ForceQuery, bare.Fragment = nil, "", false, ""
	return bare.String()
}
