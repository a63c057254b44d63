package contract

import (
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// Linked returns the contract of a method, "/shop.catalog.v1.CatalogService/GetProduct",
// if it is linked into the program and has no contradictions. A server refuses one
// with contradictions and says why.
func Linked(fullMethod string) *Service {
	service, _, ok := strings.Cut(strings.TrimPrefix(fullMethod, "/"), "/")
	if !ok {
		return nil
	}
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(service))
	sd, ok := d.(protoreflect.ServiceDescriptor)
	if err != nil || !ok {
		return nil
	}
	read, err := Read(sd)
	if err != nil {
		return nil
	}
	return read
}
