package console_test

import (
	"strings"
	"testing"

	"github.com/gowarren/warren/internal/console"
)

// TestSettingOfInstances lists what each instance obeys, and from which layer.
func TestSettingOfInstances(t *testing.T) {
	at := "http://" + newWorld().serve(t, console.Options{}).Address() + "/settings/"
	_, page := get(t, at+"rpc.timeout")
	for _, want := range []string{"<caption>In force", `href="/services/payment/2"`, "methods and contracts may have values of their own"} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in\n%s", want, page)
		}
	}
	_, rows := get(t, at+"rpc.timeout?format=csv")
	if !strings.HasPrefix(rows, "Instance,Value,From,Said for,Runs revision\ncatalog/1,1.5s,centre,all,7\n") || strings.Count(rows, "\n") != 10 {
		t.Errorf("%s", rows)
	}
	if _, rows = get(t, at+"rpc.retry.attempts?format=csv"); !strings.Contains(rows, "payment/2,3,default,–,7\n") {
		t.Errorf("by default:\n%s", rows)
	}
}
