package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// FileLayer is what the system file says about settings: its settings,
// services.<name>.settings and methods blocks, already flattened.
type FileLayer struct {
	Entries []FileEntry
}

// FileEntry is one value in the system file. Position ("warren.yaml:12:5") is
// where it stands, for errors.
type FileEntry struct {
	Name     string
	Scope    Scope
	Value    string
	Position string
}

// Check tells all that is wrong with the file's values, given the definitions of
// all settings that exist: unknown names, wrong types, values out of range.
func (f FileLayer) Check(definitions []Definition) error {
	known := make(map[string][]Definition, len(definitions))
	for _, d := range definitions {
		known[d.Name] = append(known[d.Name], d)
	}
	var problems []error
	for _, e := range f.Entries {
		if known[e.Name] == nil {
			problems = append(problems, fmt.Errorf("%s: %w", e.Position, unknownSetting(e.Name, definitions)))
		}
	}
	return errors.Join(append(problems, f.checkKnown(definitions))...)
}

// CheckFamilies is Check for whoever knows all settings of some families, that
// is of a first word ("rpc", "gateway"), and leaves the others alone: they may
// be a service's own.
func (f FileLayer) CheckFamilies(definitions []Definition) error {
	families := make(map[string]bool, len(definitions))
	for _, d := range definitions {
		families[family(d.Name)] = true
	}
	var theirs FileLayer
	for _, e := range f.Entries {
		if families[family(e.Name)] {
			theirs.Entries = append(theirs.Entries, e)
		}
	}
	return theirs.Check(definitions)
}

// family is the first word of a setting's name.
func family(name string) string {
	first, _, _ := strings.Cut(name, ".")
	return first
}

// checkKnown leaves unknown names alone: they may be another service's.
func (f FileLayer) checkKnown(definitions []Definition) error {
	var problems []error
	for _, e := range f.Entries {
		if err := e.Scope.check(); err != nil {
			problems = append(problems, fmt.Errorf("%s: %s: %w", e.Position, e.Name, err))
		}
		for _, d := range definitions {
			if d.Name != e.Name {
				continue
			}
			if err := d.Check(e.Value); err != nil {
				problems = append(problems, fmt.Errorf("%s: %w", e.Position, err))
				break
			}
		}
	}
	return errors.Join(problems...)
}

func (f FileLayer) index() index {
	x := make(index, len(f.Entries))
	for _, e := range f.Entries {
		x.add(e.Name, e.Scope, found{raw: e.Value, position: e.Position})
	}
	return x
}

func unknownSetting(name string, definitions []Definition) error {
	names := make([]string, 0, len(definitions))
	for _, d := range definitions {
		if !slices.Contains(names, d.Name) {
			names = append(names, d.Name)
		}
	}
	return fmt.Errorf("unknown setting %q%s", name, didYouMean(name, names))
}

// found is a value that a layer holds.
type found struct {
	raw, position string
}

// index finds a layer's values by name and scope.
type index map[string]map[Scope]found

func (x index) add(name string, scope Scope, f found) {
	if x[name] == nil {
		x[name] = make(map[Scope]found)
	}
	x[name][scope] = f
}

// find returns the value in the first of the scopes that has one.
func (x index) find(name string, scopes []Scope) (found, bool) {
	byScope, ok := x[name]
	if !ok {
		return found{}, false
	}
	for _, s := range scopes {
		if f, ok := byScope[s]; ok {
			return f, true
		}
	}
	return found{}, false
}
