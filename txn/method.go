package txn

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/gowarren/warren/internal/contract"
)

// findMethod finds what is called, and the methods of its contract that end
// what it begins, in the contracts that are linked into the program.
func findMethod(fullMethod string) (*contract.Method, partners, error) {
	read, err := contract.Linked(fullMethod)
	if err != nil {
		return nil, partners{}, err
	}
	name := path.Base(fullMethod)
	m := read.Method(name)
	if m == nil {
		return nil, partners{}, fmt.Errorf("%s has no method %s; it has %s", read.Name, name, names(read))
	}
	if !m.Unary() {
		return nil, partners{}, fmt.Errorf("%s streams; a step takes one message and returns one", m.FullName)
	}
	return m, partners{compensate: read.Method(m.Compensate), confirm: read.Method(m.Confirm), cancel: read.Method(m.Cancel)}, nil
}

func names(s *contract.Service) string {
	all := make([]string, len(s.Methods))
	for i, m := range s.Methods {
		all[i] = m.Name
	}
	return strings.Join(all, ", ")
}

// nameOf is the full name of a method, or nothing where there is none.
func nameOf(m *contract.Method) string {
	if m == nil {
		return ""
	}
	return m.FullName
}

var errNoRequest = errors.New("it has no request; give an empty message if there is nothing to say")

// encode writes a method's request. The same message becomes the same bytes, so
// that a transaction that is submitted again is known as the same.
func encode(m *contract.Method, request proto.Message) ([]byte, error) {
	if request == nil || !request.ProtoReflect().IsValid() {
		return nil, errNoRequest
	}
	if want, got := m.Desc.Input().FullName(), request.ProtoReflect().Descriptor().FullName(); want != got {
		return nil, fmt.Errorf("%s takes %s, not %s", m.FullName, want, got)
	}
	if field := contract.SecretSet(request.ProtoReflect()); field != "" {
		return nil, fmt.Errorf("its field %s is a secret, and the coordinator keeps requests, for operators to see; "+
			"hand the secret over before, and send what the participant finds it by", field)
	}
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(request)
	if err != nil {
		return nil, fmt.Errorf("write its request: %w", err)
	}
	return raw, nil
}
