package rpc

import (
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/internal/contract"
)

// readContract finds and reads the contract that the service implements. One
// whose descriptor is not linked says nothing: all its methods are internal.
func readContract(desc *grpc.ServiceDesc) (*contract.Service, error) {
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(desc.ServiceName))
	if sd, ok := d.(protoreflect.ServiceDescriptor); err == nil && ok {
		return contract.Read(sd)
	}
	c := &contract.Service{Name: desc.ServiceName}
	for _, m := range desc.Methods {
		c.Methods = append(c.Methods, unknownMethod(desc.ServiceName, m.MethodName))
	}
	for _, st := range desc.Streams {
		m := unknownMethod(desc.ServiceName, st.StreamName)
		m.ClientStreams, m.ServerStreams = st.ClientStreams, st.ServerStreams
		c.Methods = append(c.Methods, m)
	}
	return c, nil
}

// checkTogether checks the files in which the contracts stand.
func checkTogether(contracts []*contract.Service) error {
	var files []protoreflect.FileDescriptor
	for _, c := range contracts {
		if c.Desc != nil && !slices.Contains(files, c.Desc.ParentFile()) {
			files = append(files, c.Desc.ParentFile())
		}
	}
	return contract.Check(files...).Err()
}

func unknownMethod(service, name string) *contract.Method {
	return &contract.Method{FullName: "/" + service + "/" + name, Service: service, Name: name}
}

// wrap returns the service with every handler behind its contract. This is
// done per method, instead of by interceptors for all, so that everything about
// a method is known before its first call, and a call that is refused is never
// decoded.
func (s *Server) wrap(desc *grpc.ServiceDesc, c *contract.Service, r *rules) *grpc.ServiceDesc {
	wrapped := *desc
	wrapped.Methods = make([]grpc.MethodDesc, len(desc.Methods))
	for i, d := range desc.Methods {
		m := s.method(desc.ServiceName, d.MethodName, c, r)
		wrapped.Methods[i] = grpc.MethodDesc{MethodName: d.MethodName, Handler: m.unary(d.Handler)}
	}
	wrapped.Streams = make([]grpc.StreamDesc, len(desc.Streams))
	for i, d := range desc.Streams {
		m := s.method(desc.ServiceName, d.StreamName, c, r)
		d.Handler = m.stream(d.Handler)
		wrapped.Streams[i] = d
	}
	return &wrapped
}

func (s *Server) method(service, name string, c *contract.Service, r *rules) *servedMethod {
	m := c.Method(name)
	if m == nil {
		m = unknownMethod(service, name)
	}
	bound := &servedMethod{
		server:   s,
		contract: m,
		name:     m.FullName[1:],
		rules:    r.of(m),
		metrics:  s.metrics.bind(m.FullName[1:]),
	}
	var stated []time.Duration
	if m.Timeout > 0 {
		stated = []time.Duration{m.Timeout}
	}
	setting := settingTimeout
	if !m.Unary() {
		setting = settingStreamTimeout
	}
	bound.timeout = config.Watch(s.opts.Settings, setting, config.Scope{Method: m.FullName}, stated...)
	bound.faults.counts, bound.faults.logger = s.faults, s.logger
	bound.faults.follow(s.opts.Settings, config.Scope{Method: m.FullName}, settingFaultLatency, settingFaultError)
	s.stops = append(s.stops, bound.faults.stop)
	return bound
}
