package gateway

import (
	"context"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/gowarren/warren/internal/contract"
	"github.com/gowarren/warren/internal/limit"
	"github.com/gowarren/warren/internal/transcode"
	"github.com/gowarren/warren/rpc"
)

// maxName bounds request ids and idempotency keys.
const maxName = 255

// requestID keeps the client's name for the request, if it is one.
func requestID(r *http.Request) string {
	if id := r.Header.Get("X-Request-Id"); id != "" && len(id) <= 128 && plainName(id) {
		return id
	}
	const digits = "0123456789abcdef"
	var id [24]byte
	for i := 0; i < len(id); i += 8 {
		n := rand.Uint64()
		for j := range 8 {
			id[i+j] = digits[n&15]
			n >>= 4
		}
	}
	return string(id[:])
}

func plainName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '-' && c != '_' && c != '.' && c != ':' {
			return false
		}
	}
	return true
}

// metadata adds what travels with the call beside the caller.
func (e *exchange) metadata() *transcode.Problem {
	kv := make([]string, 0, 6)
	kv = append(kv, rpc.MetadataRequestID, e.id)
	if e.address != "" {
		kv = append(kv, rpc.MetadataClientAddress, e.address)
	}
	key, p := e.idempotencyKey()
	if p != nil {
		return p
	}
	if key != "" {
		kv = append(kv, rpc.MetadataIdempotencyKey, key)
	}
	e.ctx = metadata.AppendToOutgoingContext(e.ctx, kv...)
	return nil
}

// idempotencyKey reads the header, which may quote its value as the draft of
// the standard does.
func (e *exchange) idempotencyKey() (string, *transcode.Problem) {
	mode := e.endpoint.method.IdempotencyKey
	if mode == contract.KeyNone {
		return "", nil
	}
	key := e.r.Header.Get("Idempotency-Key")
	if len(key) > 1 && key[0] == '"' && key[len(key)-1] == '"' {
		key = key[1 : len(key)-1]
	}
	switch {
	case key == "" && mode == contract.KeyRequired:
		return "", headerProblem("IDEMPOTENCY_KEY_REQUIRED", "Idempotency-Key",
			"is required: send a new, random value for each new operation, and the same one when you repeat it")
	case len(key) > maxName || strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }):
		return "", headerProblem("INVALID_REQUEST", "Idempotency-Key", "must be at most 255 visible ASCII characters")
	}
	return key, nil
}

func headerProblem(reason, header, description string) *transcode.Problem {
	p := transcode.NewProblem(http.StatusBadRequest, reason, "the header "+header+" "+description)
	p.Violations = []transcode.Violation{{Field: header, Description: description}}
	return p
}

// deadline obeys a client that wants to wait for a limited time only; the
// contract's timeout bounds it in the call.
func (e *exchange) deadline() (context.CancelFunc, *transcode.Problem) {
	nothing := func() {}
	name, text, parse := "X-Request-Timeout", e.r.Header.Get("X-Request-Timeout"), parseTimeout
	if e.grpc != notGRPC {
		name, text, parse = "Grpc-Timeout", e.r.Header.Get("Grpc-Timeout"), parseGRPCTimeout
	}
	if text == "" {
		return nothing, nil
	}
	d, ok := parse(text)
	if !ok || d <= 0 {
		return nothing, headerProblem("INVALID_REQUEST", name, "is not a time span, such as 1.5s or 250ms")
	}
	ctx, cancel := context.WithTimeout(e.ctx, d)
	e.ctx = ctx
	return cancel, nil
}

// parseTimeout reads "250ms", "1.5s", or a number of seconds.
func parseTimeout(text string) (time.Duration, bool) {
	if seconds, err := strconv.ParseFloat(text, 64); err == nil && seconds > 0 && seconds < 1e9 {
		return time.Duration(seconds * float64(time.Second)), true
	}
	d, err := time.ParseDuration(text)
	return d, err == nil
}

// parseGRPCTimeout reads up to eight digits and a unit.
func parseGRPCTimeout(text string) (time.Duration, bool) {
	if len(text) < 2 || len(text) > 9 {
		return 0, false
	}
	n, err := strconv.ParseUint(text[:len(text)-1], 10, 32)
	if err != nil {
		return 0, false
	}
	units := map[byte]time.Duration{'H': time.Hour, 'M': time.Minute, 'S': time.Second, 'm': time.Millisecond, 'u': time.Microsecond, 'n': time.Nanosecond}
	unit, ok := units[text[len(text)-1]]
	if !ok || n > uint64(1<<63-1)/uint64(max(unit, 1)) {
		return time.Duration(1<<63 - 1), ok
	}
	return time.Duration(n) * unit, true
}

// taken is what a request took out of a bucket.
type taken struct {
	key  string
	rate limit.Rate
}

// limit takes the request out of the buckets of a kind that it belongs to: that
// of the client before its token is verified, that of the user before the body
// is read, those of the message's fields at last. A request that one refuses
// costs nothing in the others.
func (e *exchange) limit(by contract.LimitBy, message proto.Message) *transcode.Problem {
	if e.taken == nil {
		e.taken = e.oneTaken[:0]
	}
	for _, l := range e.endpoint.limits {
		rate := l.rate()
		if rate.Unlimited() || l.by != by {
			continue
		}
		key := l.key + e.limitKey(l, message)
		d := e.g.limiter.Allow(key, rate)
		if !d.Allowed {
			for _, t := range e.taken {
				e.g.limiter.Return(t.key, t.rate)
			}
			return e.limited(d)
		}
		e.taken = append(e.taken, taken{key, rate})
		if len(e.taken) == 1 || d.Remaining < e.tightest {
			e.tightest = d.Remaining
			e.limitHeaders(d)
		}
	}
	return nil
}

func (e *exchange) limited(d limit.Decision) *transcode.Problem {
	e.g.metrics.limited.Inc()
	e.limitHeaders(d)
	p := transcode.NewProblem(http.StatusTooManyRequests, "RATE_LIMITED", "too many requests; wait "+d.RetryAfter.Round(time.Millisecond).String())
	p.RetryAfter = d.RetryAfter
	return p
}

func (e *exchange) limitHeaders(d limit.Decision) {
	// As Set would spell them, which it would do for every answer anew.
	h, values := e.w.Header(), &[3]string{strconv.Itoa(d.Limit), strconv.Itoa(d.Remaining), transcode.RetryAfter(d.Reset)}
	h["Ratelimit-Limit"], h["Ratelimit-Remaining"], h["Ratelimit-Reset"] = values[0:1:1], values[1:2:2], values[2:3:3]
}

func (e *exchange) limitKey(l *liveLimit, message proto.Message) string {
	switch {
	case l.by == contract.ByField:
		return fieldText(message, l.field)
	case l.by == contract.ByUser && !e.caller.Anonymous():
		return "user " + e.caller.Issuer + " " + e.caller.Subject
	case e.client.Is4():
		return e.address // what AddressKey would write once more
	}
	return limit.AddressKey(e.client)
}

// fieldText is the value of a field by its path, shortened: it only has to
// tell buckets apart.
func fieldText(message proto.Message, path string) string {
	m := message.ProtoReflect()
	for {
		name, rest, more := strings.Cut(path, ".")
		fd := m.Descriptor().Fields().ByName(protoreflect.Name(name))
		if fd == nil {
			return ""
		}
		if !more {
			text := m.Get(fd).String()
			return text[:min(len(text), maxName)]
		}
		if fd.Message() == nil || fd.IsList() || fd.IsMap() {
			return ""
		}
		m, path = m.Get(fd).Message(), rest
	}
}
