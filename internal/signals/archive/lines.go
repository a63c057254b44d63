package archive

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/gowarren/warren/internal/redact"
	"github.com/gowarren/warren/internal/signals/scrub"
	"github.com/gowarren/warren/internal/signals/segment"
)

// longestMessage bounds a line's message; the rest is cut off.
const longestMessage = 64 << 10

// Output is a line that a process printed.
type Output struct {
	Service, Instance string
	Time              time.Time // when it was read
	Text              string
}

// line makes a line of what a process printed: structured as log/slog writes
// JSON, or any text.
func (a *Archive) line(o Output) *segment.Line {
	o.Text = valid(o.Text)
	l := &segment.Line{Service: o.Service, Instance: o.Instance, ID: o.Time.UnixNano(), Level: segment.LevelInfo, Message: o.Text}
	if strings.HasPrefix(o.Text, "{") && structured(l, o.Text) {
		l.ID = a.believed(l.ID)
		return a.cleaned(l)
	}
	for _, panics := range [...]string{"panic:", "fatal error:", "SIGSEGV"} {
		if strings.HasPrefix(o.Text, panics) {
			l.Level = segment.LevelError
		}
	}
	return a.cleaned(l)
}

// structured reads a JSON object in its order; false: it is none.
func structured(l *segment.Line, text string) bool {
	if !json.Valid([]byte(text)) {
		return false
	}
	dec := json.NewDecoder(strings.NewReader(text))
	if _, err := dec.Token(); err != nil {
		return false
	}
	var rest fields
	l.Message = ""
	for dec.More() {
		token, err := dec.Token()
		key, ok := token.(string)
		var value json.RawMessage
		if err != nil || !ok || dec.Decode(&value) != nil {
			return false
		}
		if !known(l, key, value) {
			rest.add(key, value)
		}
	}
	l.Attributes = rest.object()
	return true
}

// known takes what a line is made of; false: it is another attribute.
func known(l *segment.Line, key string, value json.RawMessage) bool {
	var text string
	if json.Unmarshal(value, &text) != nil {
		return false
	}
	switch key {
	case "time":
		at, err := time.Parse(time.RFC3339Nano, text)
		if err == nil {
			l.ID = at.UnixNano()
		}
		return err == nil
	case "level":
		l.Level = levelOf(text)
	case "msg":
		l.Message = text
	case "trace_id":
		l.Trace = fromHex(text, 16)
		return l.Trace != nil || text == ""
	case "span_id":
		l.Span = fromHex(text, 8)
		return l.Span != nil || text == ""
	case "service", "instance", "environment": // of its process, which is known
	default:
		return false
	}
	return true
}

func fromHex(text string, size int) []byte {
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != size {
		return nil
	}
	return raw
}

func levelOf(text string) int {
	text = strings.ToUpper(text)
	switch {
	case strings.HasPrefix(text, "ERROR"), strings.HasPrefix(text, "FATAL"), strings.HasPrefix(text, "PANIC"):
		return segment.LevelError
	case strings.HasPrefix(text, "WARN"):
		return segment.LevelWarn
	case strings.HasPrefix(text, "DEBUG"), strings.HasPrefix(text, "TRACE"):
		return segment.LevelDebug
	}
	return segment.LevelInfo
}

// fields are attributes as a JSON object that keeps their order.
type fields struct{ b bytes.Buffer }

func (f *fields) add(key string, value []byte) {
	if f.b.Len() > longestValue {
		return
	}
	if len(value) > longestValue {
		if value[0] == '{' || value[0] == '[' { // which it is no more when it is cut: secrets are known by their names
			value, _ = cleanObject(slices.Concat([]byte("{"), quoted(key), []byte(":"), value, []byte("}")))
		}
		value = quoted(string(value[:min(len(value), longestValue)]) + "…")
	}
	if f.b.Len() == 0 {
		f.b.WriteByte('{')
	} else {
		f.b.WriteByte(',')
	}
	f.b.Write(quoted(key))
	f.b.WriteByte(':')
	f.b.Write(value)
}

func (f *fields) object() []byte {
	if f.b.Len() == 0 {
		return nil
	}
	f.b.WriteByte('}')
	return f.b.Bytes()
}

func quoted(s string) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) //nolint:errchkjson // a string always can be
	return bytes.TrimSpace(b.Bytes())
}

// cleaned takes secrets out, and what is too long.
func (a *Archive) cleaned(l *segment.Line) *segment.Line {
	if len(l.Message) > longestMessage {
		l.Message = l.Message[:longestMessage] + "…"
	}
	l.Message = valid(l.Message)
	l.Service, l.Instance = short(cmp.Or(l.Service, "unknown")), short(l.Instance)
	clean, n := redact.Text(l.Message)
	l.Message = clean
	if len(l.Attributes) > 0 {
		attributes, more := cleanObject(l.Attributes)
		l.Attributes = attributes
		n += more
	}
	a.redacted(n)
	return l
}

// cleanObject takes secrets out of a JSON object. Most have none and stay as
// they are; but one that has a name twice loses the value that it had first, which
// nobody has looked at.
func cleanObject(raw []byte) ([]byte, int) {
	m := pcommon.NewMap()
	var decoded map[string]any
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if dec.Decode(&decoded) != nil || m.FromRaw(plain(decoded).(map[string]any)) != nil { //nolint:forcetypeassert // plain keeps the type
		return quotedObject(), 1
	}
	n := scrub.Attributes(m)
	if n == 0 && colons(raw) == names(decoded) {
		return raw, 0
	}
	clean, err := json.Marshal(m.AsRaw())
	if err != nil {
		return quotedObject(), 1
	}
	return clean, n
}

// colons is how many names an object has, with those within.
func colons(raw []byte) (n int) {
	text := false
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case text && c == '\\':
			i++
		case c == '"':
			text = !text
		case !text && c == ':':
			n++
		}
	}
	return n
}

// names is how many of them are left when it was decoded.
func names(v any) (n int) {
	switch v := v.(type) {
	case map[string]any:
		for _, inner := range v {
			n += 1 + names(inner)
		}
	case []any:
		for _, inner := range v {
			n += names(inner)
		}
	}
	return n
}

func quotedObject() []byte { return []byte(`{"attributes":"` + redact.Redacted + `"}`) }

// plain replaces JSON numbers by their text, of which they are redacted.
func plain(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		if f, err := v.Float64(); err == nil {
			return f
		}
		return v.String()
	case map[string]any:
		for key, inner := range v {
			v[key] = plain(inner)
		}
	case []any:
		for i, inner := range v {
			v[i] = plain(inner)
		}
	}
	return v
}

// believed is the time of a line, or now, if its clock is far off.
func (a *Archive) believed(ns int64) int64 {
	if now := a.now().UnixNano(); ns > now+int64(mostAhead) || ns < now-int64(mostBehind) {
		return now
	}
	return ns
}

// records makes lines of what came by OTLP.
func (a *Archive) records(ld plog.Logs) []*segment.Line {
	var out []*segment.Line
	for _, rl := range ld.ResourceLogs().All() {
		from := origin(rl.Resource())
		for _, sl := range rl.ScopeLogs().All() {
			for _, r := range sl.LogRecords().All() {
				out = append(out, a.record(r, from))
			}
		}
	}
	return out
}

func (a *Archive) record(r plog.LogRecord, from from) *segment.Line {
	at := cmp.Or(r.Timestamp(), r.ObservedTimestamp())
	l := &segment.Line{
		ID: a.believed(at.AsTime().UnixNano()), Service: from.service, Instance: from.instance,
		Level: severity(r), Message: r.Body().AsString(),
	}
	if id := r.TraceID(); !id.IsEmpty() {
		l.Trace = id[:]
	}
	if id := r.SpanID(); !id.IsEmpty() {
		l.Span = id[:]
	}
	var rest fields
	for key, v := range r.Attributes().All() {
		if value, err := json.Marshal(v.AsRaw()); err == nil {
			rest.add(key, value)
		}
	}
	l.Attributes = rest.object()
	return a.cleaned(l)
}

func severity(r plog.LogRecord) int {
	switch n := r.SeverityNumber(); {
	case n >= plog.SeverityNumberError:
		return segment.LevelError
	case n >= plog.SeverityNumberWarn:
		return segment.LevelWarn
	case n >= plog.SeverityNumberInfo:
		return segment.LevelInfo
	case n > 0:
		return segment.LevelDebug
	}
	return levelOf(r.SeverityText())
}
