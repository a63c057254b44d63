package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gowarren/warren/internal/alerting"
)

// unshown are the alerts of which no fault is had here, and why. docs/alerts.md
// lists them too.
func unshown() map[string]string {
	const disk = "needs a disk of its own to fill"
	return map[string]string{
		"Watchdog":       "always fires, which the test wants",
		"DiskAlmostFull": disk,
		"DiskWillFill":   disk,
		"EtcdSlow":       "needs a slow disk",
	}
}

// TestEveryAlertIsShown: each alert, of every system and of the shop, is fired by a
// fault in a test, or is in the list of those that are not, never both.
func TestEveryAlertIsShown(t *testing.T) {
	files, err := filepath.Glob("alerts_*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range regexp.MustCompile(`alarm\("(\w+)"`).FindAllStringSubmatch(string(text), -1) {
			shown[name[1]] = true
		}
	}
	page, err := os.ReadFile("../../docs/alerts.md")
	if err != nil {
		t.Fatal(err)
	}
	config, err := alerting.Load("../..")
	if err != nil {
		t.Fatal(err)
	}
	missing, known := unshown(), map[string]bool{}
	for _, g := range append(alerting.Shipped(), config.Groups...) {
		for _, r := range g.Rules {
			known[r.Alert] = true
			if why, ok := missing[r.Alert]; ok == shown[r.Alert] {
				t.Errorf("%s: a fault fires it: %v; it is said that none does: %q", r.Alert, shown[r.Alert], why)
			}
		}
	}
	for name, why := range missing {
		if !known[name] {
			t.Errorf("%s is no alert", name)
		}
		if !strings.Contains(string(page), "| "+name+" | "+why+" |") {
			t.Errorf("docs/alerts.md does not say that %s is not shown, and why: %s", name, why)
		}
	}
}

// TestFaultsFireAlerts has one thing after the other go wrong in a system that
// runs, and in each case wants its alert to fire, and to be resolved when it ends.
func TestFaultsFireAlerts(t *testing.T) {
	b := newBed(t)
	var faults []func()
	for _, prepare := range []func() func(){
		b.callsFail, b.callsAreSlow, b.breakersOpen, b.retriesStorm, b.callsAreShed, b.handlerPanics, b.pagesFail, b.usersSeeErrors,
		b.instanceHangs, b.seriesFlood, b.seriesChurn, b.databaseFails, b.databaseIsBusy,
		b.eventsStay, b.subscriberLags, b.handlerFails, b.eventsDie,
		b.transactionsWait, b.settingsAreAway, b.tracesAreLost, b.receiverIsAway, b.ruleIsWrong,
		b.shardStays, b.etcdFills, b.rulesAreSlow, b.storeIsNotCompacted, b.storeIsDamaged,
	} {
		faults = append(faults, prepare())
	}
	b.ready()
	b.together(faults...)
	b.processIsShort()
	if got := b.last(alarm("Watchdog")); got != "firing" {
		t.Errorf("the watchdog: %q", got)
	}
}
