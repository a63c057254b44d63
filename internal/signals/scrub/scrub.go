// Package scrub takes secrets out of traces and logs before they are stored:
// values under the names of secrets, and card numbers wherever they stand.
package scrub

import (
	"strconv"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/gowarren/warren/internal/redact"
)

// maxDepth bounds how far nested values are looked at; what lies deeper is not kept.
const maxDepth = 16

// Attributes redacts in place, and returns how many values it replaced.
func Attributes(m pcommon.Map) int { return attributes(m, 0) }

func attributes(m pcommon.Map, depth int) int {
	n := 0
	m.Range(func(key string, v pcommon.Value) bool {
		if redact.Key(key) && v.AsString() != redact.Redacted {
			v.SetStr(redact.Redacted)
			n++
			return true
		}
		n += value(v, depth)
		return true
	})
	return n
}

// value redacts card numbers in a value, and secrets in what it is made of.
func value(v pcommon.Value, depth int) int {
	if depth > maxDepth {
		v.SetStr(redact.Redacted)
		return 1
	}
	switch v.Type() {
	case pcommon.ValueTypeStr:
		clean, n := redact.Text(v.Str())
		if n > 0 {
			v.SetStr(clean)
		}
		return n
	case pcommon.ValueTypeInt:
		if _, n := redact.Text(strconv.FormatInt(v.Int(), 10)); n > 0 {
			v.SetStr(redact.Redacted)
			return n
		}
	case pcommon.ValueTypeDouble:
		if _, n := redact.Text(strconv.FormatFloat(v.Double(), 'f', -1, 64)); n > 0 {
			v.SetStr(redact.Redacted)
			return n
		}
	case pcommon.ValueTypeBytes:
		clean, n := redact.Text(string(v.Bytes().AsRaw()))
		if n > 0 {
			v.SetEmptyBytes().FromRaw([]byte(clean))
		}
		return n
	case pcommon.ValueTypeMap:
		return attributes(v.Map(), depth+1)
	case pcommon.ValueTypeSlice:
		n := 0
		for i := range v.Slice().Len() {
			n += value(v.Slice().At(i), depth+1)
		}
		return n
	}
	return 0
}
