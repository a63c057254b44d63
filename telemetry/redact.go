package telemetry

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"google.golang.org/protobuf/proto"

	"github.com/gowarren/warren/internal/redact"
)

// redactLog is what every log attribute passes through, the message included.
// Values whose type is a secret (a slog.LogValuer such as config.Secret) arrive
// already resolved.
func redactLog(groups []string, a slog.Attr) slog.Attr {
	if redact.Key(a.Key) || slices.ContainsFunc(groups, redact.Key) {
		return slog.String(a.Key, redact.Redacted)
	}
	switch a.Value.Kind() {
	case slog.KindDuration:
		return slog.String(a.Key, a.Value.Duration().String()) // a number of nanoseconds is for nobody
	case slog.KindString:
		if len(groups) == 0 && (a.Key == "trace_id" || a.Key == "span_id") {
			return a // an id of digits only is no card
		}
		return slog.String(a.Key, withoutCards(a.Value.String()))
	case slog.KindInt64, slog.KindUint64, slog.KindFloat64:
		return redactNumber(a)
	case slog.KindAny:
		return slog.Attr{Key: a.Key, Value: redactAny(a.Value)}
	}
	return a
}

func withoutCards(s string) string {
	s, _ = redact.Text(s)
	return s
}

// redactNumber hides a number that is a card's.
func redactNumber(a slog.Attr) slog.Attr {
	var digits string
	switch a.Value.Kind() {
	case slog.KindFloat64:
		if a.Value.Float64() < leastCard {
			return a
		}
		digits = strconv.FormatFloat(a.Value.Float64(), 'f', -1, 64)
	case slog.KindUint64:
		digits = strconv.FormatUint(a.Value.Uint64(), 10)
	default:
		if a.Value.Int64() < leastCard {
			return a
		}
		digits = strconv.FormatInt(a.Value.Int64(), 10)
	}
	if _, n := redact.Text(digits); n > 0 {
		return slog.String(a.Key, redact.Redacted)
	}
	return a
}

// leastCard is less than any card number.
const leastCard = 1e12

// redactAny redacts what only its type tells how to.
func redactAny(value slog.Value) slog.Value {
	switch v := value.Any().(type) {
	case proto.Message:
		return redactAny(protoValue{v}.LogValue())
	case json.RawMessage:
		if clean, n := redact.Text(string(v)); n > 0 {
			return slog.StringValue(clean) // it may be JSON no longer
		}
	case http.Header:
		return slog.AnyValue(redactHeader(v))
	case *url.URL:
		if v != nil {
			return slog.StringValue(withoutCards(v.Redacted()))
		}
	case error:
		return slog.StringValue(withoutCards(v.Error()))
	case []byte:
		return slog.AnyValue([]byte(withoutCards(string(v))))
	case time.Time, nil:
	default:
		return redactShown(value)
	}
	return value
}

// redactShown looks at a value as it would be shown, and shows it redacted if it
// holds a card number.
func redactShown(value slog.Value) slog.Value {
	if clean, n := redact.Text(fmt.Sprintf("%+v", value.Any())); n > 0 {
		return slog.StringValue(clean)
	}
	return value
}

func redactHeader(h http.Header) http.Header {
	clean := make(http.Header, len(h))
	for key, values := range h {
		if redact.Key(key) {
			values = []string{redact.Redacted}
		}
		clean[key] = values
	}
	return clean
}

// redactAttrs copies attrs, which also keeps the caller's slice off the heap:
// a span that isn't recorded then costs no allocation for its attributes.
func redactAttrs(attrs []attribute.KeyValue) []attribute.KeyValue {
	kept := make([]attribute.KeyValue, len(attrs))
	for i, a := range attrs {
		switch {
		case redact.Key(string(a.Key)):
			a.Value = attribute.StringValue(redact.Redacted)
		case a.Value.Type() == attribute.STRING:
			if clean, n := redact.Text(a.Value.AsString()); n > 0 {
				a.Value = attribute.StringValue(clean)
			}
		case a.Value.Type() != attribute.BOOL:
			if _, n := redact.Text(a.Value.String()); n > 0 {
				a.Value = attribute.StringValue(redact.Redacted)
			}
		}
		kept[i] = a
	}
	return kept
}
