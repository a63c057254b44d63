package console_test

import (
	"context"

	settingsv1 "github.com/gowarren/warren/api/warren/settings/v1"
)

// policiesWorld has a service whose timeout somebody has set, for one caller
// otherwise.
type policiesWorld struct {
	settingsv1.UnimplementedPolicyServiceServer
}

func (policiesWorld) List(context.Context, *settingsv1.ListPoliciesRequest) (*settingsv1.ListPoliciesResponse, error) {
	out := &settingsv1.ListPoliciesResponse{Policies: []*settingsv1.Policy{
		{Kind: "admission", Name: "calls at once", Value: "1000", Setting: "rpc.admission.max", Layer: "default", Scope: "all"},
	}}
	const service = "/shop.payment.v1.PaymentService/"
	for _, m := range []struct{ name, access, timeout, layer, attempts, key string }{
		{"Hold", "internal", "2s", "contract", "3", "required"}, {"Capture", "internal", "1.5s", "centre", "3", "required"}, {"GetWallet", "roles: customer, clerk", "2s", "default", "3", "none"},
	} {
		full := service + m.name
		add := func(kind, name, value, setting, layer, scope string) *settingsv1.Policy {
			p := &settingsv1.Policy{Method: full, Kind: kind, Name: name, Value: value, Setting: setting, Layer: layer, Scope: scope}
			out.Policies = append(out.Policies, p)
			return p
		}
		add("access", "callers", m.access, "", "contract", full)
		add("idempotency", "key", m.key, "", "contract", full)
		t := add("timeout", "call", m.timeout, "rpc.timeout", m.layer, full)
		if m.name == "Capture" {
			t.Exceptions = []*settingsv1.PolicyException{{Service: "coordinator", Value: "10s", Layer: "file", Scope: "coordinator", Position: "warren.yaml:31:5"}}
		}
		add("retries", "attempts", m.attempts, "rpc.retry.attempts", "file", "all").Position = "warren.yaml:12:3"
		for _, b := range [][3]string{{"failures", "0.5", "rpc.breaker.ratio"}, {"calls", "20", "rpc.breaker.calls"}, {"window", "10s", "rpc.breaker.window"}} {
			add("breaker", b[0], b[1], b[2], "default", "all")
		}
		if m.name == "GetWallet" {
			add("hedging", "delay", "0s", "rpc.hedge.delay", "default", "all")
			add("limit", "by user", "20 per 1s", "gateway.rate.user.requests", "contract", full)
		}
	}
	return out, nil
}
