package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestColdStart starts the shop with built programs until its first answer. What
// else the machine does makes a start slower, never faster: one of three counts.
func TestColdStart(t *testing.T) {
	data := t.TempDir()
	upWith(t, data, "../../warren.yaml").down() // builds the services, fills the catalogue
	var took []time.Duration
	for range 3 {
		began := time.Now()
		s := upWith(t, data, "../../warren.yaml")
		got := s.call("GET", "/v1/products/22423", "", "")
		took = append(took, time.Since(began).Round(time.Millisecond))
		if got.status != http.StatusOK {
			t.Fatalf("first request: %d %s", got.status, got.body)
		}
		if took[len(took)-1] < 5*time.Second {
			t.Logf("from the start to the first answer: %s", took)
			return
		}
		s.down()
	}
	t.Errorf("from the start to the first answer it took %s, want less than 5 s", took)
}

// TestProcessesDie kills an instance with -9 every few seconds under load: no
// idempotent request may fail.
func TestProcessesDie(t *testing.T) {
	s := up(t)
	s.must("scale", "catalog=3")
	s.must("scale", "identity=2")
	s.must("wait")
	l := startLoad(t, s.url, 150)
	victims := []string{"catalog/1", "identity/1", "catalog/2", "catalog/3", "identity/2"}
	deadline := time.After(60 * time.Second)
	kill := time.NewTicker(4 * time.Second)
	defer kill.Stop()
	killed := 0
	for i := 0; ; i++ {
		select {
		case <-kill.C:
			if _, err := s.ctl("kill", victims[i%len(victims)]); err != nil {
				t.Log(err) // it is just being started again: then nothing is killed
			} else {
				killed++
			}
		case <-deadline:
			l.finish(t, 5000)
			if killed < 8 {
				t.Errorf("only %d processes were killed", killed)
			}
			s.must("wait", "--timeout", "30s")
			return
		}
	}
}

// TestPeopleChangeThings restarts every service and scales up and down under
// load: no request may fail at all.
func TestPeopleChangeThings(t *testing.T) {
	s := up(t)
	l := startLoad(t, s.url, 150)
	for range 2 {
		s.must("restart")
		s.must("scale", "catalog=4")
		s.must("wait")
		s.must("scale", "identity=2")
		s.must("wait")
		s.must("restart", "catalog", "gateway")
		s.must("scale", "catalog=1")
		s.must("scale", "identity=1")
	}
	l.finish(t, 500)
}

// TestOneServiceIsMissing stops a service, also across a restart of everything
// else: its routes say so, the rest works, and it heals.
func TestOneServiceIsMissing(t *testing.T) {
	data := t.TempDir()
	s := upWith(t, data, "../../warren.yaml")
	missing := func(s *system) {
		t.Helper()
		var got answer
		until(t, 10*time.Second, "503 from the missing service's route", func() bool {
			got = s.call("GET", "/v1/products/22423", "", "")
			return got.status == http.StatusServiceUnavailable
		})
		if got.header.Get("Retry-After") == "" || got.json(t)["reason"] == "" {
			t.Errorf("missing service: %v %s, want a reason and Retry-After", got.header, got.body)
		}
		if got := s.call("GET", "/.well-known/jwks.json", "", ""); got.status != http.StatusOK {
			t.Errorf("the rest: %d %s", got.status, got.body)
		}
	}
	s.must("scale", "catalog=0")
	missing(s)
	s.must("scale", "catalog=1")
	took := until(t, 10*time.Second, "the route to heal", func() bool {
		return s.call("GET", "/v1/products/22423", "", "").status == http.StatusOK
	})
	t.Logf("healed after %s", took.Round(time.Millisecond))
}

// TestStartOrder starts the services in the reverse order of the file.
func TestStartOrder(t *testing.T) {
	file := variant(t, func(text string) string {
		return strings.Replace(text, "  identity: {path: ./shop/identity}\n  catalog: {path: ./shop/catalog, replicas: 2}\n",
			"  catalog: {path: ./shop/catalog, replicas: 2}\n  identity: {path: ./shop/identity}\n", 1)
	})
	s := upWith(t, t.TempDir(), file)
	for _, path := range reads {
		if got := s.call("GET", path, "", ""); got.status != http.StatusOK {
			t.Errorf("GET %s: %d %s", path, got.status, got.body)
		}
	}
	var states []string
	for _, i := range s.list().GetInstances() {
		states = append(states, fmt.Sprint(i.GetId(), " ", i.GetState()))
		if i.GetState() != 2 {
			t.Errorf("%s is %s", i.GetId(), i.GetState())
		}
	}
	t.Log(states)
}
