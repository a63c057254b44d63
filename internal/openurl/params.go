package openurl

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Params reads the query parameters of a URL by type. The getters note what
// they asked for and what was malformed; [Params.Err] tells it all at the end:
//
//	p := openurl.NewParams(u)
//	ttl := p.Duration("ttl", 5*time.Second)
//	if err := p.Err(); err != nil { … }
type Params struct {
	query url.Values
	known map[string]bool
	errs  []error
}

// NewParams returns the parameters of u.
func NewParams(u *url.URL) *Params {
	query, err := url.ParseQuery(u.RawQuery)
	p := &Params{query: query, known: map[string]bool{}}
	if err != nil {
		p.errs = append(p.errs, fmt.Errorf("malformed query: %w", err))
	}
	return p
}

// Strings returns every value of a parameter that may be repeated.
func (p *Params) Strings(name string) []string {
	p.known[name] = true
	return p.query[name]
}

// String returns a parameter, or def when the URL lacks it.
func (p *Params) String(name, def string) string {
	return get(p, name, def, "text", func(s string) (string, error) { return s, nil })
}

// Duration returns a parameter such as 500ms or 5s, or def.
func (p *Params) Duration(name string, def time.Duration) time.Duration {
	return get(p, name, def, "a duration such as 5s", time.ParseDuration)
}

// Int returns a whole number, or def.
func (p *Params) Int(name string, def int) int {
	return get(p, name, def, "a whole number", strconv.Atoi)
}

// Float returns a number, or def.
func (p *Params) Float(name string, def float64) float64 {
	return get(p, name, def, "a number", func(s string) (float64, error) { return strconv.ParseFloat(s, 64) })
}

// Bool returns true or false, or def.
func (p *Params) Bool(name string, def bool) bool {
	return get(p, name, def, "true or false", strconv.ParseBool)
}

// Err reports malformed and unknown parameters. Call it after the last getter.
func (p *Params) Err() error {
	errs := slices.Clone(p.errs)
	for _, name := range slices.Sorted(maps.Keys(p.query)) {
		if p.known[name] {
			continue
		}
		known := "it takes none"
		if len(p.known) > 0 {
			known = "known: " + strings.Join(slices.Sorted(maps.Keys(p.known)), ", ")
		}
		errs = append(errs, fmt.Errorf("unknown parameter %q; %s", name, known))
	}
	return errors.Join(errs...)
}

func get[T any](p *Params, name string, def T, want string, parse func(string) (T, error)) T {
	values := p.Strings(name)
	if len(values) == 0 {
		return def
	}
	if len(values) > 1 {
		p.errs = append(p.errs, fmt.Errorf("parameter %q is given %d times", name, len(values)))
		return def
	}
	value, err := parse(values[0])
	if err != nil {
		// The value stays out: a parameter may be a secret.
		p.errs = append(p.errs, fmt.Errorf("parameter %q is not %s", name, want))
		return def
	}
	return value
}
