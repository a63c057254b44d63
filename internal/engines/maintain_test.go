package engines_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// A database that reached its quota takes writes again once there is room,
// without anybody's help.
func TestEtcdRecoversFromItsQuota(t *testing.T) {
	opts := options(t)
	opts.Quota, opts.DefragEvery = 32<<20, 50*time.Millisecond
	e := start(t, opts)
	client := dial(t, e)
	value := strings.Repeat("v", 1<<20)
	var err error
	for i := 0; err == nil && i < 100; i++ {
		_, err = client.Put(t.Context(), fmt.Sprint("k", i%4), value)
	}
	if err == nil || !strings.Contains(err.Error(), "database space exceeded") {
		t.Fatalf("the quota was not reached: %v", err)
	}
	if err := e.Health(t.Context()); err == nil || !strings.Contains(err.Error(), "NOSPACE") {
		t.Errorf("health: %v", err)
	}
	last, err := client.Get(t.Context(), "k0")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Compact(t.Context(), last.Header.GetRevision()); err != nil {
		t.Fatal(err)
	}
	deadline := time.After(20 * time.Second)
	for e.Health(t.Context()) != nil {
		select {
		case <-time.After(10 * time.Millisecond):
		case <-deadline:
			t.Fatal(e.Health(t.Context()))
		}
	}
	if _, err := client.Put(t.Context(), "k", "v"); err != nil {
		t.Error(err)
	}
}
