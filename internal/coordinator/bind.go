package coordinator

import (
	"google.golang.org/protobuf/encoding/protowire"

	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
)

// request returns what a branch is called with: its own request, with fields of
// the answers that it is bound to. No contract is needed for that: a field that
// is appended to an encoded message goes before an earlier one, and messages
// that stand twice are merged.
func (t *transaction) request(b *branch, op txnv1.Op) []byte {
	if b.step == nil {
		return b.reg.GetRequest()
	}
	request := t.splice(b.step.GetRequest(), b.step.GetBindings())
	if op == txnv1.Op_OP_COMPENSATE {
		request = t.splice(request, b.step.GetCompensateBindings())
	}
	return request
}

func (t *transaction) splice(request []byte, bindings []*txnv1.Binding) []byte {
	for _, binding := range bindings {
		from := t.branch(binding.GetStep())
		if from == nil {
			continue
		}
		found := fields(from.row.response, binding.GetFrom())
		if len(found) > 0 {
			request = append(request[:len(request):len(request)], wrap(found, binding.GetTo())...)
		}
	}
	return request
}

func (t *transaction) branch(name string) *branch {
	for _, b := range t.branches {
		if b.row.name == name {
			return b
		}
	}
	return nil
}

// value is one encoded value of a field, without its tag.
type value struct {
	kind protowire.Type
	data []byte
}

// fields returns the values at a path, all of them in their order; with an empty
// path the message itself.
func fields(message []byte, path []int32) []value {
	at := []value{{protowire.BytesType, protowire.AppendBytes(nil, message)}}
	for _, number := range path {
		var next []value
		for _, outer := range at {
			if outer.kind != protowire.BytesType {
				return nil
			}
			inner, n := protowire.ConsumeBytes(outer.data)
			if n < 0 {
				return nil
			}
			next = append(next, children(inner, protowire.Number(number))...)
		}
		at = next
	}
	return at
}

func children(message []byte, number protowire.Number) []value {
	var found []value
	for len(message) > 0 {
		num, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return nil
		}
		size := protowire.ConsumeFieldValue(num, kind, message[n:])
		if size < 0 {
			return nil
		}
		if num == number {
			found = append(found, value{kind, message[n : n+size]})
		}
		message = message[n+size:]
	}
	return found
}

// wrap encodes the values as the field at the path; an empty path is the message
// itself.
func wrap(values []value, to []int32) []byte {
	if len(to) == 0 {
		var merged []byte
		for _, v := range values {
			if inner, n := protowire.ConsumeBytes(v.data); n >= 0 && v.kind == protowire.BytesType {
				merged = append(merged, inner...)
			}
		}
		return merged
	}
	var out []byte
	last := protowire.Number(to[len(to)-1])
	for _, v := range values {
		out = protowire.AppendTag(out, last, v.kind)
		out = append(out, v.data...)
	}
	for i := len(to) - 2; i >= 0; i-- {
		out = protowire.AppendBytes(protowire.AppendTag(nil, protowire.Number(to[i]), protowire.BytesType), out)
	}
	return out
}
