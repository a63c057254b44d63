package console_test

import (
	"html"
	"strings"
	"testing"

	"github.com/gowarren/warren/internal/console"
)

// TestTopology shows on each edge what goes over it: to which versions, and what
// breakers hold back.
func TestTopology(t *testing.T) {
	at := "http://" + newWorld().serve(t, console.Options{}).Address() + "/topology"
	_, page := get(t, at)
	page = html.UnescapeString(page)
	for _, want := range []string{
		">open</text>", "breakers: 2 open", ">v1.5.0 10 %</text>",
		"gateway calls catalog: 4.4 /s, 0 % errors, p95 38 ms; versions v1.4.2 90 %, v1.5.0 10 %, 3 % failed; breakers: closed",
		`<span class="chip">v1.5.0 10 %, 3 % failed</span>`, "Capture, Hold",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in\n%s", want, page)
		}
	}
	_, rows := get(t, at+"?format=csv")
	for _, want := range []string{
		"From,To,Calls,Errors,p50,p95,Breakers,Versions\n", "coordinator,payment,4.4 /s,15 %,6 ms,38 ms,2 open,v1.4.2 100 %\n", "order,catalog,4.4 /s,0 %,6 ms,38 ms,1 half-open,",
		"gateway,order,4.4 /s,1 %,6 ms,38 ms,closed,", "order,sqlite/order.db,4.4 /s,0 %,6 ms,38 ms,–,",
	} {
		if !strings.Contains(rows, want) {
			t.Errorf("no %q in\n%s", want, rows)
		}
	}
	_, rows = get(t, at+"?show=unhealthy&format=csv")
	if !strings.Contains(rows, "order,catalog,") || strings.Contains(rows, "gateway,catalog,") {
		t.Errorf("a breaker makes unhealthy, a second version does not:\n%s", rows)
	}
	_, page = get(t, "http://"+newWorld().serve(t, console.Options{}, "contracts").Address()+"/topology")
	if !strings.Contains(page, "The breakers</b> can't be shown") || strings.Contains(page, ">closed<") {
		t.Errorf("what isn't known is said to be well:\n%s", page)
	}
}
