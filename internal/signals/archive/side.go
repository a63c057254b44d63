package archive

import (
	"net"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/gowarren/warren/internal/signals/topology"
)

// side is a span as the topology sees it.
func side(span ptrace.Span, from from) topology.Span {
	out := topology.Span{
		Key:    topology.Key{Trace: span.TraceID(), Span: span.SpanID()},
		Parent: span.ParentSpanID(), Kind: kind(span.Kind()), Service: from.service, Version: from.version,
		Failed: span.Status().Code() == ptrace.StatusCodeError,
	}
	if span.EndTimestamp() > span.StartTimestamp() {
		out.Duration = time.Duration(span.EndTimestamp() - span.StartTimestamp())
	}
	get := getter(span.Attributes())
	switch out.Kind {
	case topology.Client:
		clientPeer(&out, get)
	case topology.Producer, topology.Consumer:
		out.System = get("messaging.system")
		if topic := get("messaging.destination.name"); topic != "" {
			out.Peer = topology.TopicNode(topic)
		}
	case topology.Server:
		out.System = protocol(get)
	}
	return out
}

// clientPeer says whom a client's span leans on. A database records nothing;
// another server may, but one of this system says so itself.
func clientPeer(out *topology.Span, get func(string) string) {
	if system := first(get, "db.system.name", "db.system"); system != "" {
		out.Peer, out.System = topology.DatabaseNode(system, databaseName(out.Service, get)), system
		return
	}
	out.System = protocol(get)
	if get("warren.instance") != "" {
		return
	}
	if name := first(get, "service.peer.name", "peer.service", "server.address", "net.peer.name"); name != "" {
		out.Peer, out.MayAnswer = topology.ExternalNode(name), true
	}
}

// databaseName tells databases apart: by their server, where the span names it;
// else it is one of the service's own, as a file is.
func databaseName(service string, get func(string) string) string {
	name := first(get, "db.namespace", "db.name")
	server := first(get, "server.address", "net.peer.name")
	switch {
	case server != "":
		if port := first(get, "server.port", "net.peer.port"); port != "" {
			server = net.JoinHostPort(server, port)
		}
		return strings.TrimSuffix(server+"/"+name, "/")
	case name == "", name == service:
		return service
	case strings.HasPrefix(name, service+".") || strings.HasPrefix(name, service+"-"):
		return name // it says so itself
	}
	return service + "/" + name
}

func protocol(get func(string) string) string {
	if system := first(get, "rpc.system.name", "rpc.system"); system != "" {
		return system
	}
	if get("http.request.method") != "" || get("http.method") != "" {
		return "http"
	}
	return ""
}

func getter(m pcommon.Map) func(string) string {
	return func(key string) string {
		v, ok := m.Get(key)
		if !ok {
			return ""
		}
		return short(v.AsString())
	}
}

func first(get func(string) string, keys ...string) string {
	for _, key := range keys {
		if v := get(key); v != "" {
			return v
		}
	}
	return ""
}

func kind(k ptrace.SpanKind) topology.Kind {
	switch k {
	case ptrace.SpanKindServer:
		return topology.Server
	case ptrace.SpanKindClient:
		return topology.Client
	case ptrace.SpanKindProducer:
		return topology.Producer
	case ptrace.SpanKindConsumer:
		return topology.Consumer
	}
	return topology.Internal
}
