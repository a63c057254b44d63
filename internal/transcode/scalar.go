package transcode

import (
	"encoding/base64"
	"errors"
	"math"
	"strconv"
	"unicode/utf8"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// singular returns the writer of one value of the field's kind.
func (e *encoder) singular(fd protoreflect.FieldDescriptor) func([]byte, protoreflect.Value) ([]byte, error) {
	switch fd.Kind() {
	case protoreflect.MessageKind, protoreflect.GroupKind:
		m := e.compile(fd.Message())
		return func(dst []byte, v protoreflect.Value) ([]byte, error) { return m.append(dst, v.Message()) }
	case protoreflect.EnumKind:
		return e.enumWriter(fd.Enum())
	case protoreflect.StringKind:
		return func(dst []byte, v protoreflect.Value) ([]byte, error) { return appendString(dst, v.String()) }
	case protoreflect.BytesKind:
		return appendBytes
	case protoreflect.BoolKind:
		return func(dst []byte, v protoreflect.Value) ([]byte, error) { return strconv.AppendBool(dst, v.Bool()), nil }
	case protoreflect.FloatKind:
		return func(dst []byte, v protoreflect.Value) ([]byte, error) { return appendFloat(dst, v.Float(), 32), nil }
	case protoreflect.DoubleKind:
		return func(dst []byte, v protoreflect.Value) ([]byte, error) { return appendFloat(dst, v.Float(), 64), nil }
	}
	return e.integer(fd.Kind())
}

func (e *encoder) integer(kind protoreflect.Kind) func([]byte, protoreflect.Value) ([]byte, error) {
	quote := !e.options.Int64Numbers
	switch kind {
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		quote = false
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return func(dst []byte, v protoreflect.Value) ([]byte, error) {
			return strconv.AppendUint(dst, v.Uint(), 10), nil
		}
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return func(dst []byte, v protoreflect.Value) ([]byte, error) {
			if quote {
				return append(strconv.AppendUint(append(dst, '"'), v.Uint(), 10), '"'), nil
			}
			return strconv.AppendUint(dst, v.Uint(), 10), nil
		}
	}
	return func(dst []byte, v protoreflect.Value) ([]byte, error) {
		if quote {
			return append(strconv.AppendInt(append(dst, '"'), v.Int(), 10), '"'), nil
		}
		return strconv.AppendInt(dst, v.Int(), 10), nil
	}
}

func (e *encoder) enumWriter(ed protoreflect.EnumDescriptor) func([]byte, protoreflect.Value) ([]byte, error) {
	null := ed.FullName() == "google.protobuf.NullValue"
	return func(dst []byte, v protoreflect.Value) ([]byte, error) {
		if null {
			return append(dst, "null"...), nil
		}
		if value := ed.Values().ByNumber(v.Enum()); value != nil && !e.options.EnumNumbers {
			return append(append(append(dst, '"'), value.Name()...), '"'), nil
		}
		return strconv.AppendInt(dst, int64(v.Enum()), 10), nil
	}
}

func appendBytes(dst []byte, v protoreflect.Value) ([]byte, error) {
	dst = base64.StdEncoding.AppendEncode(append(dst, '"'), v.Bytes())
	return append(dst, '"'), nil
}

func appendFloat(dst []byte, f float64, bits int) []byte {
	switch {
	case math.IsNaN(f):
		return append(dst, `"NaN"`...)
	case math.IsInf(f, 1):
		return append(dst, `"Infinity"`...)
	case math.IsInf(f, -1):
		return append(dst, `"-Infinity"`...)
	}
	format := byte('f')
	if abs := math.Abs(f); abs != 0 {
		if bits == 64 && (abs < 1e-6 || abs >= 1e21) || bits == 32 && (float32(abs) < 1e-6 || float32(abs) >= 1e21) {
			format = 'e'
		}
	}
	dst = strconv.AppendFloat(dst, f, format, -1, bits)
	// JavaScript, and so every JSON library, writes e-9 where Go writes e-09.
	if n := len(dst); format == 'e' && n >= 4 && dst[n-4] == 'e' && dst[n-3] == '-' && dst[n-2] == '0' {
		dst[n-2] = dst[n-1]
		dst = dst[:n-1]
	}
	return dst
}

var errUTF8 = errors.New("a string is not valid UTF-8")

const hexDigits = "0123456789abcdef"

func appendString(dst []byte, s string) ([]byte, error) {
	if !utf8.ValidString(s) {
		return dst, errUTF8
	}
	dst = append(dst, '"')
	start := 0
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[start:i]...)
		start = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\b':
			dst = append(dst, '\\', 'b')
		case '\f':
			dst = append(dst, '\\', 'f')
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"'), nil
}
