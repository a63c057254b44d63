package config_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/config/configtest"
)

func TestFileLayer(t *testing.T) {
	file := config.FileLayer{Entries: []config.FileEntry{
		{Name: "rpc.timeout", Value: "1s", Position: "warren.yaml:3:9"},
		{Name: "rpc.timeout", Scope: config.Scope{Service: "catalog"}, Value: "3s", Position: "warren.yaml:5:9"},
		{Name: "rpc.timeout", Scope: config.Scope{Method: "/shop.v1.S/M"}, Value: "500ms", Position: "warren.yaml:9:9"},
		{Name: "another.service.setting", Value: "whatever"},
	}}
	definitions := []config.Definition{timeout.Definition()}
	catalog := start(t, config.Options{Service: "catalog", File: file, Definitions: definitions})
	order := start(t, config.Options{Service: "order", File: file, Definitions: definitions})
	for _, test := range []struct {
		settings *config.Settings
		scope    config.Scope
		want     time.Duration
	}{
		{order, config.Scope{}, time.Second},
		{catalog, config.Scope{}, 3 * time.Second},
		{order, config.Scope{Service: "catalog"}, 3 * time.Second},
		{catalog, config.Scope{Method: "/shop.v1.S/M"}, 500 * time.Millisecond},
	} {
		if got := config.Watch(test.settings, timeout, test.scope, time.Minute).Get(); got != test.want {
			t.Errorf("%v: %v; want %v", test.scope, got, test.want)
		}
	}
	if e := catalog.InForce()[0]; e.Source != "file" || e.Position != "warren.yaml:5:9" {
		t.Errorf("in force: %+v", e)
	}
}

func TestFileMistakesHavePositions(t *testing.T) {
	file := config.FileLayer{Entries: []config.FileEntry{
		{Name: "rpc.timout", Value: "1s", Position: "warren.yaml:3:9"},
		{Name: "rpc.timeout", Value: "soon", Position: "warren.yaml:4:9"},
		{Name: "rpc.timeout", Scope: config.Scope{Service: "No Such"}, Value: "1s", Position: "warren.yaml:5:9"},
	}}
	definitions := []config.Definition{timeout.Definition()}
	wants := []string{
		`warren.yaml:3:9: unknown setting "rpc.timout"; did you mean rpc.timeout?`,
		`warren.yaml:4:9: rpc.timeout: "soon" is not a duration`,
		`warren.yaml:5:9: rpc.timeout: unknown form of scope "No Such"`,
	}
	contains(t, file.Check(definitions), wants...)
	_, err := config.New(config.Options{File: file, Definitions: definitions})
	contains(t, err, wants[1:]...) // the first may be another service's

	// A setting that is watched only later is judged later.
	s := start(t, config.Options{File: config.FileLayer{Entries: file.Entries[1:2]}})
	if v := config.Watch(s, timeout, config.Scope{}, time.Second); v.Get() != time.Second {
		t.Errorf("below a bad value in the file: %v", v.Get())
	}
	contains(t, s.Err(), wants[1])
	contains(t, s.Ready(t.Context()), wants[1])
}

func TestProgramMistakes(t *testing.T) {
	s := start(t, config.Options{})
	config.Watch(s, timeout, config.Scope{}, 2*time.Hour)
	contains(t, s.Err(), "contract: rpc.timeout", "largest allowed value, 1h")
	config.Watch(s, config.Int("shop.size", 11, 1, 10, ""), config.Scope{})
	contains(t, s.Err(), "default of shop.size", "largest")
	config.Watch(s, config.Bool("Shop Open", true, ""), config.Scope{})
	contains(t, s.Err(), `"Shop Open"`, "lower-case")
	for _, environment := range []string{"Production", "a/b", "definitions", ".."} {
		if _, err := config.New(config.Options{Environment: environment}); err == nil {
			t.Errorf("environment %q has no error", environment)
		}
	}
}

// A value that this version of a service refuses leaves the last good one.
func TestBadValueLeavesTheLastGoodOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, log := newMemory(), &configtest.Log{}
		centre := newCentre(t, m) // with the wider definition of another version
		metrics := prometheus.NewRegistry()
		s := start(t, config.Options{Driver: m, Logger: log.Logger(), Metrics: metrics})
		narrow := config.Duration("rpc.timeout", time.Second, time.Second, 10*time.Second, "")
		v := config.Watch(s, narrow, config.Scope{})
		for _, d := range []time.Duration{5 * time.Second, time.Minute, time.Minute} {
			set(t, centre, "rpc.timeout", config.Scope{}, d)
			set(t, centre, "rpc.retry.attempts", config.Scope{}, int(d/time.Second)%9+1)
			synctest.Wait()
			if v.Get() != 5*time.Second {
				t.Errorf("in force: %v", v.Get())
			}
		}
		if n := log.Count("a value of a setting is refused"); n != 1 {
			t.Errorf("the log says so %d times:\n%s", n, log)
		}
		if p := s.InForce()[0].Problem; !strings.Contains(p, "largest allowed value, 10s") {
			t.Errorf("the problem is %q", p)
		}
		want := "# HELP warren_config_refused_total Documents and values from the configuration centre that were refused.\n" +
			"# TYPE warren_config_refused_total counter\n" +
			"warren_config_refused_total{kind=\"document\"} 0\nwarren_config_refused_total{kind=\"value\"} 1\n"
		if err := testutil.GatherAndCompare(metrics, strings.NewReader(want), "warren_config_refused_total"); err != nil {
			t.Error(err)
		}
		set(t, centre, "rpc.timeout", config.Scope{}, 6*time.Second)
		synctest.Wait()
		if e := s.InForce()[0]; e.Value != "6s" || e.Problem != "" {
			t.Errorf("after a good value: %+v", e)
		}
		s.Close()
	})
}

// A day without the centre is two lines in the log, and the changes are seen
// within seconds of its end.
func TestLongOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, log := newMemory(), &configtest.Log{}
		s := start(t, config.Options{Driver: m, Service: "catalog", Logger: log.Logger()})
		v := config.Watch(s, timeout, config.Scope{})
		centre := newCentre(t, m)
		set(t, centre, "rpc.timeout", config.Scope{}, time.Minute)
		<-time.After(time.Second)
		m.leave(true)
		config.Watch(s, attempts, config.Scope{}) // to be published when it is back
		<-time.After(24 * time.Hour)
		if v.Get() != time.Minute || !s.Stale() {
			t.Errorf("while the centre is away: %v, stale %v", v.Get(), s.Stale())
		}
		if m.watches > 24*3600 {
			t.Errorf("%d attempts in a day", m.watches)
		}
		m.leave(false)
		<-time.After(2100 * time.Millisecond)
		if s.Stale() {
			t.Error("stale though the centre is back")
		}
		if lines := strings.Count(log.String(), "\n"); lines != 2 {
			t.Errorf("%d lines in the log:\n%s", lines, log)
		}
		s.Close()
	})
}

// A centre that was restored from a backup is followed, and said so.
func TestRestoredCentre(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, log := newMemory(), &configtest.Log{}
		s := start(t, config.Options{Driver: m, Logger: log.Logger()})
		v := config.Watch(s, timeout, config.Scope{})
		centre := newCentre(t, m)
		set(t, centre, "rpc.timeout", config.Scope{}, time.Minute)
		backup := m.documents["local"]
		set(t, centre, "rpc.timeout", config.Scope{}, 2*time.Minute)
		synctest.Wait()
		m.leave(true)
		<-time.After(time.Minute)
		m.change(func() { m.away, m.documents["local"] = false, backup })
		<-time.After(time.Minute)
		if v.Get() != time.Minute || s.Revision() != 1 || log.Count("went back to an older revision") != 1 {
			t.Errorf("after the restore: %v at revision %d\n%s", v.Get(), s.Revision(), log)
		}
		s.Close()
	})
}

func TestSnapshotIsJudged(t *testing.T) {
	m := newMemory()
	set(t, newCentre(t, m), "rpc.timeout", config.Scope{}, time.Minute)
	whole := m.documents["local"].Data
	m.leave(true)
	for name, snapshot := range map[string][]byte{
		"half":                        whole[:len(whole)/2],
		"edited":                      bytes.Replace(whole, []byte("1m0s"), []byte("9m0s"), 1),
		"of another environment":      bytes.Replace(whole, []byte(`"local"`), []byte(`"other"`), 1),
		"empty, as after a power cut": {},
	} {
		path, log := filepath.Join(t.TempDir(), "snapshot.json"), &configtest.Log{}
		if err := os.WriteFile(path, snapshot, 0o600); err != nil {
			t.Fatal(err)
		}
		s := start(t, config.Options{Driver: m, Snapshot: path, Logger: log.Logger()})
		if v := config.Watch(s, timeout, config.Scope{}); v.Get() != 2*time.Second || log.Count("snapshot of the settings is not used") != 1 {
			t.Errorf("snapshot %s: %v\n%s", name, v.Get(), log)
		}
	}
}

// start starts settings that are closed at the end of the test.
func start(t *testing.T, options config.Options) *config.Settings {
	t.Helper()
	if options.Logger == nil {
		options.Logger = configtest.Quiet()
	}
	s, err := config.New(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// newCentre returns a centre where the tests' settings are defined.
func newCentre(t *testing.T, m *memory) *config.Centre {
	t.Helper()
	c, err := config.NewCentre(m, "local")
	if err != nil {
		t.Fatal(err)
	}
	err = c.Define(t.Context(), "rpc", []config.Definition{timeout.Definition(), attempts.Definition(), key.Definition()})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func set(t *testing.T, c *config.Centre, name string, scope config.Scope, value any) config.Change {
	t.Helper()
	text := fmt.Sprint(value)
	change, err := c.Set(context.Background(), []config.Edit{{Name: name, Scope: scope, New: &text}}, "ann", "a test")
	if err != nil {
		t.Fatal(err)
	}
	return change
}

func contains(t *testing.T, err error, words ...string) {
	t.Helper()
	for _, w := range words {
		if err == nil || !strings.Contains(err.Error(), w) {
			t.Errorf("error %v does not say %q", err, w)
		}
	}
}

// With a snapshot and a centre, what counts is the centre, from the start on.
func TestReadyPrefersTheCentreToTheSnapshot(t *testing.T) {
	m, path := newMemory(), filepath.Join(t.TempDir(), "snapshot.json")
	centre := newCentre(t, m)
	set(t, centre, "rpc.timeout", config.Scope{}, time.Minute)
	first := start(t, config.Options{Driver: m, Snapshot: path})
	if err := first.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	first.Close()
	set(t, centre, "rpc.timeout", config.Scope{}, 5*time.Minute)
	second := start(t, config.Options{Driver: m, Snapshot: path})
	if err := second.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	if v := config.Watch(second, timeout, config.Scope{}); v.Get() != 5*time.Minute {
		t.Errorf("ready with %v", v.Get())
	}
}
