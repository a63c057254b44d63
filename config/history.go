package config

import (
	"context"
	"fmt"
)

// History returns the newest changes, newest first; all that are kept when
// limit is 0.
func (c *Centre) History(ctx context.Context, limit int) ([]Change, error) {
	stored, err := c.driver.History(ctx, c.environment, limit)
	if err != nil {
		return nil, fmt.Errorf("read history of settings of %s: %w", c.environment, err)
	}
	out := make([]Change, 0, len(stored))
	for _, data := range stored {
		r, err := decodeRecord(data)
		if err != nil {
			return nil, fmt.Errorf("read history of settings of %s: %w", c.environment, err)
		}
		r.Edits = redactEdits(r.Edits)
		out = append(out, r.Change)
	}
	return out, nil
}

// Diff lists what changed between two revisions of the environment. A to of 0
// is what the centre holds now; a from of 0 is before the first change.
func (c *Centre) Diff(ctx context.Context, from, to int64) ([]Edit, error) {
	before, err := c.at(ctx, from)
	if err != nil {
		return nil, fmt.Errorf("compare settings of %s: %w", c.environment, err)
	}
	var after []item
	if to == 0 {
		after, err = c.current(ctx)
	} else {
		after, err = c.at(ctx, to)
	}
	if err != nil {
		return nil, fmt.Errorf("compare settings of %s: %w", c.environment, err)
	}
	return redactEdits(difference(before, after)), nil
}

// DiffEnvironment lists the edits that would make this environment's values
// those of another one.
func (c *Centre) DiffEnvironment(ctx context.Context, other string) ([]Edit, error) {
	if err := checkEnvironment(other); err != nil {
		return nil, err
	}
	there := &Centre{driver: c.driver, environment: other}
	here, err := c.current(ctx)
	if err != nil {
		return nil, fmt.Errorf("compare settings of %s with %s: %w", c.environment, other, err)
	}
	theirs, err := there.current(ctx)
	if err != nil {
		return nil, fmt.Errorf("compare settings of %s with %s: %w", c.environment, other, err)
	}
	return redactEdits(difference(here, theirs)), nil
}

// current returns the values that the centre holds now.
func (c *Centre) current(ctx context.Context) ([]item, error) {
	stored, err := c.driver.Load(ctx, c.environment)
	if err != nil {
		return nil, err
	}
	return c.read(stored)
}

// at returns the values that were in force at a revision.
func (c *Centre) at(ctx context.Context, revision int64) ([]item, error) {
	if revision == 0 {
		return nil, nil
	}
	r, err := c.recordAt(ctx, revision)
	return r.Entries, err
}

// recordAt finds a record in the history, reading no more of it than it must.
func (c *Centre) recordAt(ctx context.Context, revision int64) (record, error) {
	for limit := 1; ; {
		stored, err := c.driver.History(ctx, c.environment, limit)
		if err != nil {
			return record{}, err
		}
		if len(stored) == 0 {
			return record{}, fmt.Errorf("there is no revision %d: the history is empty", revision)
		}
		newest, err := decodeRecord(stored[0])
		if err != nil {
			return record{}, err
		}
		if revision < 0 || revision > newest.Revision {
			return record{}, fmt.Errorf("there is no revision %d: the newest is %d", revision, newest.Revision)
		}
		for _, data := range stored {
			if r, err := decodeRecord(data); err == nil && r.Revision == revision {
				return r, nil
			}
		}
		if len(stored) < limit {
			return record{}, fmt.Errorf("revision %d is not in the history any more", revision)
		}
		limit = max(limit+1, int(newest.Revision-revision)+1)
	}
}
