package idempotency

import (
	"crypto/sha256"
	"encoding/hex"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/gowarren/warren/internal/contract"
)

// checksum tells whether two requests are the same. What the contract calls
// secret is left out: there are so few card numbers that who reads the checksum
// of one can find the number.
func checksum(req proto.Message) (string, error) {
	req = proto.Clone(req)
	hide(req.ProtoReflect())
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(req)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:]), nil
}

func hide(m protoreflect.Message) {
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case contract.Secret(fd):
			m.Clear(fd)
		case fd.IsMap() && fd.MapValue().Message() != nil:
			v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool { hide(v.Message()); return true })
		case fd.IsMap() || fd.Message() == nil:
		case fd.IsList():
			for i := range v.List().Len() {
				hide(v.List().Get(i).Message())
			}
		default:
			hide(v.Message())
		}
		return true
	})
}
