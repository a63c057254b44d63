package control

import (
	"slices"
	"strings"
	"testing"
	"time"

	settingsv1 "github.com/gowarren/warren/api/warren/settings/v1"
	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/internal/contract"
	"github.com/gowarren/warren/internal/gateway"
	"github.com/gowarren/warren/rpc"
)

const (
	policyContract = "shop.catalog.v1.CatalogService"
	policyMethod   = "/" + policyContract + "/ListProducts"
)

// inForce is a system whose layers speak of some settings.
func inForce() *force {
	f := &force{definitions: map[string]config.Definition{}}
	for _, d := range slices.Concat(rpc.Definitions(), gateway.Definitions()) {
		f.definitions[d.Name] = d
	}
	f.file.Entries = []config.FileEntry{
		{Name: "rpc.timeout", Scope: config.Scope{Service: "order"}, Value: "3s", Position: "warren.yaml:7:5"},
		{Name: "rpc.retry.attempts", Value: "5", Position: "warren.yaml:8:5"},
	}
	f.centre = []config.Entry{
		{Name: "rpc.hedge.delay", Scope: config.Scope{Method: policyMethod}, Value: "50ms", Source: "centre"},
		{Name: "gateway.rate.user.requests", Scope: config.Scope{Service: policyContract}, Value: "20", Source: "centre"},
		{Name: "rpc.admission.max", Scope: config.Scope{Service: "catalog"}, Value: "200", Source: "centre"},
	}
	return f
}

func lines(all []*settingsv1.Policy) string {
	var b strings.Builder
	for _, p := range all {
		b.WriteString(strings.Join([]string{p.GetKind(), p.GetName(), p.GetValue(), p.GetLayer(), p.GetScope()}, ", "))
		for _, e := range p.GetExceptions() {
			b.WriteString("; " + e.GetService() + " " + e.GetValue() + " " + e.GetLayer() + " " + e.GetPosition())
		}
		b.WriteString("\n")
	}
	return b.String()
}

func TestPoliciesOfAMethod(t *testing.T) {
	m := &contract.Method{
		FullName: policyMethod, Service: policyContract, Name: "ListProducts", Access: contract.AccessPublic, Timeout: 800 * time.Millisecond,
		Safe: true, Idempotent: true, Cache: &contract.Cache{MaxAge: time.Minute},
		RateLimits: []contract.RateLimit{
			{By: contract.ByUser, Requests: 10, Per: time.Second, Burst: 30}, {By: contract.ByUser, Requests: 100, Per: time.Minute, Burst: 100},
		},
	}
	const all = policyMethod
	want := `access, callers, public, contract, ` + all + `
idempotency, key, none, contract, ` + all + `
priority, shedding, normal, contract, ` + all + `
cache, age, 1m0s, contract, ` + all + `
timeout, call, 800ms, contract, ` + all + `; order 3s file warren.yaml:7:5
retries, attempts, 5, file, all
hedging, delay, 50ms, centre, ` + all + `
retries, backoff, 25ms, default, all
retries, most backoff, 250ms, default, all
breaker, failures, 0.5, default, all
breaker, calls, 20, default, all
breaker, window, 10s, default, all
breaker, open, 500ms, default, all
limit, by user, 20 per 1s, 30 at once, centre, ` + policyContract + `
limit, by user, 100 per 1m0s, contract, ` + all + "\n"
	if got := lines(inForce().method(m)); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	change := &contract.Method{FullName: policyMethod, Service: policyContract, Access: contract.AccessRoles, Roles: []string{"admin", "clerk"}, IdempotencyKey: contract.KeyRequired}
	got := lines(inForce().method(change))
	for _, line := range []string{"access, callers, roles: admin, clerk,", "idempotency, key, required,", "timeout, call, 2s, default, all; order 3s", "retries, attempts, 1, contract,"} {
		if !strings.Contains(got, line) {
			t.Errorf("no %q in\n%s", line, got)
		}
	}
	if strings.Contains(got, "hedging") || strings.Contains(got, "backoff") {
		t.Errorf("what changes something is repeated:\n%s", got)
	}
	stream := lines(inForce().method(&contract.Method{FullName: policyMethod, Service: policyContract, ServerStreams: true}))
	if !strings.Contains(stream, "timeout, call, 0s, default, all\n") || strings.Contains(stream, "limit") {
		t.Errorf("an internal stream:\n%s", stream)
	}
}

func TestPoliciesOfAProcess(t *testing.T) {
	want := `admission, calls at once, 200, centre, catalog
admission, waiting calls, 256, default, all
admission, wait, 250ms, default, all
admission, streams at once, 10000, default, all
admission, drain, 30s, default, all
`
	if got := lines(inForce().process("catalog")); got != want {
		t.Errorf("got\n%s", got)
	}
	if got := lines(inForce().process("order")); !strings.Contains(got, "calls at once, 1000, default") {
		t.Errorf("of another service:\n%s", got)
	}
}
