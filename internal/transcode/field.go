package transcode

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// fieldPath is the way from a message to a field in it.
type fieldPath []protoreflect.FieldDescriptor

// resolvePath follows names, as the contract or as JSON writes them.
func resolvePath(md protoreflect.MessageDescriptor, path string) (fieldPath, error) {
	var out fieldPath
	for rest, more := path, true; more; {
		var name string
		name, rest, more = strings.Cut(rest, ".")
		fd := fieldByName(md, name)
		if fd == nil {
			return nil, fmt.Errorf("%s has no field %.64q", md.FullName(), name)
		}
		out = append(out, fd)
		if !more {
			return out, nil
		}
		if fd.Message() == nil || fd.IsList() || fd.IsMap() || textMessage(fd.Message()) != notText {
			return nil, fmt.Errorf("%.64q has no fields", name)
		}
		if len(out) == depth {
			return nil, errors.New("the path is too long")
		}
		md = fd.Message()
	}
	return out, nil
}

func fieldByName(md protoreflect.MessageDescriptor, name string) protoreflect.FieldDescriptor {
	if fd := md.Fields().ByName(protoreflect.Name(name)); fd != nil {
		return fd
	}
	return md.Fields().ByJSONName(name)
}

func (p fieldPath) last() protoreflect.FieldDescriptor { return p[len(p)-1] }

// String writes the path as the contract names it.
func (p fieldPath) String() string {
	names := make([]string, len(p))
	for i, fd := range p {
		names[i] = string(fd.Name())
	}
	return strings.Join(names, ".")
}

// holder returns the message that holds the path's last field, making those
// on the way.
func (p fieldPath) holder(m protoreflect.Message) protoreflect.Message {
	for _, fd := range p[:len(p)-1] {
		m = m.Mutable(fd).Message()
	}
	return m
}

// set parses the text for the path's last field; a repeated field grows.
func (p fieldPath) set(m protoreflect.Message, text string) error {
	holder, fd := p.holder(m), p.last()
	if !fd.IsList() {
		value, err := parseText(fd, text, func() protoreflect.Value { return holder.NewField(fd) })
		if err != nil {
			return err
		}
		holder.Set(fd, value)
		return nil
	}
	list := holder.Mutable(fd).List()
	value, err := parseText(fd, text, list.NewElement)
	if err != nil {
		return err
	}
	list.Append(value)
	return nil
}

// textKind says how a message can be written outside of JSON.
type textKind int

const (
	notText textKind = iota
	quoted           // its JSON is a string: the text is the string's content
	literal          // its JSON is a number or a boolean: the text is the JSON
)

func textMessage(md protoreflect.MessageDescriptor) textKind {
	switch md.FullName() {
	case "google.protobuf.Timestamp", "google.protobuf.Duration", "google.protobuf.FieldMask",
		"google.protobuf.StringValue", "google.protobuf.BytesValue",
		"google.protobuf.Int64Value", "google.protobuf.UInt64Value",
		"google.protobuf.Int32Value", "google.protobuf.UInt32Value",
		"google.protobuf.FloatValue", "google.protobuf.DoubleValue":
		return quoted
	case "google.protobuf.BoolValue":
		return literal
	}
	return notText
}

// fromText tells whether a field's value can stand in a path or a query.
func fromText(fd protoreflect.FieldDescriptor) bool {
	if fd.IsMap() {
		return false
	}
	return fd.Message() == nil || textMessage(fd.Message()) != notText
}

func parseText(fd protoreflect.FieldDescriptor, text string, empty func() protoreflect.Value) (protoreflect.Value, error) {
	if !utf8.ValidString(text) {
		return protoreflect.Value{}, errors.New("is not valid UTF-8")
	}
	if fd.Message() != nil {
		return parseMessage(fd.Message(), text, empty())
	}
	value, ok := parseScalar(fd, text)
	if !ok {
		return value, fmt.Errorf("%.64q is not %s", text, kindName(fd))
	}
	return value, nil
}

func parseMessage(md protoreflect.MessageDescriptor, text string, value protoreflect.Value) (protoreflect.Value, error) {
	json := []byte(text)
	if textMessage(md) == quoted {
		var err error
		if json, err = appendString(nil, maskText(md, text)); err != nil {
			return value, err
		}
	}
	options := protojson.UnmarshalOptions{RecursionLimit: depth}
	if err := options.Unmarshal(json, value.Message().Interface()); err != nil {
		return value, fmt.Errorf("%.64q is not a %s", text, md.FullName())
	}
	return value, nil
}

// maskText lets field masks in queries use the contract's names as well as
// those of JSON.
func maskText(md protoreflect.MessageDescriptor, text string) string {
	if md.FullName() != "google.protobuf.FieldMask" {
		return text
	}
	return jsonCamel(text)
}

func parseScalar(fd protoreflect.FieldDescriptor, text string) (protoreflect.Value, bool) {
	switch fd.Kind() {
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(text), true
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(text == "true"), text == "true" || text == "false"
	case protoreflect.BytesKind:
		b, err := parseBytes(text)
		return protoreflect.ValueOfBytes(b), err == nil
	case protoreflect.EnumKind:
		return parseEnum(fd.Enum(), text)
	case protoreflect.FloatKind:
		f, err := parseFloat(text, 32)
		return protoreflect.ValueOfFloat32(float32(f)), err == nil
	case protoreflect.DoubleKind:
		f, err := parseFloat(text, 64)
		return protoreflect.ValueOfFloat64(f), err == nil
	}
	return parseInteger(fd.Kind(), text)
}

func parseInteger(kind protoreflect.Kind, text string) (protoreflect.Value, bool) {
	switch kind {
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		n, err := strconv.ParseInt(text, 10, 32)
		return protoreflect.ValueOfInt32(int32(n)), err == nil
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		n, err := strconv.ParseUint(text, 10, 32)
		return protoreflect.ValueOfUint32(uint32(n)), err == nil
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		n, err := strconv.ParseInt(text, 10, 64)
		return protoreflect.ValueOfInt64(n), err == nil
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		n, err := strconv.ParseUint(text, 10, 64)
		return protoreflect.ValueOfUint64(n), err == nil
	}
	return protoreflect.Value{}, false
}

// parseFloat takes what JSON takes, and the three names of the proto3 mapping;
// Go's own spellings (hexadecimal, underscores, "inf") are not for the outside.
func parseFloat(text string, bits int) (float64, error) {
	switch text {
	case "NaN":
		return math.NaN(), nil
	case "Infinity":
		return math.Inf(1), nil
	case "-Infinity":
		return math.Inf(-1), nil
	}
	if strings.Trim(text, "0123456789+-.eE") != "" {
		return 0, strconv.ErrSyntax
	}
	return strconv.ParseFloat(text, bits)
}

// parseBytes takes both alphabets of base64, padded or not.
func parseBytes(text string) ([]byte, error) {
	text = strings.TrimRight(strings.NewReplacer("-", "+", "_", "/").Replace(text), "=")
	return base64.RawStdEncoding.DecodeString(text)
}

func parseEnum(ed protoreflect.EnumDescriptor, text string) (protoreflect.Value, bool) {
	if v := ed.Values().ByName(protoreflect.Name(text)); v != nil {
		return protoreflect.ValueOfEnum(v.Number()), true
	}
	n, err := strconv.ParseInt(text, 10, 32)
	number := protoreflect.EnumNumber(n)
	known := ed.Values().ByNumber(number) != nil
	return protoreflect.ValueOfEnum(number), err == nil && known
}

func kindName(fd protoreflect.FieldDescriptor) string {
	switch fd.Kind() {
	case protoreflect.EnumKind:
		return "a value of " + string(fd.Enum().FullName())
	case protoreflect.BytesKind:
		return "base64"
	case protoreflect.BoolKind:
		return "true or false"
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		return "a number"
	}
	return "a valid " + fd.Kind().String()
}
