package config

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
)

// published is a definition and the service that published it.
type published struct {
	Definition
	service string
}

// definitions are all that services have published, by the setting's name.
type definitions map[string][]published

// Define publishes the definitions of a service, in place of those it had; none
// removes them. A definition whose type differs from a published one is refused:
// values set for the old type would mean something else, or nothing, under the
// new one.
func (c *Centre) Define(ctx context.Context, service string, list []Definition) error {
	return c.define(ctx, service, list, true)
}

func (c *Centre) define(ctx context.Context, service string, list []Definition, replace bool) error {
	if err := checkService(service); err != nil {
		return err
	}
	stored, err := c.driver.Definitions(ctx)
	if err != nil {
		return fmt.Errorf("publish definitions of %s: %w", service, err)
	}
	changed, err := changes(stored, service, list, replace)
	if err != nil {
		return fmt.Errorf("publish definitions of %s: %w", service, err)
	}
	if len(changed) == 0 {
		return nil // as for every instance but the first
	}
	if err := c.driver.Define(ctx, service, changed); err != nil {
		return fmt.Errorf("publish definitions of %s: %w", service, err)
	}
	return nil
}

// changes lists what must be written so that the service's definitions are those
// of the list; nil stands for one that goes.
func changes(stored map[string]map[string][]byte, service string, list []Definition, replace bool) (map[string][]byte, error) {
	known := decodeDefinitions(stored)
	changed := make(map[string][]byte)
	if replace {
		for name := range stored[service] {
			changed[name] = nil
		}
	}
	if err := known.agree(list); err != nil {
		return nil, err
	}
	for _, d := range list {
		data, err := json.Marshal(d)
		if err != nil {
			return nil, err
		}
		if changed[d.Name] = data; bytes.Equal(data, stored[service][d.Name]) {
			delete(changed, d.Name)
		}
	}
	return changed, nil
}

// Definitions returns all published definitions, by name; of a name that several
// services define, the first.
func (c *Centre) Definitions(ctx context.Context) ([]Definition, error) {
	known, err := c.definitions(ctx)
	if err != nil {
		return nil, err
	}
	return known.list(), nil
}

func (c *Centre) definitions(ctx context.Context) (definitions, error) {
	stored, err := c.driver.Definitions(ctx)
	if err != nil {
		return nil, fmt.Errorf("read published definitions: %w", err)
	}
	return decodeDefinitions(stored), nil
}

// decodeDefinitions leaves out what isn't a definition: one service's damaged
// record must not stop all others; its next start writes it anew.
func decodeDefinitions(stored map[string]map[string][]byte) definitions {
	known := make(definitions)
	for _, service := range sortedKeys(stored) {
		for _, name := range sortedKeys(stored[service]) {
			var d Definition
			if json.Unmarshal(stored[service][name], &d) == nil && d.Name == name {
				known[name] = append(known[name], published{Definition: d, service: service})
			}
		}
	}
	return known
}

// definitionConflict is a definition that contradicts a published one.
type definitionConflict struct {
	name, service string
	old, new      Definition
}

func (e *definitionConflict) Error() string {
	return fmt.Sprintf("setting %s is published by %s as %s, and would become %s: give it another name; "+
		"or, once nothing of %[2]s runs that needs the old one, remove the published definition and the values set for it",
		e.name, e.service, e.old.kind(), e.new.kind())
}

// agree tells whether the definitions go together with those published by any
// service, this one's earlier version included.
func (known definitions) agree(list []Definition) error {
	for _, d := range list {
		if err := d.valid(); err != nil {
			return err
		}
		for _, p := range known[d.Name] {
			if p.kind() != d.kind() {
				return &definitionConflict{name: d.Name, service: p.service, old: p.Definition, new: d}
			}
		}
	}
	return nil
}

// kind is what of a definition must not change.
func (d Definition) kind() string {
	if d.Secret {
		return "secret " + d.Type
	}
	return d.Type
}

func (known definitions) has(name string) bool { return len(known[name]) > 0 }

// check tells whether a value pleases every service that defines the setting.
func (known definitions) check(name, raw string) error {
	if !known.has(name) {
		return known.unknown(name)
	}
	for _, p := range known[name] {
		if err := p.Check(raw); err != nil {
			return fmt.Errorf("%w (as %s defines it)", err, p.service)
		}
	}
	return nil
}

func (known definitions) unknown(name string) error {
	if len(known) == 0 {
		return fmt.Errorf("unknown setting %q: no service has published its settings yet", name)
	}
	return unknownSetting(name, known.list())
}

func (known definitions) secret(name string) bool {
	return slices.ContainsFunc(known[name], func(p published) bool { return p.Secret })
}

func (known definitions) list() []Definition {
	out := make([]Definition, 0, len(known))
	for _, name := range sortedKeys(known) {
		out = append(out, known[name][0].Definition)
	}
	return out
}
