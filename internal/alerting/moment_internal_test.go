package alerting

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/gowarren/warren/internal/metricstore"
)

// Who is being told when the system ends is not told again by the next one.
func TestAttemptHasAMoment(t *testing.T) {
	e, err := New(Options{Dir: t.TempDir(), System: t.TempDir(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(t.Context())
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		end()
		select {
		case <-r.Context().Done(): // it was cut off
		case <-time.After(100 * time.Millisecond):
		}
	}))
	defer hook.Close()
	m := message{firing: []metricstore.Alert{{Name: "Broken", Labels: map[string]string{"alertname": "Broken"}}}}
	if !e.deliver(ctx, Receiver{Name: "chat", Kind: KindWebhook, send: &webhook{url: hook.URL}}, m, 1) {
		t.Error("it would be told again")
	}
}
