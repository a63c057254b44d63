package console_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gowarren/warren/internal/console"
)

// TestViewer offers people who only look nothing that they would be refused, and
// operators all of it.
func TestViewer(t *testing.T) {
	tokens := console.Tokens{Path: t.TempDir() + "/tokens.json"}
	c := newWorld().serve(t, console.Options{Address: "0.0.0.0:0", Tokens: tokens.Path})
	at := "http://127.0.0.1" + c.Address()[strings.LastIndex(c.Address(), ":"):]
	for _, role := range []string{"viewer", "operator"} {
		token, err := tokens.Add(role, role, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		jar := signIn(t, at, token)
		for path, action := range map[string]string{
			"/letters": "/letters/replay", "/letters/notification/L1": "/letters/drop", "/alerts": "/alerts/silence", "/services?show=instances": "/kill",
			"/services/payment": "/services/payment/scale", "/services/payment/2": "/services/payment/2/drain", "/transactions/checkout%2F1042": "/transactions/checkout%2F1042/retry",
			"/alerts/ErrorBudgetBurnsFast": "/alerts/silence", "/experiments": "/experiments/crashes/stop",
		} {
			resp := jar.ask(t, http.MethodGet, at+path, "")
			body, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if err != nil || resp.StatusCode != http.StatusOK {
				t.Fatalf("%s: %s, %v", path, resp.Status, err)
			}
			if offered := strings.Contains(string(body), `href="`+action) || strings.Contains(string(body), action+`"`); offered != (role == "operator") {
				t.Errorf("%s on %s is offered to a %s: %v", action, path, role, offered)
			}
		}
	}
}
