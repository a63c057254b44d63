package config_test

import (
	"testing"
	"time"

	"github.com/gowarren/warren/config"
)

// TestResolveIsWhatProcessesObey compares it with the values that processes of
// several services watch, over layers and scopes.
func TestResolveIsWhatProcessesObey(t *testing.T) {
	const contract, method = "shop.catalog.v1.CatalogService", "/shop.catalog.v1.CatalogService/ListProducts"
	timeout := config.Duration("rpc.timeout", 2*time.Second, time.Millisecond, time.Hour, "time")
	scopes := []config.Scope{{}, {Service: "order"}, {Service: contract}, {Method: method}, {Service: "order", Method: method}}
	place := config.Scope{Service: contract, Method: method}
	for at := range 1 << len(scopes) { // each set of scopes that the file may speak of
		var file config.FileLayer
		for i, s := range scopes {
			if at&(1<<i) != 0 {
				file.Entries = append(file.Entries, config.FileEntry{Name: "rpc.timeout", Scope: s, Value: []string{"3s", "4s", "5s", "6s", "7s"}[i], Position: s.String()})
			}
		}
		for _, own := range []string{"order", "gateway"} {
			settings, err := config.New(config.Options{Service: own, File: file})
			if err != nil {
				t.Fatal(err)
			}
			value := config.Watch(settings, timeout, place, 900*time.Millisecond)
			want := settings.InForce()[0]
			got := timeout.Definition().Resolve(place, own, "900ms", nil, file)
			if got.Value != value.Get().String() || got.Source != want.Source || got.Position != want.Position {
				t.Errorf("set %b in %s: %+v, the process has %+v", at, own, got, want)
			}
			settings.Close()
		}
	}
}

func TestResolveLayers(t *testing.T) {
	d := config.Int("rpc.retry.attempts", 3, 1, 10, "tries").Definition()
	file := config.FileLayer{Entries: []config.FileEntry{{Name: "rpc.retry.attempts", Value: "5", Position: "warren.yaml:9:3"}}}
	centre := func(value string) []config.Entry {
		return []config.Entry{{Name: "rpc.retry.attempts", Scope: config.Scope{Service: "order"}, Value: value, Source: "centre", Revision: 4}}
	}
	for name, c := range map[string]struct {
		own, value, source string
		centre             []config.Entry
		file               config.FileLayer
		problem            bool
	}{
		"nobody":        {"order", "3", "default", nil, config.FileLayer{}, false},
		"the file":      {"order", "5", "file", nil, file, false},
		"the centre":    {"order", "7", "centre", centre("7"), file, false},
		"not for it":    {"cart", "5", "file", centre("7"), file, false},
		"a value of no": {"order", "5", "file", centre("many"), file, true},
	} {
		t.Run(name, func(t *testing.T) {
			got := d.Resolve(config.Scope{}, c.own, "", c.centre, c.file)
			if got.Value != c.value || got.Source != c.source || (got.Problem != "") != c.problem {
				t.Errorf("%+v", got)
			}
		})
	}
}
