package transcode

import (
	"slices"
	"strconv"
	"strings"
	"sync"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/gowarren/warren/internal/contract"
)

// encoder writes messages as JSON: what protojson does, with names quoted
// once, none of the intermediate tokens, stable bytes (protojson varies its
// white space on purpose, which would break ETags), and 64-bit integers as
// numbers where the contract wants them.
type encoder struct {
	options contract.JSON
	types   Resolver

	mu       sync.Mutex // guards messages; compiling is rare, looking up is not done while writing
	messages map[protoreflect.MessageDescriptor]*messageEncoder
}

type messageEncoder struct {
	special specialWriter // of a well-known type, else nil
	enc     *encoder
	fields  []fieldEncoder
}

type fieldEncoder struct {
	fd     protoreflect.FieldDescriptor
	name   string // `"sku":`
	zero   bool   // written although it holds its zero value
	append func(dst []byte, v protoreflect.Value) ([]byte, error)
}

func newEncoder(options contract.JSON, types Resolver) *encoder {
	return &encoder{options: options, types: types, messages: map[protoreflect.MessageDescriptor]*messageEncoder{}}
}

// message compiles the writer of a message type, once.
func (e *encoder) message(md protoreflect.MessageDescriptor) *messageEncoder {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.compile(md)
}

func (e *encoder) compile(md protoreflect.MessageDescriptor) *messageEncoder {
	if m := e.messages[md]; m != nil {
		return m
	}
	m := &messageEncoder{enc: e, special: specialEncoder(md)}
	e.messages[md] = m // before its fields: messages may hold themselves
	for i := range md.Fields().Len() {
		m.fields = append(m.fields, e.compileField(md.Fields().Get(i)))
	}
	return m
}

func (e *encoder) field(fd protoreflect.FieldDescriptor) fieldEncoder {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.compileField(fd)
}

func (e *encoder) compileField(fd protoreflect.FieldDescriptor) fieldEncoder {
	f := fieldEncoder{
		fd:   fd,
		name: strconv.Quote(fd.JSONName()) + ":",
		zero: e.options.ZeroValues && !fd.HasPresence(),
	}
	switch {
	case fd.IsMap():
		f.append = e.mapWriter(fd)
	case fd.IsList():
		f.append = listWriter(e.singular(fd))
	default:
		f.append = e.singular(fd)
	}
	return f
}

func (f fieldEncoder) appendAny(dst []byte, v protoreflect.Value) ([]byte, error) {
	return f.append(dst, v)
}

func (m *messageEncoder) append(dst []byte, msg protoreflect.Message) ([]byte, error) {
	if m.special != nil {
		return m.special(m, dst, msg)
	}
	dst = append(dst, '{')
	dst, err := m.appendFields(dst, msg)
	return append(dst, '}'), err
}

func (m *messageEncoder) appendFields(dst []byte, msg protoreflect.Message) ([]byte, error) {
	var err error
	for i := range m.fields {
		f := &m.fields[i]
		if !f.zero && !msg.Has(f.fd) {
			continue
		}
		if last := dst[len(dst)-1]; last != '{' {
			dst = append(dst, ',')
		}
		dst = append(dst, f.name...)
		if dst, err = f.append(dst, msg.Get(f.fd)); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

func listWriter(element func([]byte, protoreflect.Value) ([]byte, error)) func([]byte, protoreflect.Value) ([]byte, error) {
	return func(dst []byte, v protoreflect.Value) ([]byte, error) {
		list := v.List()
		dst = append(dst, '[')
		var err error
		for i := range list.Len() {
			if i > 0 {
				dst = append(dst, ',')
			}
			if dst, err = element(dst, list.Get(i)); err != nil {
				return dst, err
			}
		}
		return append(dst, ']'), nil
	}
}

// mapWriter sorts by key, as protojson does: equal answers are equal bytes.
func (e *encoder) mapWriter(fd protoreflect.FieldDescriptor) func([]byte, protoreflect.Value) ([]byte, error) {
	element := e.singular(fd.MapValue())
	return func(dst []byte, v protoreflect.Value) ([]byte, error) {
		var keys []protoreflect.MapKey
		v.Map().Range(func(k protoreflect.MapKey, _ protoreflect.Value) bool {
			keys = append(keys, k)
			return true
		})
		slices.SortFunc(keys, func(a, b protoreflect.MapKey) int { return compareKeys(fd.MapKey().Kind(), a, b) })
		dst = append(dst, '{')
		var err error
		for i, k := range keys {
			if i > 0 {
				dst = append(dst, ',')
			}
			if dst, err = appendString(dst, k.String()); err != nil {
				return dst, err
			}
			dst = append(dst, ':')
			if dst, err = element(dst, v.Map().Get(k)); err != nil {
				return dst, err
			}
		}
		return append(dst, '}'), nil
	}
}

func compareKeys(kind protoreflect.Kind, a, b protoreflect.MapKey) int {
	switch kind {
	case protoreflect.StringKind:
		return strings.Compare(a.String(), b.String())
	case protoreflect.BoolKind:
		return strings.Compare(a.String(), b.String()) // "false" comes before "true"
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind, protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return compare(a.Uint(), b.Uint())
	}
	return compare(a.Int(), b.Int())
}

func compare[T int64 | uint64](a, b T) int {
	if a < b {
		return -1
	}
	return 1 // keys of one map are never equal
}
