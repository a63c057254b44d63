package sample

import (
	"encoding/json"
	"math"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
)

// text is a text that keeps the rules of its field.
func text(rules *validate.FieldRules) any {
	r := rules.GetString()
	if r != nil && r.Const != nil {
		return r.GetConst()
	}
	if len(r.GetIn()) > 0 {
		for _, one := range r.GetIn() {
			if one != "" || !rules.GetRequired() {
				return one
			}
		}
	}
	switch {
	case r.GetEmail():
		return "ada@example.com"
	case r.GetUuid():
		return "6f9619ff-8b86-4d01-b42d-00cf4fc964ff"
	case r.GetUri(), r.GetUriRef():
		return "https://example.com/"
	case r.GetHostname(), r.GetAddress():
		return "example.com"
	case r.GetIp(), r.GetIpv4():
		return "192.0.2.1"
	case r.GetIpv6():
		return "2001:db8::1"
	}
	least := max(r.GetMinLen(), r.GetLen(), r.GetMinBytes(), r.GetLenBytes(), oneIf(rules.GetRequired()))
	if r.GetPattern() != "" {
		return match(r.GetPattern(), int(least))
	}
	out := r.GetPrefix() + r.GetContains() + r.GetSuffix()
	const filling = "example"
	for i := 0; utf8.RuneCountInString(out) < int(least); i++ {
		out = out[:len(out)-len(r.GetSuffix())] + string(filling[i%len(filling)]) + r.GetSuffix()
	}
	return out
}

// match is a text that a pattern allows, of a length at least; what repeats at
// will does so ever more often until it is long enough.
func match(pattern string, least int) string {
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return ""
	}
	allowed, err := regexp.Compile(pattern)
	if err != nil {
		return ""
	}
	const most = 256
	for times := 0; times <= most; times = 2*times + 1 {
		var out strings.Builder
		writeMatch(&out, parsed, times)
		if s := out.String(); utf8.RuneCountInString(s) >= least && allowed.MatchString(s) {
			return s
		}
	}
	return ""
}

func writeMatch(w *strings.Builder, re *syntax.Regexp, times int) {
	repeat := func(least, most int) {
		n := max(least, times)
		if most >= 0 {
			n = min(n, most)
		}
		for range n {
			writeMatch(w, re.Sub[0], times)
		}
	}
	switch re.Op {
	case syntax.OpLiteral:
		w.WriteString(string(re.Rune))
	case syntax.OpCharClass:
		w.WriteRune(friendly(re.Rune))
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		w.WriteByte('a')
	case syntax.OpStar:
		repeat(0, -1)
	case syntax.OpPlus:
		repeat(1, -1)
	case syntax.OpQuest:
		repeat(0, 1)
	case syntax.OpRepeat:
		repeat(re.Min, re.Max)
	case syntax.OpAlternate:
		writeMatch(w, re.Sub[0], times)
	case syntax.OpConcat, syntax.OpCapture:
		for _, sub := range re.Sub {
			writeMatch(w, sub, times)
		}
	}
}

// friendly is a letter or a digit of a class of characters, where it has one.
func friendly(ranges []rune) rune {
	for _, wanted := range "aA1x" {
		for i := 0; i+1 < len(ranges); i += 2 {
			if ranges[i] <= wanted && wanted <= ranges[i+1] {
				return wanted
			}
		}
	}
	if len(ranges) == 0 {
		return 'a'
	}
	return ranges[0]
}

// number is the first of some numbers that the rules allow. Every kind of
// number has rules of its own, whose fields have the same names.
func number(kind protoreflect.Kind, rules *validate.FieldRules) any {
	allowed := numberRules(rules)
	try := append([]float64{0, 1}, allowed.in...)
	for _, end := range []float64{allowed.from, allowed.to} {
		if !math.IsInf(end, 0) {
			try = append(try, end, end+1, end-1, end+0.001, end-0.001)
		}
	}
	found := 0.0
	for _, v := range try {
		whole := v == math.Trunc(v) || kind == protoreflect.DoubleKind || kind == protoreflect.FloatKind
		if whole && allowed.allow(v) && (v != 0 || !rules.GetRequired()) {
			found = v
			break
		}
	}
	switch kind {
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind, protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return strconv.FormatFloat(found, 'f', -1, 64) // as proto3 JSON writes what JavaScript would round
	}
	return json.Number(strconv.FormatFloat(found, 'f', -1, 64))
}

// bounds are the rules of a number.
type bounds struct {
	from, to     float64
	above, below bool // whether the ends themselves are left out
	in           []float64
	out          []float64
}

func (b bounds) allow(v float64) bool {
	if v < b.from || v > b.to || b.above && v == b.from || b.below && v == b.to {
		return false
	}
	return !slices.Contains(b.out, v) && (len(b.in) == 0 || slices.Contains(b.in, v))
}

func numberRules(rules *validate.FieldRules) bounds {
	b := bounds{from: math.Inf(-1), to: math.Inf(1)}
	m := rules.ProtoReflect()
	if rules == nil {
		return b
	}
	kind := m.WhichOneof(m.Descriptor().Oneofs().ByName("type"))
	if kind == nil || kind.Message() == nil {
		return b
	}
	m.Get(kind).Message().Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch fd.Name() {
		case "gt", "gte":
			b.from, b.above = value(v), fd.Name() == "gt"
		case "lt", "lte":
			b.to, b.below = value(v), fd.Name() == "lt"
		case "const":
			b.in = []float64{value(v)}
		case "in", "not_in":
			var all []float64
			for i := range v.List().Len() {
				all = append(all, value(v.List().Get(i)))
			}
			if fd.Name() == "in" {
				b.in = all
			} else {
				b.out = all
			}
		}
		return true
	})
	return b
}

func value(v protoreflect.Value) float64 {
	switch n := v.Interface().(type) {
	case int32:
		return float64(n)
	case int64:
		return float64(n)
	case uint32:
		return float64(n)
	case uint64:
		return float64(n)
	case float32:
		return float64(n)
	case float64:
		return n
	}
	return 0
}

func wellKnown(d protoreflect.MessageDescriptor, rules *validate.FieldRules) any {
	switch d.Name() {
	case "Timestamp":
		at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		if rules.GetTimestamp().GetGtNow() {
			at = time.Now().Add(time.Hour).Truncate(time.Second).UTC()
		}
		return at.Format(time.RFC3339)
	case "Duration":
		return duration(rules.GetDuration())
	case "ListValue":
		return []any{}
	case "FieldMask", "StringValue", "BytesValue":
		return ""
	case "BoolValue":
		return false
	case "Int32Value", "UInt32Value", "Int64Value", "UInt64Value", "FloatValue", "DoubleValue":
		return 0
	}
	return map[string]any{}
}

func duration(r *validate.DurationRules) string {
	d := time.Second
	most := func(one *durationpb.Duration, off time.Duration) {
		if one != nil {
			d = min(d, one.AsDuration()-off)
		}
	}
	least := func(one *durationpb.Duration, off time.Duration) {
		if one != nil {
			d = max(d, one.AsDuration()+off)
		}
	}
	most(r.GetLte(), 0)
	most(r.GetLt(), time.Millisecond)
	least(r.GetGte(), 0)
	least(r.GetGt(), time.Millisecond)
	return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) + "s"
}
