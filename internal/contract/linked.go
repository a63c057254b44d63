package contract

import (
	"fmt"
	"strings"
	"sync"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// known are the contracts that are linked into the program, each read once: they
// never change, and reading one costs more than what most want it for.
var known sync.Map // map[string]*Service

// Linked returns the contract of a method, "/shop.catalog.v1.CatalogService/GetProduct",
// which must be linked into the program and have no contradictions. A server
// refuses one with contradictions and says why.
func Linked(fullMethod string) (*Service, error) {
	service, _, ok := strings.Cut(strings.TrimPrefix(fullMethod, "/"), "/")
	if !ok {
		return nil, fmt.Errorf("%q names no method; give the constant …_FullMethodName that is generated from its contract", fullMethod)
	}
	if read, ok := known.Load(service); ok {
		return read.(*Service), nil
	}
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(service))
	sd, ok := d.(protoreflect.ServiceDescriptor)
	if err != nil || !ok {
		return nil, fmt.Errorf("the contract %s is not known; import the package that is generated from it, "+
			"and use its constant …_FullMethodName", service)
	}
	read, err := Read(sd)
	if err != nil {
		return nil, fmt.Errorf("read contract %s: %w", service, err)
	}
	first, _ := known.LoadOrStore(service, read)
	return first.(*Service), nil
}
