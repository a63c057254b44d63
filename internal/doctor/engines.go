package doctor

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/gowarren/warren/internal/openurl"
	"github.com/gowarren/warren/internal/system"
)

// dialTimeout bounds one look whether an engine is there.
const dialTimeout = 2 * time.Second

// roles are what a system's engines are for.
func roles(sys *system.System) [][2]string {
	e := sys.Engines
	locks, transactions := e.Locks, e.Transactions
	if locks == "" {
		locks = none
		if e.Registry == system.Embedded || strings.HasPrefix(e.Registry, "etcd:") {
			locks = e.Registry
		}
	}
	switch transactions {
	case system.Embedded:
		transactions = e.Database
	case "":
		transactions = none
	}
	return [][2]string{
		{"registry", e.Registry}, {"config", e.Config}, {"database", e.Database},
		{"events", e.Events}, {"locks", locks}, {"transactions", transactions},
	}
}

// none is the engine of what a system does without.
const none = "none:"

// reachable looks whether the engines outside this process answer.
func reachable(ctx context.Context, sys *system.System) Findings {
	var out Findings
	for _, r := range roles(sys) {
		role, url := r[0], r[1]
		if url == none {
			continue
		}
		if url == system.Embedded || strings.HasPrefix(url, "sqlite:") || strings.HasPrefix(url, "file:") || strings.HasPrefix(url, "static:") {
			out = append(out, Finding{Fine, "engine", role, "nothing to install: " + promiseOf(role, url).name, ""})
			continue
		}
		out = append(out, dial(ctx, role, url)...)
	}
	return out
}

func dial(ctx context.Context, role, raw string) Findings {
	u, err := openurl.Parse(raw)
	if err != nil {
		return Findings{{Broken, "engine", role, err.Error(), ""}}
	}
	var out Findings
	for host := range strings.SplitSeq(u.Host, ",") {
		if _, _, err := net.SplitHostPort(host); err != nil {
			host = net.JoinHostPort(host, usualPorts()[u.Scheme])
		}
		conn, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, "tcp", host)
		if err != nil {
			out = append(out, Finding{Broken, "engine", role, u.Scheme + " at " + host + " does not answer: " + err.Error(), "start it, or correct the URL"})
			continue
		}
		_ = conn.Close()
		out = append(out, Finding{Fine, "engine", role, u.Scheme + " at " + host + " answers", ""})
	}
	return out
}

// usualPorts are where engines listen when nobody says otherwise.
func usualPorts() map[string]string {
	return map[string]string{
		"postgres": "5432", "mysql": "3306", "etcd": "2379", "redis": "6379", "rediss": "6379",
		"nats": "4222", "tls": "4222", "amqp": "5672", "amqps": "5671", "kafka": "9092", "kafkas": "9092",
	}
}

// promise is what an engine guarantees, in one sentence per question.
type promise struct {
	name     string
	survives string // what may fail without anybody noticing
	loses    string // what a crash may lose
	limit    string // what it does not do
}

// promiseOf tells what an engine promises in a role.
func promiseOf(role, url string) promise {
	scheme, _, _ := strings.Cut(url, ":")
	single := !strings.Contains(url, ",")
	if p, ok := brokerPromise(url, scheme, single); ok && role == "events" {
		return p
	}
	switch {
	case url == none:
		return promise{"nobody", "nothing", "nothing", "services that need it end with a sentence when they start"}
	case scheme == "redis" || scheme == "rediss":
		return promise{"Redis", "what its replication survives", "locks, when a replica takes over: tokens protect what they guard",
			"a failover may give a lock to two holders"}
	case url == system.Embedded:
		return promise{"etcd inside the supervisor", "the end of any service; not that of the machine", "nothing that was acknowledged",
			"one member: while the supervisor is down nobody registers and nothing is set; callers keep what they know"}
	case scheme == "etcd" && single:
		return promise{"one etcd", "the end of any service and of the supervisor", "nothing that was acknowledged",
			"one member: while it is down nobody registers and nothing is set; callers keep what they know"}
	case scheme == "etcd":
		return promise{"an etcd cluster", "the loss of a minority of its members", "nothing that was acknowledged",
			"needs a majority to register or set anything"}
	case scheme == "static":
		return promise{"a fixed list", "everything: it does not change", "nothing", "instances are not found, nor missed, by themselves"}
	case scheme == "file":
		return promise{"a file", "the end of any process", "nothing that was acknowledged", "one machine; changes are seen by processes that share the file"}
	case scheme == "sqlite":
		return promise{"SQLite", "kill -9 of any process", "power failure: see the URL's synchronous parameter in docs/store.md",
			"one machine and one writer at a time per service"}
	case scheme == "postgres":
		return promise{"PostgreSQL", "what its replication survives", "nothing that was committed, unless synchronous_commit is off",
			"transactions may be refused to be serialized: they are repeated"}
	case scheme == "mysql":
		return promise{"MySQL or MariaDB", "what its replication survives", "nothing that was committed, with the default innodb_flush_log_at_trx_commit",
			"a migration that fails may be half applied: its DDL is not transactional"}
	}
	return promise{scheme, "unknown", "unknown", "unknown"}
}

// brokerPromise is promiseOf for what carries events. What a broker loses is still
// in the outbox of who published it, and published again.
func brokerPromise(url, scheme string, single bool) (promise, bool) {
	const again = "what it accepted in its last second; the outbox publishes it again"
	switch {
	case url == system.Embedded:
		return promise{"NATS JetStream inside the supervisor", "the end of any service; while the supervisor is down events wait in their databases",
			again, "one server; a message of at most 1 MiB"}, true
	case (scheme == "nats" || scheme == "tls") && single:
		return promise{"one NATS server", "the end of any service; while it is down events wait in their databases", again, "one server"}, true
	case scheme == "nats" || scheme == "tls":
		return promise{"a NATS cluster", "the loss of a minority of its servers, with replicas=3 in the URL",
			again, "a stream needs a majority of its replicas"}, true
	case scheme == "amqp" || scheme == "amqps":
		return promise{"RabbitMQ", "the loss of a minority of its nodes", "nothing that was accepted",
			"a new group gets nothing from before it; a handler has consumer_timeout"}, true
	case scheme == "kafka" || scheme == "kafkas":
		return promise{"Kafka", "the loss of what its replicas allow", "nothing that was accepted, with replicas=3 in the URL",
			"the number of partitions of a type is fixed"}, true
	}
	return promise{}, false
}

// compare tells which guarantees change from one environment to another.
func compare(from, to *system.System) Findings {
	var out Findings
	targets := roles(to)
	for i, r := range roles(from) {
		a, b := promiseOf(r[0], r[1]), promiseOf(r[0], targets[i][1])
		if a == b {
			out = append(out, Finding{Fine, "guarantee", r[0], a.name + " in both environments", ""})
			continue
		}
		for _, q := range [][3]string{{"it survives", a.survives, b.survives}, {"it may lose", a.loses, b.loses}, {"its limit", a.limit, b.limit}} {
			if q[1] != q[2] {
				out = append(out, Finding{Differs, "guarantee", r[0], fmt.Sprintf("%s, in %s (%s): %s; in %s (%s): %s",
					q[0], from.Environment, a.name, q[1], to.Environment, b.name, q[2]), ""})
			}
		}
	}
	return out
}
