package config

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
)

// Value is one setting's value in force in one place. It follows every change.
type Value[T any] struct {
	now      atomic.Pointer[cell[T]]
	setting  Setting[T]
	scope    Scope
	scopes   []Scope
	contract *T

	mu        sync.Mutex
	callbacks []*callback[T]
	told      string // the value that callbacks were last told, as text
	calling   bool   // a goroutine is telling them
	problem   string // why a higher layer's value isn't in force
}

// cell is a value and where it came from; it never changes once it is in force.
type cell[T any] struct {
	value    T
	raw      string
	source   string
	position string
}

type callback[T any] struct {
	call    func(T)
	stopped atomic.Bool
}

// Watch returns the value of a setting in a place, from now on. The optional
// contract value is what the contract says there: the layer just above the
// setting's default. A nil s has no layers above it: good for tests.
//
// One name has one type. Watching it with another one is a mistake in the
// program: the Value then stays at its default, and Err and Ready tell.
func Watch[T any](s *Settings, setting Setting[T], scope Scope, contract ...T) *Value[T] {
	v := &Value[T]{setting: setting, scope: scope}
	if len(contract) > 0 {
		v.contract = &contract[0]
	}
	if s == nil {
		v.resolve(layers{})
		return v
	}
	return s.watch(v, v.key()).(*Value[T])
}

// Get returns the value in force: one atomic load, for the hottest path.
func (v *Value[T]) Get() T { return v.now.Load().value }

// OnChange calls f with the new value after each change; of changes in quick
// succession only the last may be told. Calls come in order and never two at a
// time for one Value, on a goroutine of their own: f may read settings, watch
// more of them, take its time. After stop has returned no new call begins. To miss
// nothing, call OnChange first and Get after it.
func (v *Value[T]) OnChange(f func(T)) (stop func()) {
	c := &callback[T]{call: f}
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.callbacks) == 0 {
		v.told = v.now.Load().raw
	}
	v.callbacks = append(v.callbacks, c)
	return func() {
		c.stopped.Store(true)
		v.mu.Lock()
		defer v.mu.Unlock()
		v.callbacks = slices.DeleteFunc(slices.Clone(v.callbacks), func(o *callback[T]) bool { return o == c })
	}
}

// watched is a Value as its Settings know it, whatever its type.
type watched interface {
	definition() Definition
	prepare(service string)
	resolve(above layers) []refusal
	notify()
	entry(revision int64) Entry
}

func (v *Value[T]) definition() Definition { return v.setting.definition }

func (v *Value[T]) prepare(service string) { v.scopes = v.scope.covering(service) }

// key tells apart the Values that must not be shared.
func (v *Value[T]) key() watchKey {
	k := watchKey{name: v.setting.definition.Name, scope: v.scope}
	if v.contract != nil {
		k.contract = "=" + v.setting.format(*v.contract)
	}
	return k
}

// refusal is a value that is not put in force, and why.
type refusal struct {
	centre bool // the centre's; else the program's or the file's
	err    error
}

// resolve puts the value of the highest layer in force that has a good one. A
// bad value in the centre leaves the last good one where it is. It returns
// what is refused now and was not before.
func (v *Value[T]) resolve(l layers) []refusal {
	next, refused := v.pick(l)
	if next != nil {
		v.now.Store(next)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	before := v.problem
	v.problem = ""
	if len(refused) > 0 {
		v.problem = refused[0].err.Error()
	}
	if v.problem == before {
		return nil
	}
	return refused
}

func (v *Value[T]) pick(l layers) (next *cell[T], refused []refusal) {
	d := v.setting.definition
	try := func(f found, source, place string) *cell[T] {
		c, err := v.parse(f, source)
		if err != nil {
			refused = append(refused, refusal{source == "centre", fmt.Errorf("%s: %w", place, err)})
		}
		return c
	}
	if f, ok := l.centre.find(d.Name, v.scopes); ok {
		if c := try(f, "centre", "centre"); c != nil || v.now.Load() != nil {
			return c, refused
		}
	}
	if f, ok := l.file.find(d.Name, v.scopes); ok {
		if c := try(f, "file", f.position); c != nil {
			return c, refused
		}
	}
	if v.contract != nil {
		if c := try(found{raw: v.setting.format(*v.contract)}, "contract", "contract"); c != nil {
			return c, refused
		}
	}
	return &cell[T]{value: v.setting.fallback, raw: d.Default, source: "default"}, refused
}

func (v *Value[T]) parse(f found, source string) (*cell[T], error) {
	if err := v.setting.definition.Check(f.raw); err != nil {
		return nil, err
	}
	value, err := v.setting.parse(f.raw)
	if err != nil {
		return nil, err
	}
	return &cell[T]{value: value, raw: f.raw, source: source, position: f.position}, nil
}

// notify starts telling the callbacks, unless that is going on already.
func (v *Value[T]) notify() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.calling || len(v.callbacks) == 0 || v.told == v.now.Load().raw {
		return
	}
	v.calling = true
	go v.tell()
}

func (v *Value[T]) tell() {
	for {
		v.mu.Lock()
		c := v.now.Load()
		if v.told == c.raw {
			v.calling = false
			v.mu.Unlock()
			return
		}
		v.told = c.raw
		callbacks := v.callbacks
		v.mu.Unlock()
		for _, cb := range callbacks {
			if !cb.stopped.Load() {
				cb.call(c.value)
			}
		}
	}
}

func (v *Value[T]) entry(revision int64) Entry {
	c := v.now.Load()
	v.mu.Lock()
	defer v.mu.Unlock()
	d := v.setting.definition
	e := Entry{Name: d.Name, Scope: v.scope, Value: c.raw, Source: c.source, Position: c.position, Secret: d.Secret, Problem: v.problem}
	if c.source == "centre" {
		e.Revision = revision
	}
	return e.redact()
}
