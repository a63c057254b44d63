package archive

import (
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/gowarren/warren/internal/signals/segment"
)

// healthService is the contract of health checks over gRPC.
const healthService = "grpc.health.v1.Health"

// probePaths are what orchestrators and scrapers ask over HTTP.
func probePaths() map[string]bool {
	return map[string]bool{"/healthz": true, "/livez": true, "/readyz": true, "/health": true, "/ready": true, "/metrics": true}
}

// probes finds what only asks whether somebody lives: it would be most of what
// an idle system records, and an edge to everybody.
type probes struct {
	paths  map[string]bool
	traces map[segment.ID]bool // that a probe began
	spans  map[spanKey]bool
}

type spanKey struct {
	trace pcommon.TraceID
	span  pcommon.SpanID
}

// findProbes looks through a message before it is taken apart, as children may
// come before their parents.
func findProbes(td ptrace.Traces, paths map[string]bool) probes {
	p := probes{paths: paths, traces: map[segment.ID]bool{}, spans: map[spanKey]bool{}}
	for _, rs := range td.ResourceSpans().All() {
		for _, ss := range rs.ScopeSpans().All() {
			for _, s := range ss.Spans().All() {
				switch {
				case !p.is(s):
				case s.ParentSpanID().IsEmpty():
					p.traces[segment.ID(s.TraceID())] = true
				default:
					p.spans[spanKey{s.TraceID(), s.SpanID()}] = true
				}
			}
		}
	}
	return p
}

// is says whether a span is a call that probes, of either side.
func (p *probes) is(s ptrace.Span) bool {
	if s.Kind() != ptrace.SpanKindServer && s.Kind() != ptrace.SpanKindClient {
		return false
	}
	get := getter(s.Attributes())
	for _, name := range [...]string{get("rpc.service"), strings.TrimPrefix(get("rpc.method"), "/"), strings.TrimPrefix(s.Name(), "/")} {
		if service, _, _ := strings.Cut(name, "/"); service == healthService {
			return true
		}
	}
	path := first(get, "http.route", "url.path", "http.target")
	path, _, _ = strings.Cut(path, "?")
	return path != "" && p.paths[path]
}

// covers says whether a span is a probe or was caused by one.
func (p *probes) covers(s ptrace.Span) bool {
	if len(p.traces)+len(p.spans) == 0 {
		return false
	}
	return p.traces[segment.ID(s.TraceID())] || p.spans[spanKey{s.TraceID(), s.SpanID()}] || p.spans[spanKey{s.TraceID(), s.ParentSpanID()}]
}
