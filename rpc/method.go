package rpc

import (
	"fmt"
	"maps"
	"strings"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc/codes"

	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/internal/contract"
)

// maxUnknown bounds what is remembered of methods that no contract describes:
// their names may come from strangers.
const maxUnknown = 1000

// method is all that a call needs to know of its method, made once.
type method struct {
	fullName string // "/shop.catalog.v1.CatalogService/GetProduct"
	spanName string
	index    int // place among the breakers of an instance
	target   *target
	contract atomic.Pointer[contract.Method] // nil: unknown
	policy   atomic.Pointer[policy]
	metrics  *clientMethodMetrics

	mu     sync.Mutex
	follow *follower
}

// registeredMethods is read without a lock and copied to grow: the methods of
// a system are few, and soon all known.
type registeredMethods struct {
	byName  atomic.Pointer[map[string]*method]
	mu      sync.Mutex
	unknown int
	all     []*method
}

// method returns the method's state, up to date with its contract.
func (c *Client) method(fullName string) (*method, error) {
	described := c.opts.Methods(fullName)
	if known := c.methods.byName.Load(); known != nil {
		if m := (*known)[fullName]; m != nil {
			if m.contract.Load() != described {
				m.describe(c, described)
			}
			return m, nil
		}
	}
	return c.addMethod(fullName, described)
}

func (c *Client) addMethod(fullName string, described *contract.Method) (*method, error) {
	name := strings.TrimPrefix(fullName, "/")
	service, _, ok := strings.Cut(name, "/")
	if !ok {
		return nil, &Error{Code: codes.Unimplemented,
			Message: fmt.Sprintf("%q is not the name of a method", fullName)}
	}
	t, err := c.target(service)
	if err != nil {
		return nil, err
	}
	c.methods.mu.Lock()
	defer c.methods.mu.Unlock()
	known := map[string]*method{}
	if p := c.methods.byName.Load(); p != nil {
		if m := (*p)[fullName]; m != nil {
			return m, nil
		}
		known = maps.Clone(*p)
	}
	if described == nil {
		if c.methods.unknown == maxUnknown {
			return nil, &Error{Code: codes.Unimplemented,
				Message: "too many methods without a contract have been called"}
		}
		c.methods.unknown++
	}
	m := &method{fullName: fullName, spanName: name, index: len(c.methods.all), target: t}
	m.metrics = c.metrics.method(fullName, described != nil)
	m.describe(c, described)
	known[fullName] = m
	c.methods.all = append(c.methods.all, m)
	c.methods.byName.Store(&known)
	return m, nil
}

// describe takes over what the contract says, which changes when a new version
// of a service comes up while a gateway runs.
func (m *method) describe(c *Client, described *contract.Method) {
	m.mu.Lock()
	defer m.mu.Unlock()
	before := m.contract.Swap(described)
	if m.follow != nil && before != nil && described != nil && before.Timeout == described.Timeout && before.Unary() == described.Unary() {
		return // every other number comes from settings alone
	}
	if m.follow != nil {
		m.follow.stop()
	}
	m.follow = followMethod(c.opts.Settings, config.Scope{Service: m.target.name, Method: m.fullName}, described, &m.policy)
}

// idempotent reports whether the contract allows to send a call twice.
func (m *method) idempotent() bool {
	d := m.contract.Load()
	return d != nil && d.Idempotent
}

// safe reports whether the contract says that a call changes nothing.
func (m *method) safe() bool {
	d := m.contract.Load()
	return d != nil && d.Safe
}

func (r *registeredMethods) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.all {
		m.mu.Lock()
		m.follow.stop()
		m.mu.Unlock()
	}
}

// linkedContracts returns a func for ClientOptions.Methods that reads the
// contracts linked into the program, each once.
func linkedContracts() func(string) *contract.Method {
	var known atomic.Pointer[map[string]*contract.Method]
	var mu sync.Mutex
	unknown := 0
	known.Store(&map[string]*contract.Method{})
	return func(fullName string) *contract.Method {
		if m, ok := (*known.Load())[fullName]; ok {
			return m
		}
		read, _ := contract.Linked(fullName) // of one with contradictions nothing is retried
		mu.Lock()
		defer mu.Unlock()
		next := maps.Clone(*known.Load())
		if read != nil {
			for _, m := range read.Methods {
				if next[m.FullName] == nil {
					next[m.FullName] = m
				}
			}
		} else if unknown++; unknown <= maxUnknown {
			next[fullName] = nil // not to be looked for again
		}
		known.Store(&next)
		return next[fullName]
	}
}
