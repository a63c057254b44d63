package contract

import (
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	warrenv1 "github.com/gowarren/warren/api/warren/v1"
)

// reader turns descriptors into contracts and collects what is wrong.
type reader struct {
	problems Problems
	routes   map[string]*Method // by HTTP method and shape
}

func (r *reader) report(d protoreflect.Descriptor, message, remedy string) {
	r.problems = append(r.problems, problemAt(d, message, remedy))
}

func (r *reader) service(sd protoreflect.ServiceDescriptor) *Service {
	json := extension[*descriptorpb.ServiceOptions, *warrenv1.ServiceOptions](sd, &descriptorpb.ServiceOptions{}, warrenv1.E_Service).GetJson()
	s := &Service{
		Name: string(sd.FullName()),
		JSON: JSON{ZeroValues: json.GetZeroValues(), EnumNumbers: json.GetEnumNumbers(), Int64Numbers: json.GetInt64Numbers()},
		Desc: sd,
	}
	for i := range sd.Methods().Len() {
		s.Methods = append(s.Methods, r.method(sd.Methods().Get(i)))
	}
	return s
}

func (r *reader) method(md protoreflect.MethodDescriptor) *Method {
	return &Method{
		FullName: fullName(md), Service: string(md.Parent().FullName()), Name: string(md.Name()),
		ClientStreams: md.IsStreamingClient(), ServerStreams: md.IsStreamingServer(),
		Desc: md,
	}
}
