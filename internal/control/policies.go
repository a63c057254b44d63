package control

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	settingsv1 "github.com/gowarren/warren/api/warren/settings/v1"
	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/internal/contract"
)

// policies tell what holds for methods, and who says so.
type policies struct {
	settingsv1.UnimplementedPolicyServiceServer
	contracts *contracts
	centre    *config.Centre
	file      config.FileLayer
}

func (p *policies) List(ctx context.Context, req *settingsv1.ListPoliciesRequest) (*settingsv1.ListPoliciesResponse, error) {
	name := req.GetService()
	f, err := p.force(ctx)
	if err != nil {
		return nil, err
	}
	out := &settingsv1.ListPoliciesResponse{Policies: f.process(name)}
	for _, c := range p.contracts.served() {
		if !slices.Contains(c.GetServices(), name) || strings.HasPrefix(c.GetName(), "grpc.") {
			continue
		}
		read, err := p.contracts.read(ctx, c.GetName())
		if err != nil {
			out.Missing = append(out.Missing, c.GetName())
			continue
		}
		for _, m := range read.Methods {
			out.Policies = append(out.Policies, f.method(m)...)
		}
	}
	return out, nil
}

// force reads what the layers say now.
func (p *policies) force(ctx context.Context) (*force, error) {
	definitions, err := p.centre.Definitions(ctx)
	if err != nil {
		return nil, status.Error(codes.Unavailable, err.Error())
	}
	_, entries, err := p.centre.Get(ctx)
	if err != nil {
		return nil, status.Error(codes.Unavailable, err.Error())
	}
	f := &force{centre: entries, file: p.file, definitions: map[string]config.Definition{}}
	for _, d := range definitions {
		f.definitions[d.Name] = d
	}
	return f, nil
}

// force is what all layers say, to be asked what it comes to.
type force struct {
	definitions map[string]config.Definition
	centre      []config.Entry
	file        config.FileLayer
}

// numbered are policies that are one setting each.
var numbered = []struct{ kind, name, setting string }{
	{"retries", "backoff", "rpc.retry.backoff"},
	{"retries", "most backoff", "rpc.retry.backoff_max"},
	{"breaker", "failures", "rpc.breaker.ratio"},
	{"breaker", "calls", "rpc.breaker.calls"},
	{"breaker", "window", "rpc.breaker.window"},
	{"breaker", "open", "rpc.breaker.open"},
}

// process is what holds for a process of a service, whatever is called.
func (f *force) process(service string) []*settingsv1.Policy {
	var out []*settingsv1.Policy
	for _, one := range []struct{ name, setting string }{
		{"calls at once", "rpc.admission.max"}, {"waiting calls", "rpc.admission.queue"}, {"wait", "rpc.admission.wait"},
		{"streams at once", "rpc.streams.max"}, {"drain", "rpc.drain.timeout"},
	} {
		d, ok := f.definitions[one.setting]
		if !ok {
			continue
		}
		out = append(out, policyOf("", "admission", one.name, d.Resolve(config.Scope{}, service, "", f.centre, f.file)))
	}
	return out
}

// method is what holds for a method. What only the contract says comes first.
func (f *force) method(m *contract.Method) []*settingsv1.Policy {
	stated := func(kind, name, value string) *settingsv1.Policy {
		return &settingsv1.Policy{Method: m.FullName, Kind: kind, Name: name, Value: value, Layer: "contract", Scope: m.FullName}
	}
	access := m.Access.String()
	if m.Access == contract.AccessRoles {
		access += ": " + strings.Join(m.Roles, ", ")
	}
	out := []*settingsv1.Policy{
		stated("access", "callers", access), stated("idempotency", "key", m.IdempotencyKey.String()), stated("priority", "shedding", m.Priority.String()),
	}
	if m.Cache != nil {
		out = append(out, stated("cache", "age", m.Cache.MaxAge.String()))
	}
	timeout := "rpc.timeout"
	if !m.Unary() {
		timeout = "rpc.stream.timeout"
	}
	said := ""
	if m.Timeout > 0 {
		said = m.Timeout.String()
	}
	out = f.add(out, m, "timeout", "call", timeout, said)
	if m.Idempotent {
		out = f.add(out, m, "retries", "attempts", "rpc.retry.attempts", "")
	} else {
		out = append(out, stated("retries", "attempts", "1"))
	}
	if m.Safe {
		out = f.add(out, m, "hedging", "delay", "rpc.hedge.delay", "")
	}
	for _, one := range numbered {
		if one.kind != "retries" || m.Idempotent {
			out = f.add(out, m, one.kind, one.name, one.setting, "")
		}
	}
	return append(out, f.limits(m)...)
}

// add appends a policy with those for whom it is otherwise.
func (f *force) add(to []*settingsv1.Policy, m *contract.Method, kind, name, setting, said string) []*settingsv1.Policy {
	d, ok := f.definitions[setting]
	if !ok {
		return to // nobody who runs has it
	}
	place := config.Scope{Service: m.Service, Method: m.FullName}
	everybody := d.Resolve(place, "", said, f.centre, f.file)
	p := policyOf(m.FullName, kind, name, everybody)
	for _, service := range f.named(setting) {
		own := d.Resolve(place, service, said, f.centre, f.file)
		if own.Value == everybody.Value && own.Source == everybody.Source {
			continue
		}
		p.Exceptions = append(p.Exceptions, &settingsv1.PolicyException{
			Service: service, Value: own.Value, Layer: own.Source, Scope: own.Scope.String(), Position: own.Position,
		})
	}
	return append(to, p)
}

// named are the services of which some layer speaks in a setting.
func (f *force) named(setting string) []string {
	var out []string
	note := func(name string, s config.Scope) {
		if name == setting && s.Service != "" && !strings.Contains(s.Service, ".") {
			out = append(out, s.Service)
		}
	}
	for _, e := range f.centre {
		note(e.Name, e.Scope)
	}
	for _, e := range f.file.Entries {
		note(e.Name, e.Scope)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// limits are the rate limits that the gateway obeys: of each kind the contract's
// first can be set; those beyond it are the contract's alone.
func (f *force) limits(m *contract.Method) []*settingsv1.Policy {
	if !m.External() {
		return nil
	}
	var out []*settingsv1.Policy
	seen := map[contract.LimitBy]bool{}
	for _, l := range m.RateLimits {
		if seen[l.By] {
			out = append(out, &settingsv1.Policy{
				Method: m.FullName, Kind: "limit", Name: "by " + l.By.String(), Value: rateText(count(l.Requests), l.Per.String(), count(l.Burst)),
				Layer: "contract", Scope: m.FullName,
			})
			continue
		}
		seen[l.By] = true
		out = append(out, f.limit(m, l)...)
	}
	for _, by := range []contract.LimitBy{contract.ByClientAddress, contract.ByUser} {
		if !seen[by] {
			out = append(out, f.limit(m, contract.RateLimit{By: by, Per: time.Second})...)
		}
	}
	return out
}

// limit is one that the settings may change; none where it is 0.
func (f *force) limit(m *contract.Method, l contract.RateLimit) []*settingsv1.Policy {
	prefix := "gateway.rate." + l.By.String()
	place := config.Scope{Service: m.Service, Method: m.FullName}
	requests, per, burst := f.definitions[prefix+".requests"], f.definitions[prefix+".per"], f.definitions[prefix+".burst"]
	if requests.Name == "" || per.Name == "" || burst.Name == "" {
		return nil // there is no gateway
	}
	said := func(value string) string {
		if l.Requests == 0 {
			return "" // the contract has no such limit
		}
		return value
	}
	const gateway = "gateway"
	much := requests.Resolve(place, gateway, said(count(l.Requests)), f.centre, f.file)
	if much.Value == "0" {
		return nil
	}
	p := policyOf(m.FullName, "limit", "by "+l.By.String(), much)
	p.Value = rateText(much.Value, per.Resolve(place, gateway, said(l.Per.String()), f.centre, f.file).Value,
		burst.Resolve(place, gateway, said(count(l.Burst)), f.centre, f.file).Value)
	return []*settingsv1.Policy{p}
}

func policyOf(method, kind, name string, e config.Entry) *settingsv1.Policy {
	return &settingsv1.Policy{
		Method: method, Kind: kind, Name: name, Value: e.Value, Setting: e.Name, Layer: e.Source, Scope: e.Scope.String(), Position: e.Position,
	}
}

// rateText is a rate limit as people say it.
func rateText(requests, per, burst string) string {
	text := requests + " per " + per
	if burst != "0" && burst != requests {
		text += ", " + burst + " at once"
	}
	return text
}

func count(n int) string { return strconv.Itoa(n) }
