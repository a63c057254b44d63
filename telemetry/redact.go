package telemetry

import (
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode"

	"go.opentelemetry.io/otel/attribute"
	"google.golang.org/protobuf/proto"
)

// redacted stands where a secret was.
const redacted = "[redacted]"

// secretKey says whether an attribute of this name holds a secret. Long words
// count wherever they stand ("accessToken"), short ones only by themselves
// ("card_number", but not "discarded"). That hides "tokens_left" too: better a
// number hidden than a token shown.
func secretKey(key string) bool {
	lower := strings.ToLower(key)
	for _, part := range [...]string{
		"password", "passwd", "passphrase", "secret", "token", "authorization", "credential", "cookie",
		"apikey", "api_key", "api-key", "privatekey", "private_key", "private-key",
	} {
		if strings.Contains(lower, part) {
			return true
		}
	}
	return slices.ContainsFunc(words(key), func(word string) bool {
		switch word {
		case "card", "cards", "cvv", "cvc", "pin", "iban", "jwt":
			return true
		}
		return false
	})
}

// words splits "card_number", "card-number" and "cardNumber" alike.
func words(key string) []string {
	var b strings.Builder
	for i, r := range key {
		if i > 0 && unicode.IsUpper(r) {
			b.WriteByte(' ')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return strings.FieldsFunc(b.String(), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}

// redactLog is what every log attribute passes through. Values whose type is a
// secret (a slog.LogValuer such as config.Secret) arrive already resolved.
func redactLog(groups []string, a slog.Attr) slog.Attr {
	if secretKey(a.Key) || slices.ContainsFunc(groups, secretKey) {
		return slog.String(a.Key, redacted)
	}
	if a.Value.Kind() == slog.KindDuration {
		return slog.String(a.Key, a.Value.Duration().String()) // a number of nanoseconds is for nobody
	}
	if a.Value.Kind() != slog.KindAny {
		return a
	}
	switch v := a.Value.Any().(type) {
	case proto.Message:
		a.Value = protoValue{v}.LogValue()
	case http.Header:
		a.Value = slog.AnyValue(redactHeader(v))
	case *url.URL:
		if v != nil {
			a.Value = slog.StringValue(v.Redacted())
		}
	}
	return a
}

func redactHeader(h http.Header) http.Header {
	clean := make(http.Header, len(h))
	for key, values := range h {
		if secretKey(key) {
			values = []string{redacted}
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
		if secretKey(string(a.Key)) {
			a.Value = attribute.StringValue(redacted)
		}
		kept[i] = a
	}
	return kept
}
