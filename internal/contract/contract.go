// Package contract reads what a protobuf contract says of its methods (who
// may call them, how long they take, what may be retried, where they lie in
// REST) and refuses a contract that contradicts itself.
package contract

import (
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// Service is a contract: the methods of one protobuf service.
type Service struct {
	Name    string // "shop.catalog.v1.CatalogService"
	Methods []*Method
	JSON    JSON
	Desc    protoreflect.ServiceDescriptor
}

// Method is what a contract says of one method. Its numbers are defaults
// that live settings override.
type Method struct {
	FullName string // "/shop.catalog.v1.CatalogService/GetProduct"
	Service  string // "shop.catalog.v1.CatalogService"
	Name     string // "GetProduct"

	Access         Access
	Roles          []string      // with AccessRoles: a caller needs one of them
	Timeout        time.Duration // zero: the contract names none
	RateLimits     []RateLimit
	IdempotencyKey KeyMode
	Cache          *Cache // nil: answers are not cached
	Priority       Priority

	// Methods of the same service by their names, empty where there is none.
	Compensate, Confirm, Cancel string

	Safe       bool // has no side effects: may be hedged and retried
	Idempotent bool // may be retried; every safe method is
	Routes     []Route

	ClientStreams, ServerStreams bool

	Desc protoreflect.MethodDescriptor
}

// JSON says where a service's messages depart from the proto3 JSON mapping.
type JSON struct {
	ZeroValues   bool // fields that hold their zero value are written
	EnumNumbers  bool // enum values are written as numbers
	Int64Numbers bool // 64-bit integers are written as numbers
}

// Method returns the method with the short name given, nil if there is none.
func (s *Service) Method(name string) *Method {
	for _, m := range s.Methods {
		if m.Name == name {
			return m
		}
	}
	return nil
}

// Unary reports whether the method takes one message and returns one.
func (m *Method) Unary() bool { return !m.ClientStreams && !m.ServerStreams }

// External reports whether a client outside the system may reach the method.
func (m *Method) External() bool { return m.Access != AccessInternal }

// Read reads a contract from its descriptor, which may be linked into the
// program, compiled, or come from reflection. The error is a Problems when
// the contract contradicts itself.
func Read(sd protoreflect.ServiceDescriptor) (*Service, error) {
	r := &reader{routes: map[string]*Method{}}
	s := r.service(sd)
	if err := r.problems.Err(); err != nil {
		return nil, err
	}
	return s, nil
}
