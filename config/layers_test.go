package config_test

import (
	"strings"
	"testing"
	"time"

	"github.com/gowarren/warren/config"
)

func TestFamiliesAreCheckedStrictlyAndOthersLeftAlone(t *testing.T) {
	known := []config.Definition{
		config.Float("trace.sample", 0.01, 0, 1, "share").Definition(),
		config.Duration("rpc.timeout", time.Second, 0, time.Hour, "time").Definition(),
	}
	file := func(name, value string) config.FileLayer {
		return config.FileLayer{Entries: []config.FileEntry{{Name: name, Value: value, Position: "warren.yaml:7:3"}}}
	}
	for name, tt := range map[string]struct{ name, value, want string }{
		"right":           {"trace.sample", "1", ""},
		"a service's own": {"catalog.import.max_rows", "many", ""},
		"misspelled":      {"trace.sampel", "1", `warren.yaml:7:3: unknown setting "trace.sampel"; did you mean trace.sample`},
		"out of range":    {"rpc.timeout", "2h", "warren.yaml:7:3"},
	} {
		t.Run(name, func(t *testing.T) {
			err := file(tt.name, tt.value).CheckFamilies(known)
			if tt.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}
