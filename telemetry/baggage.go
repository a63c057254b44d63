package telemetry

import (
	"context"
	"net/url"
	"slices"
	"strings"

	"go.opentelemetry.io/otel/attribute"
)

// baggageKey is the header's name in the W3C Baggage recommendation.
const baggageKey = "baggage"

// defaultBaggage are the keys that are carried where nobody said otherwise.
const defaultBaggage = "synthetic"

// What is carried is for labels of a few words, and goes with every call.
const (
	maxBaggage      = 8
	maxBaggageValue = 64
)

// WithBaggage has a value carried along with the trace of ctx through every call
// and event, if the setting trace.baggage allows its key. WithBaggage(ctx,
// "synthetic", "true") marks what a test or a probe does.
func WithBaggage(ctx context.Context, key, value string) context.Context {
	l := linkOf(ctx)
	var members []string
	if l != nil && l.baggage != nil {
		members = slices.DeleteFunc(strings.Split(*l.baggage, ","), func(m string) bool { return strings.HasPrefix(m, key+"=") })
	}
	if !baggageToken(key) || len(value) > maxBaggageValue || len(members) >= maxBaggage {
		return ctx
	}
	return carry(ctx, strings.Join(append(members, key+"="+url.PathEscape(value)), ","))
}

// Baggage returns what the trace of ctx carries under a key, or "".
func Baggage(ctx context.Context, key string) string {
	if l := linkOf(ctx); l != nil && l.baggage != nil {
		for name, value := range baggageMembers(*l.baggage) {
			if name == key {
				return value
			}
		}
	}
	return ""
}

// carry returns ctx with other baggage.
func carry(ctx context.Context, baggage string) context.Context {
	if baggage == "" {
		return ctx
	}
	next := &link{Context: ctx, baggage: &baggage}
	if l := linkOf(ctx); l != nil {
		next.passage, next.id, next.flags, next.remote = l.passage, l.id, l.flags, l.remote
		next.open, next.kept, next.current = l.open, l.kept, l.current
	}
	return next
}

// filterBaggage keeps of a header the members whose keys are allowed.
func filterBaggage(sent, allowed string) string {
	if len(sent) > 8192 { // as much as the recommendation asks to be carried
		return ""
	}
	var kept []string
	for name, value := range baggageMembers(sent) {
		if len(kept) < maxBaggage && len(value) <= maxBaggageValue && listed(allowed, name) {
			kept = append(kept, name+"="+url.PathEscape(value))
		}
	}
	return strings.Join(kept, ",")
}

// listed says whether a list of words, with commas between them, has this one.
func listed(list, word string) bool {
	for w := range strings.SplitSeq(list, ",") {
		if strings.TrimSpace(w) == word {
			return true
		}
	}
	return false
}

// baggageMembers goes through a header, without the properties of its members.
func baggageMembers(s string) func(yield func(key, value string) bool) {
	return func(yield func(string, string) bool) {
		for member := range strings.SplitSeq(s, ",") {
			member, _, _ = strings.Cut(member, ";")
			key, value, ok := strings.Cut(member, "=")
			key = strings.TrimSpace(key)
			value, err := url.PathUnescape(strings.TrimSpace(value))
			if ok && err == nil && baggageToken(key) && !yield(key, value) {
				return
			}
		}
	}
}

// baggageToken says whether a key is one that fits everywhere: a word.
func baggageToken(key string) bool {
	for _, c := range []byte(key) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' && c != '-' && c != '.' {
			return false
		}
	}
	return key != ""
}

// baggageAttrs are a span's attributes for what its trace carries.
func baggageAttrs(l *link) []attribute.KeyValue {
	if l.baggage == nil {
		return nil
	}
	var attrs []attribute.KeyValue
	for key, value := range baggageMembers(*l.baggage) {
		attrs = append(attrs, attribute.String("baggage."+key, value))
	}
	return attrs
}
