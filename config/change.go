package config

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// Change is one revision in the history of an environment.
type Change struct {
	Revision    int64     `json:"revision"`
	Environment string    `json:"environment"`
	Author      string    `json:"author"`
	Time        time.Time `json:"time"`
	Reason      string    `json:"reason"`
	// State is "applied": the change is, or was, in force.
	State string `json:"state"`
	Edits []Edit `json:"edits"`
}

// Edit sets a value in a scope, or deletes it there. Old and New are nil where
// there is no value; of an Edit handed to Set, Old and Secret are not used.
type Edit struct {
	Name   string  `json:"name"`
	Scope  Scope   `json:"scope,omitzero"`
	Old    *string `json:"old,omitempty"`
	New    *string `json:"new,omitempty"`
	Secret bool    `json:"secret,omitempty"`
}

// String shows the edit in one line, without secrets.
func (e Edit) String() string {
	show := func(v *string) string {
		switch {
		case v == nil:
			return "(unset)"
		case e.Secret:
			return redacted
		}
		return *v
	}
	return fmt.Sprintf("%s %s: %s → %s", e.Name, e.Scope, show(e.Old), show(e.New))
}

func (e Edit) redact() Edit {
	hidden := redacted
	if e.Secret && e.Old != nil {
		e.Old = &hidden
	}
	if e.Secret && e.New != nil {
		e.New = &hidden
	}
	return e
}

func redactEdits(edits []Edit) []Edit {
	out := make([]Edit, len(edits))
	for i, e := range edits {
		out[i] = e.redact()
	}
	return out
}

// record is a change as the history stores it: with the whole document that it
// led to, so that a rollback needs no other record and no undamaged document.
type record struct {
	Change
	ID      string `json:"id"` // tells this attempt from any other
	Entries []item `json:"entries"`
}

func decodeRecord(data []byte) (record, error) {
	var r record
	if err := json.Unmarshal(data, &r); err != nil {
		return record{}, fmt.Errorf("read history of settings: %w", err)
	}
	return r, nil
}

// difference lists the edits that lead from one set of values to another.
func difference(from, to []item) []Edit {
	type key struct {
		name  string
		scope Scope
	}
	edits := make(map[key]Edit, len(from))
	for _, e := range from {
		edits[key{e.Name, e.Scope}] = Edit{Name: e.Name, Scope: e.Scope, Old: &e.Value, Secret: e.Secret}
	}
	for _, e := range to {
		edit := edits[key{e.Name, e.Scope}]
		edit.Name, edit.Scope, edit.New = e.Name, e.Scope, &e.Value
		edit.Secret = edit.Secret || e.Secret
		edits[key{e.Name, e.Scope}] = edit
	}
	var out []Edit
	for _, e := range edits {
		if e.Old == nil || e.New == nil || *e.Old != *e.New {
			out = append(out, e)
		}
	}
	slices.SortFunc(out, func(a, b Edit) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), compareScopes(a.Scope, b.Scope))
	})
	return out
}

// with returns the values after an edit.
func with(entries []item, e Edit) []item {
	out := slices.DeleteFunc(slices.Clone(entries), func(i item) bool { return i.Name == e.Name && i.Scope == e.Scope })
	if e.New != nil {
		out = append(out, item{Name: e.Name, Scope: e.Scope, Value: *e.New, Secret: e.Secret})
	}
	return out
}
