package alerting

import (
	"encoding/json"
	"log/slog"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/gowarren/warren/internal/metricstore"
)

// Many alerts at once keep nobody waiting who evaluates rules: they are written
// down once, not once for each.
func TestManyAlertsAtOnce(t *testing.T) {
	const many = 5000
	e, err := New(Options{Dir: t.TempDir(), System: t.TempDir(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	var all []metricstore.Alert
	for n := range many {
		all = append(all, metricstore.Alert{
			Name: "InstanceDown", State: metricstore.Firing, Since: now, Fired: now,
			Labels: map[string]string{"alertname": "InstanceDown", "severity": Page, "instance": strconv.Itoa(n)},
		})
	}
	e.Notify(all)
	if took := time.Since(now); took > 30*time.Second {
		t.Errorf("%d alerts took %s", many, took)
	}
	var kept map[string]*firing
	text, err := os.ReadFile(e.path("firing.json"))
	if err == nil {
		err = json.Unmarshal(text, &kept)
	}
	if err != nil || len(kept) != many {
		t.Errorf("%d are kept, %v", len(kept), err)
	}
}
