package config

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/gowarren/warren/config/driver"
)

// Centre reads and changes the settings of one environment. What it returns
// shows no secrets. It is safe for concurrent use, also by many processes.
type Centre struct {
	driver      driver.Driver
	environment string
}

var environmentForm = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]*$`)

func checkEnvironment(name string) error {
	if !environmentForm.MatchString(name) {
		return fmt.Errorf("environment %q: a name is lower-case letters, digits, - and _", name)
	}
	if name == "definitions" {
		return errors.New("environment \"definitions\": drivers keep what services publish under this name")
	}
	return nil
}

// NewCentre returns the centre of an environment. The caller closes the driver.
func NewCentre(d driver.Driver, environment string) (*Centre, error) {
	if err := checkEnvironment(environment); err != nil {
		return nil, err
	}
	return &Centre{driver: d, environment: environment}, nil
}

// Get returns the values that the centre holds, and their revision; 0 when
// nothing was ever set.
func (c *Centre) Get(ctx context.Context) (revision int64, entries []Entry, err error) {
	stored, err := c.driver.Load(ctx, c.environment)
	var values []item
	if err == nil {
		values, err = c.read(stored)
	}
	if err != nil {
		return 0, nil, fmt.Errorf("get settings of %s: %w", c.environment, err)
	}
	for _, e := range values {
		entry := Entry{Name: e.Name, Scope: e.Scope, Value: e.Value, Source: "centre", Revision: stored.Revision, Secret: e.Secret}
		entries = append(entries, entry.redact())
	}
	sortEntries(entries)
	return stored.Revision, entries, nil
}

// Set makes all edits in one revision, or none. Each value is checked against
// the definitions that services have published. Edits that change nothing are
// left out; if none is left there is no new revision.
func (c *Centre) Set(ctx context.Context, edits []Edit, author, reason string) (Change, error) {
	change, err := c.change(ctx, author, reason, func(now []item, damage error, known definitions) ([]item, error) {
		if damage != nil {
			return nil, damage
		}
		return edited(now, edits, known)
	})
	if err != nil {
		return Change{}, fmt.Errorf("set in %s: %w", c.environment, err)
	}
	return change, nil
}

// Rollback makes a new revision with the values that were in force at an
// earlier one; 0 is before the first. It also repairs a damaged document.
func (c *Centre) Rollback(ctx context.Context, revision int64, author, reason string) (Change, error) {
	change, err := c.rollback(ctx, revision, author, reason)
	if err != nil {
		return Change{}, fmt.Errorf("roll %s back to revision %d: %w", c.environment, revision, err)
	}
	return change, nil
}

func (c *Centre) rollback(ctx context.Context, revision int64, author, reason string) (Change, error) {
	target, err := c.at(ctx, revision)
	if err != nil {
		return Change{}, err
	}
	return c.change(ctx, author, reason, func(_ []item, _ error, known definitions) ([]item, error) {
		var problems []error
		for _, e := range target {
			// A setting that no service defines any more harms nobody.
			if err := known.check(e.Name, e.Value); err != nil && known.has(e.Name) {
				problems = append(problems, err)
			}
		}
		return target, errors.Join(problems...)
	})
}

// edited returns the values after the edits, or all that is wrong with them.
func edited(now []item, edits []Edit, known definitions) ([]item, error) {
	if len(edits) == 0 {
		return nil, errors.New("there is nothing to set")
	}
	var problems []error
	done := make(map[watchKey]bool, len(edits))
	for _, e := range edits {
		key := watchKey{name: e.Name, scope: e.Scope}
		switch {
		case done[key]:
			problems = append(problems, fmt.Errorf("%s is set twice for %s", e.Name, e.Scope))
		case e.Scope.check() != nil:
			problems = append(problems, fmt.Errorf("%s: %w", e.Name, e.Scope.check()))
		case e.New != nil:
			problems = append(problems, known.check(e.Name, *e.New))
		case !known.has(e.Name) && !slices.ContainsFunc(now, func(i item) bool { return i.Name == e.Name }):
			problems = append(problems, known.unknown(e.Name))
		}
		done[key] = true
		e.Secret = known.secret(e.Name)
		now = with(now, e)
	}
	return now, errors.Join(problems...)
}

// transition makes the next values out of the current ones; damage tells that
// the current ones come from the history, because the document can't be read.
type transition func(now []item, damage error, known definitions) ([]item, error)

// change publishes what a transition makes of the current values. When somebody
// else was faster it starts over with their values, so that no change is lost.
func (c *Centre) change(ctx context.Context, author, reason string, next transition) (Change, error) {
	if strings.TrimSpace(author) == "" || strings.TrimSpace(reason) == "" {
		return Change{}, errors.New("a change needs an author and a reason")
	}
	if size := len(author) + len(reason); size > maxReason {
		return Change{}, fmt.Errorf("author and reason may have %d bytes together, these have %d", maxReason, size)
	}
	known, err := c.definitions(ctx)
	if err != nil {
		return Change{}, err
	}
	for wait := time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		change, err := c.attempt(ctx, author, reason, known, next)
		if !errors.Is(err, driver.ErrConflict) {
			return change, err
		}
		if !pause(ctx, jitter(wait)) {
			return Change{}, fmt.Errorf("%w, again and again: %w", err, context.Cause(ctx))
		}
	}
}

func (c *Centre) attempt(ctx context.Context, author, reason string, known definitions, next transition) (Change, error) {
	stored, err := c.driver.Load(ctx, c.environment)
	if err != nil {
		return Change{}, err
	}
	now, damage := c.read(stored)
	if damage != nil {
		if now, err = c.at(ctx, stored.Revision); err != nil {
			now = nil
		}
	}
	after, err := next(now, damage, known)
	if err != nil {
		return Change{}, err
	}
	edits := difference(now, after)
	if len(edits) == 0 && damage == nil {
		return Change{Revision: stored.Revision, Environment: c.environment}, nil
	}
	r := record{ID: rand.Text(), Entries: after, Change: Change{
		Revision: stored.Revision + 1, Environment: c.environment,
		Author: author, Time: time.Now().UTC(), Reason: reason, State: "applied", Edits: edits,
	}}
	if err := c.publish(ctx, stored.Revision, r); err != nil {
		return Change{}, err
	}
	r.Edits = redactEdits(edits)
	return r.Change, nil
}

func (c *Centre) publish(ctx context.Context, base int64, r record) error {
	data, err := document{Revision: r.Revision, Environment: c.environment, Entries: r.Entries}.encode()
	if err != nil {
		return err
	}
	history, err := json.Marshal(r)
	if err != nil {
		return err
	}
	err = c.driver.Publish(ctx, c.environment, base, data, history)
	if err != nil && !errors.Is(err, driver.ErrConflict) && c.landed(ctx, r) {
		return nil
	}
	return err
}

// landed tells whether a publish whose answer was lost took place after all.
func (c *Centre) landed(ctx context.Context, r record) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	found, err := c.recordAt(ctx, r.Revision)
	return err == nil && found.ID == r.ID
}

// read returns the values of a stored document, or why it can't be used.
func (c *Centre) read(stored driver.Document) ([]item, error) {
	switch {
	case stored.Data != nil:
		d, err := decode(stored.Data, c.environment)
		return d.Entries, err
	case stored.Revision > 0:
		return nil, errDocumentGone
	}
	return nil, nil
}
