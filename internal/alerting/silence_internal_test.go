package alerting

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A silence that could not be written down keeps nothing quiet, and one whose end
// could not goes on: what was refused has not happened.
func TestRefusedSilence(t *testing.T) {
	dir := t.TempDir()
	s, err := openSilences(filepath.Join(dir, "silences.json"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	of := func(service string) Silence {
		return Silence{Matchers: []Matcher{{Label: "service", Value: service}}, Reason: "a test"}
	}
	kept, err := s.add(of("order"), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "full"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s.path = filepath.Join(dir, "full", "silences.json") // below a file nothing can be written
	if _, err := s.add(of("payment"), time.Hour); err == nil || s.of(map[string]string{"service": "payment"}) != "" {
		t.Errorf("%v, and it is silenced", err)
	}
	if err := s.end(kept.ID); err == nil || s.of(map[string]string{"service": "order"}) != kept.ID {
		t.Errorf("%v, and the silence has ended", err)
	}
}
