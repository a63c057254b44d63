package warren_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/gowarren/warren"
	"github.com/gowarren/warren/warrentest"
)

// A service is a client of the gateway without knowing where it is, and says so
// while there is none.
func TestServicesFindTheGateway(t *testing.T) {
	sys := warrentest.New(t)
	var transport http.RoundTripper
	sys.Run("site", func(_ context.Context, app *warren.App) error {
		transport = app.Gateway()
		app.Handle("GET /page", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "a page for "+r.Header.Get("X-Forwarded-For"))
		}))
		app.Handle("POST /form", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }))
		return nil
	})
	ask := func(method, path, body string) (string, error) {
		r, err := http.NewRequestWithContext(t.Context(), method, "http://gateway"+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := transport.RoundTrip(r)
		if err != nil {
			return "", err
		}
		defer func() { _ = resp.Body.Close() }()
		text, err := io.ReadAll(resp.Body)
		return string(text), err
	}
	if text, err := ask("GET", "/page", ""); err == nil || !strings.Contains(err.Error(), "no gateway") {
		t.Errorf("without a gateway: %q, %v", text, err)
	}
	sys.Gateway()
	eventually(t, "the page", func() (string, bool) {
		text, err := ask("GET", "/page", "")
		return text, err == nil && text == "a page for 127.0.0.1"
	})
	if text, err := ask("POST", "/form", "a wish"); err != nil || text != "a wish" {
		t.Errorf("a form: %q, %v", text, err)
	}
}
