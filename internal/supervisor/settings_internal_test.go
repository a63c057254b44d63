package supervisor

import (
	"testing"
	"time"

	"github.com/gowarren/warren/config"
)

// Who was given longer to drain is not killed before.
func TestGraceFollowsTheDrainTimeout(t *testing.T) {
	const name = "process.drain.timeout"
	settings, err := config.New(config.Options{File: config.FileLayer{Entries: []config.FileEntry{
		{Name: name, Value: "1m"},
		{Name: name, Scope: config.Scope{Service: "order"}, Value: "5m"},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	defer settings.Close()
	for _, c := range []struct {
		settings *config.Settings
		service  string
		want     time.Duration
	}{
		{nil, "order", 30*time.Second + margin}, // before the centre is there
		{settings, "catalog", time.Minute + margin},
		{settings, "order", 5*time.Minute + margin},
	} {
		s := &Supervisor{settings: c.settings}
		if got := s.grace(c.service); got != c.want {
			t.Errorf("%s has %s, want %s", c.service, got, c.want)
		}
	}
}
