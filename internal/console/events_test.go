package console_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/gowarren/warren/internal/console"
)

// TestEvents shows who publishes and reads what, and what waits where.
func TestEvents(t *testing.T) {
	at := "http://" + newWorld().serve(t, console.Options{}).Address()
	for path, wants := range map[string][]string{
		"/events": {
			"3 events, 3 subscriptions.", "OrderPlaced", "gives up", "nobody reads it", "flows", "5.3 /s", "warehouse", `href="/events/` + someTopic + `"`,
			`href="/letters?topic=` + someTopic + `&amp;of=notification"`, "240", "210 ms",
		},
		"/events?show=ill": {"OrderPlaced", "gives up"},
		"/events?q=nobody": {"No event is like that", `href="/events"`},
		"/events/" + someTopic: {
			someTopic, "gives up", "18 %", "410 ms", "warehouse", "/traces?attribute=messaging.destination.name&amp;value=" + someTopic,
			"/contracts/shop.order.v1.OrderService", "Duration of the handler, p99", "In its outbox",
		},
		"/events/shop.payment.v1.WalletAudited": {"nobody reads it", "Nobody reads it", "The broker has refused 1 event of this type", "0.2 /s"},
	} {
		resp, body := get(t, at+path)
		if resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", path, resp.Status)
		}
		for _, want := range wants {
			if !strings.Contains(body, want) {
				t.Errorf("%s: no %q in\n%s", path, want, body)
			}
		}
	}
	if _, body := get(t, at+"/events?show=ill"); strings.Contains(body, "flow-shop.shipping") {
		t.Error("what is well is among those that are not")
	}
	if resp, body := get(t, at+"/events/shop.order.v1.Nothing"); resp.StatusCode != http.StatusNotFound || !strings.Contains(body, "within the last hour") {
		t.Errorf("an event that there isn't: %s\n%s", resp.Status, body)
	}
	for _, text := range []string{"OrderPlaced", someTopic} {
		if resp, _ := get(t, at+"/search?q="+text); resp.Request.URL.Path != "/events/"+someTopic {
			t.Errorf("search for %s leads to %s", text, resp.Request.URL)
		}
	}
	_, body := get(t, at+"/events?format=csv")
	if !strings.HasPrefix(body, "Event,State,Published by,Published,Read by,Group,Handled,p99,Errors,Behind,Retries,Dead letters\n") || strings.Count(body, "\n") != 5 {
		t.Errorf("csv:\n%s", body)
	}
}
