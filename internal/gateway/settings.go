package gateway

import (
	"time"

	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/internal/contract"
	"github.com/gowarren/warren/internal/limit"
)

// What gateway.trace.trust can be.
const (
	trustNothing = "ignore"
	trustID      = "id"
	trustAll     = "all"
)

// Every number of the edge is one of these settings, live.
var (
	settingHeader = config.Int("gateway.limit.header", 32<<10, 1<<10, maxHeader,
		"How many bytes a request's header may have.")
	settingHeaderFields = config.Int("gateway.limit.header_fields", 100, 10, 10_000,
		"How many fields a request's header may have.")
	settingBody = config.Int("gateway.limit.body", 4<<20, 0, 1<<30,
		"How many bytes a request's body may have, after decompression; of a stream: each message.")
	settingConcurrent = config.Int("gateway.limit.concurrent", 10_000, 1, 10_000_000,
		"How many requests are handled at once; more are answered 503.")
	settingBodyTimeout = config.Duration("gateway.body.timeout", 30*time.Second, 10*time.Millisecond, time.Hour,
		"How long a client may take to send the body of a request that is no stream; of one, or for a service of plain HTTP: the next part of it.")
	settingWriteTimeout = config.Duration("gateway.write.timeout", 30*time.Second, 10*time.Millisecond, time.Hour,
		"How long a client may take to accept an answer, or the next message of a stream. "+
			"What holds at the start also closes connections of HTTP/2 that accept nothing.")
	settingProxyTimeout = config.Duration("gateway.proxy.timeout", time.Minute, 0, 24*time.Hour,
		"How long a service of plain HTTP may take to begin its answer; 0 is no limit.")
	settingHeartbeat = config.Duration("gateway.stream.heartbeat", 15*time.Second, 10*time.Millisecond, time.Hour,
		"After which silence a stream of events or lines gets a sign of life.")
	settingGzipMin = config.Int("gateway.gzip.min", 1<<10, 64, 1<<30,
		"From how many bytes on an answer is compressed for clients that accept it.")
	settingRetryAfter = config.Duration("gateway.retry_after", time.Second, time.Second, time.Hour,
		"What a client is told to wait when a service is not available and nothing better is known.")
	settingOrigins = config.String("gateway.cors.origins", "",
		"The origins whose pages may read answers, separated by commas: exact, such as https://shop.example, or * for all. "+
			"Credentials other than bearer tokens are never allowed.")
	settingCORSAge = config.Duration("gateway.cors.max_age", 10*time.Minute, 0, 24*time.Hour,
		"How long browsers remember what they may send.")
	settingProxies = config.String("gateway.trusted_proxies", "",
		"The networks (192.0.2.0/24, separated by commas) of proxies in front whose X-Forwarded-For is believed.")
	settingTraceTrust = config.Enum("gateway.trace.trust", trustID, []string{trustNothing, trustID, trustAll},
		"What is taken from a client's trace: nothing; its id; or all, with its decision to record it, "+
			"by which whoever can reach the gateway can have every request recorded.")
)

// The numbers of rate limits, per method. The contract's first limit of each
// kind is their lowest layer; further limits of the contract stay as they are.
var settingLimits = [...]limitSettings{
	contract.ByClientAddress: newLimitSettings("address", "client address"),
	contract.ByUser:          newLimitSettings("user", "signed-in user, else client address,"),
	contract.ByField:         newLimitSettings("field", "value of the request's field that the contract names"),
}

type limitSettings struct {
	requests config.Setting[int]
	per      config.Setting[time.Duration]
	burst    config.Setting[int]
}

func newLimitSettings(name, who string) limitSettings {
	prefix := "gateway.rate." + name
	return limitSettings{
		requests: config.Int(prefix+".requests", 0, 0, 1_000_000_000, "How many calls each "+who+" may make per period; 0 is no limit."),
		per:      config.Duration(prefix+".per", time.Second, time.Millisecond, 24*time.Hour, "The period for each "+who+"."),
		burst:    config.Int(prefix+".burst", 0, 0, 1_000_000_000, "How many calls each "+who+" may make at once; 0 is a period's."),
	}
}

// Definitions returns all settings of the edge.
func Definitions() []config.Definition {
	defs := []config.Definition{
		settingHeader.Definition(), settingHeaderFields.Definition(), settingBody.Definition(), settingConcurrent.Definition(),
		settingBodyTimeout.Definition(), settingWriteTimeout.Definition(), settingProxyTimeout.Definition(),
		settingHeartbeat.Definition(), settingGzipMin.Definition(),
		settingRetryAfter.Definition(), settingOrigins.Definition(), settingCORSAge.Definition(), settingProxies.Definition(),
		settingTraceTrust.Definition(),
	}
	for _, l := range settingLimits {
		defs = append(defs, l.requests.Definition(), l.per.Definition(), l.burst.Definition())
	}
	return defs
}

// numbers are the settings that hold for all requests.
type numbers struct {
	header, headerFields, concurrent, gzipMin, body     *config.Value[int]
	bodyTimeout, writeTimeout, heartbeat, retry, maxAge *config.Value[time.Duration]
	proxyTimeout                                        *config.Value[time.Duration]
	traceTrust                                          *config.Value[string]
	origins                                             *parsed[origins]
	proxies                                             *parsed[networks]
}

func watchNumbers(s *config.Settings) *numbers {
	all := config.Scope{}
	return &numbers{
		header:       config.Watch(s, settingHeader, all),
		headerFields: config.Watch(s, settingHeaderFields, all),
		concurrent:   config.Watch(s, settingConcurrent, all),
		gzipMin:      config.Watch(s, settingGzipMin, all),
		body:         config.Watch(s, settingBody, all),
		bodyTimeout:  config.Watch(s, settingBodyTimeout, all),
		writeTimeout: config.Watch(s, settingWriteTimeout, all),
		proxyTimeout: config.Watch(s, settingProxyTimeout, all),
		heartbeat:    config.Watch(s, settingHeartbeat, all),
		retry:        config.Watch(s, settingRetryAfter, all),
		maxAge:       config.Watch(s, settingCORSAge, all),
		traceTrust:   config.Watch(s, settingTraceTrust, all),
		origins:      newParsed(config.Watch(s, settingOrigins, all), parseOrigins),
		proxies:      newParsed(config.Watch(s, settingProxies, all), parseNetworks),
	}
}

// liveLimit is one rate limit of a method with the numbers now in force.
type liveLimit struct {
	by     contract.LimitBy
	field  string
	key    string // what tells its buckets from those of other limits
	fixed  limit.Rate
	number *limitNumbers // nil: fixed
}

type limitNumbers struct {
	requests, burst *config.Value[int]
	per             *config.Value[time.Duration]
}

func (l *liveLimit) rate() limit.Rate {
	if l.number == nil {
		return l.fixed
	}
	return limit.Rate{Requests: l.number.requests.Get(), Per: l.number.per.Get(), Burst: l.number.burst.Get()}
}

func watchLimits(s *config.Settings, m *contract.Method) []*liveLimit {
	scope := config.Scope{Service: m.Service, Method: m.FullName}
	var out []*liveLimit
	named := map[contract.LimitBy]bool{}
	for i, l := range m.RateLimits {
		live := &liveLimit{
			by: l.By, field: l.Field, key: m.FullName + "\x00" + string(rune('0'+i)) + "\x00",
			fixed: limit.Rate{Requests: l.Requests, Per: l.Per, Burst: l.Burst},
		}
		if !named[l.By] {
			named[l.By] = true
			live.number = watchLimit(s, l.By, scope, l.Requests, l.Per, l.Burst)
		}
		out = append(out, live)
	}
	// A limit that the contract does not have can still be set live.
	for _, by := range []contract.LimitBy{contract.ByClientAddress, contract.ByUser} {
		if !named[by] {
			out = append(out, &liveLimit{by: by, key: m.FullName + "\x00" + by.String() + "\x00", number: watchLimit(s, by, scope, 0, time.Second, 0)})
		}
	}
	return out
}

func watchLimit(s *config.Settings, by contract.LimitBy, scope config.Scope, requests int, per time.Duration, burst int) *limitNumbers {
	set := settingLimits[by]
	return &limitNumbers{
		requests: config.Watch(s, set.requests, scope, requests),
		per:      config.Watch(s, set.per, scope, per),
		burst:    config.Watch(s, set.burst, scope, burst),
	}
}

// parsed is a text setting in the form that requests need, parsed when it
// changes.
type parsed[T any] struct {
	value *config.Value[string]
	parse func(string) T
	last  cell[parsedText[T]]
}

type parsedText[T any] struct {
	text  string
	value T
}

func newParsed[T any](v *config.Value[string], parse func(string) T) *parsed[T] {
	return &parsed[T]{value: v, parse: parse}
}

func (p *parsed[T]) get() T {
	text := p.value.Get()
	if last := p.last.Load(); last != nil && last.text == text {
		return last.value
	}
	next := &parsedText[T]{text: text, value: p.parse(text)}
	p.last.Store(next)
	return next.value
}
