package transcode

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

type specialWriter = func(e *messageEncoder, dst []byte, m protoreflect.Message) ([]byte, error)

// specialEncoder returns how a well-known type is written, nil for messages
// that are plain objects.
func specialEncoder(md protoreflect.MessageDescriptor) specialWriter {
	switch md.FullName() {
	case "google.protobuf.Timestamp":
		return appendTimestamp
	case "google.protobuf.Duration":
		return appendDuration
	case "google.protobuf.FieldMask":
		return appendFieldMask
	case "google.protobuf.Any":
		return appendAnyMessage
	case "google.protobuf.Value":
		return appendValue
	case "google.protobuf.BoolValue", "google.protobuf.StringValue", "google.protobuf.BytesValue",
		"google.protobuf.Int32Value", "google.protobuf.Int64Value", "google.protobuf.UInt32Value",
		"google.protobuf.UInt64Value", "google.protobuf.FloatValue", "google.protobuf.DoubleValue",
		"google.protobuf.Struct", "google.protobuf.ListValue":
		return appendOnlyField
	}
	return nil
}

// appendOnlyField writes a message as its one field: wrappers, Struct, ListValue.
func appendOnlyField(e *messageEncoder, dst []byte, m protoreflect.Message) ([]byte, error) {
	f := e.fields[0]
	return f.append(dst, m.Get(f.fd))
}

func appendValue(e *messageEncoder, dst []byte, m protoreflect.Message) ([]byte, error) {
	for _, f := range e.fields {
		if !m.Has(f.fd) {
			continue
		}
		v := m.Get(f.fd)
		if n, ok := v.Interface().(float64); ok && (math.IsNaN(n) || math.IsInf(n, 0)) {
			return dst, fmt.Errorf("google.protobuf.Value holds %v", n)
		}
		return f.append(dst, v)
	}
	return dst, errors.New("google.protobuf.Value holds nothing")
}

func secondsAndNanos(m protoreflect.Message) (int64, int64) {
	fields := m.Descriptor().Fields()
	return m.Get(fields.ByNumber(1)).Int(), m.Get(fields.ByNumber(2)).Int()
}

const (
	minTimestamp = -62135596800 // year 1
	maxTimestamp = 253402300799 // year 9999
	maxDuration  = 315576000000 // 10,000 years
	second       = 1_000_000_000
)

func appendTimestamp(_ *messageEncoder, dst []byte, m protoreflect.Message) ([]byte, error) {
	seconds, nanos := secondsAndNanos(m)
	if seconds < minTimestamp || seconds > maxTimestamp || nanos < 0 || nanos >= second {
		return dst, fmt.Errorf("timestamp of %d s and %d ns is out of range", seconds, nanos)
	}
	dst = time.Unix(seconds, nanos).UTC().AppendFormat(append(dst, '"'), "2006-01-02T15:04:05")
	return append(appendFraction(dst, nanos), 'Z', '"'), nil
}

func appendDuration(_ *messageEncoder, dst []byte, m protoreflect.Message) ([]byte, error) {
	seconds, nanos := secondsAndNanos(m)
	if seconds < -maxDuration || seconds > maxDuration || nanos <= -second || nanos >= second ||
		seconds > 0 && nanos < 0 || seconds < 0 && nanos > 0 {
		return dst, fmt.Errorf("duration of %d s and %d ns is out of range", seconds, nanos)
	}
	dst = append(dst, '"')
	if seconds < 0 || nanos < 0 {
		dst = append(dst, '-')
		seconds, nanos = -seconds, -nanos
	}
	dst = strconv.AppendInt(dst, seconds, 10)
	return append(appendFraction(dst, nanos), 's', '"'), nil
}

// appendFraction writes nanoseconds with no, three, six or nine digits.
func appendFraction(dst []byte, nanos int64) []byte {
	if nanos == 0 {
		return dst
	}
	digits := strconv.AppendInt(nil, second+nanos, 10)[1:]
	for len(digits) > 3 && string(digits[len(digits)-3:]) == "000" {
		digits = digits[:len(digits)-3]
	}
	return append(append(dst, '.'), digits...)
}

func appendFieldMask(_ *messageEncoder, dst []byte, m protoreflect.Message) ([]byte, error) {
	list := m.Get(m.Descriptor().Fields().ByNumber(1)).List()
	paths := make([]string, list.Len())
	for i := range paths {
		path := list.Get(i).String()
		if paths[i] = jsonCamel(path); jsonSnake(paths[i]) != path {
			return dst, fmt.Errorf("field mask holds %q, which JSON cannot write", path)
		}
	}
	return appendString(dst, strings.Join(paths, ","))
}

// jsonCamel writes a field's name, or a path or list of them, as JSON does.
func jsonCamel(s string) string {
	var b strings.Builder
	up := false
	for i := range len(s) {
		c := s[i]
		if c == '_' {
			up = true
			continue
		}
		if up && c >= 'a' && c <= 'z' {
			c -= 'a' - 'A'
		}
		up = false
		b.WriteByte(c)
	}
	return b.String()
}

func jsonSnake(s string) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if c >= 'A' && c <= 'Z' {
			b.WriteByte('_')
			c += 'a' - 'A'
		}
		b.WriteByte(c)
	}
	return b.String()
}

func appendAnyMessage(e *messageEncoder, dst []byte, m protoreflect.Message) ([]byte, error) {
	fields := m.Descriptor().Fields()
	url, raw := m.Get(fields.ByNumber(1)).String(), m.Get(fields.ByNumber(2)).Bytes()
	if url == "" && len(raw) == 0 {
		return append(dst, "{}"...), nil
	}
	mt, err := e.enc.types.FindMessageByURL(url)
	if err != nil {
		return dst, fmt.Errorf("write google.protobuf.Any of %.200q: %w", url, err)
	}
	inner := mt.New()
	if err := proto.Unmarshal(raw, inner.Interface()); err != nil {
		return dst, fmt.Errorf("write google.protobuf.Any of %.200q: %w", url, err)
	}
	dst = append(dst, `{"@type":`...)
	if dst, err = appendString(dst, url); err != nil {
		return dst, err
	}
	enc := e.enc.message(inner.Descriptor())
	if enc.special != nil {
		dst, err = enc.append(append(dst, `,"value":`...), inner)
	} else {
		dst, err = enc.appendFields(dst, inner)
	}
	return append(dst, '}'), err
}
