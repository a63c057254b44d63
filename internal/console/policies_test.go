package console_test

import (
	"strings"
	"testing"

	"github.com/gowarren/warren/internal/console"
)

// TestPolicies shows what holds, and which layer says so.
func TestPolicies(t *testing.T) {
	at := "http://" + newWorld().serve(t, console.Options{}).Address() + "/services/payment"
	_, body := get(t, at)
	for _, want := range []string{"<caption>Policies in force", "50 % of 20 in 10 s", "centre, otherwise for 1", "20 per 1s by user", `href="/services/payment/policies"`} {
		if !strings.Contains(body, want) {
			t.Errorf("the service's page has no %q", want)
		}
	}
	_, body = get(t, at+"/policies?q=capture")
	for _, want := range []string{"coordinator: 10 s (file)", `href="/settings/rpc.timeout"`, "warren.yaml:12:3", "the method"} {
		if !strings.Contains(body, want) {
			t.Errorf("no %q", want)
		}
	}
	if strings.Contains(body, "GetWallet") || strings.Contains(body, "the process") {
		t.Error("the filter leaves what does not fit")
	}
	_, body = get(t, at+"/policies?show=changed&format=csv")
	if !strings.HasPrefix(body, "Method,Policy,In force,From,Said for,Setting,Otherwise for\nHold,\"access, callers\",internal,contract,the method,–,\n") || strings.Contains(body, "default") {
		t.Errorf("%s", body)
	}
	if !strings.Contains(body, "Capture,\"timeout, call\",1.5 s,centre,the method,rpc.timeout,coordinator: 10 s (file)\n") {
		t.Errorf("who differs is not told:\n%s", body)
	}
}
