package alerting

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gowarren/warren/internal/metricstore"
)

// What cannot be read of the past keeps no system from running.
func TestDamagedPastIsSetAside(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"firing.json", "silences.json"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(`{"half`), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	e, err := New(Options{Dir: dir, System: t.TempDir(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	e.Notify([]metricstore.Alert{{Name: "Broken", State: metricstore.Firing, Labels: map[string]string{"alertname": "Broken"}, Since: now, Fired: now}})
	if len(e.active) != 1 {
		t.Errorf("%v fire", e.active)
	}
	for _, name := range []string{"firing.json.damaged", "silences.json.damaged"} {
		if text, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(text) != `{"half` {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
}
