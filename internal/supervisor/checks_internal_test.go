package supervisor

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	fleetv1 "github.com/gowarren/warren/api/warren/fleet/v1"
	"github.com/gowarren/warren/internal/admin"
)

// TestChecks asks instances how they are: those that are not ready, or all. One
// that does not answer is told, and keeps nobody else waiting for longer.
func TestChecks(t *testing.T) {
	waits := httptest.NewServer(admin.New(admin.Options{Ready: func(context.Context) []admin.Check {
		return []admin.Check{{Name: "process", Reason: "starting"}, {Name: "database", Reason: "connection refused"}, {Name: "settings", OK: true}}
	}}))
	defer waits.Close()
	strange := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello")) }))
	defer strange.Close()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	release := make(chan struct{})
	hangs := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer hangs.Close()
	defer close(release)
	at := func(s *httptest.Server) string { return strings.TrimPrefix(s.URL, "http://") }
	all := func() []*fleetv1.Instance {
		starting := fleetv1.State_STATE_STARTING
		return []*fleetv1.Instance{
			{Id: "waits", State: starting, Pid: 1, Admin: at(waits)}, {Id: "ready", State: fleetv1.State_STATE_READY, Pid: 1, Admin: at(waits)},
			{Id: "strange", State: starting, Pid: 1, Admin: at(strange)}, {Id: "gone", State: starting, Pid: 1, Admin: at(gone)},
			{Id: "hangs", State: starting, Pid: 1, Admin: at(hangs)}, {Id: "new", State: starting, Pid: 1}, {Id: "none", State: fleetv1.State_STATE_CRASH_LOOP},
		}
	}
	const said = "process:false:starting database:false:connection refused settings:true:"
	for _, c := range []struct {
		whom fleetv1.Checks
		want map[string]string
	}{
		{fleetv1.Checks_CHECKS_UNSPECIFIED, map[string]string{"waits": "", "gone": "", "new": ""}},
		{fleetv1.Checks_CHECKS_UNREADY, map[string]string{"waits": said, "ready": "", "strange": "?read its checks", "gone": "?ask for its checks", "hangs": "?ask for its checks", "new": "?it is not in the registry yet", "none": ""}},
		{fleetv1.Checks_CHECKS_ALL, map[string]string{"waits": said, "ready": said, "none": ""}},
	} {
		instances := all()
		if c.whom == fleetv1.Checks_CHECKS_ALL { // it is enough to wait for it once
			instances = slices.DeleteFunc(instances, func(i *fleetv1.Instance) bool { return i.GetId() == "hangs" })
		}
		(&Supervisor{}).check(t.Context(), instances, c.whom)
		for _, i := range instances {
			want, ok := c.want[i.GetId()]
			if !ok {
				continue
			}
			why, unasked := strings.CutPrefix(want, "?")
			if unasked != (i.GetUnchecked() != "") || unasked && !strings.HasPrefix(i.GetUnchecked(), why) {
				t.Errorf("%v of %s: %q, want %q", c.whom, i.GetId(), i.GetUnchecked(), why)
			}
			if got := checksText(i.GetChecks()); !unasked && got != want {
				t.Errorf("%v of %s: %s, want %s", c.whom, i.GetId(), got, want)
			}
		}
	}
}

func checksText(all []*fleetv1.Check) string {
	var out []string
	for _, c := range all {
		out = append(out, fmt.Sprintf("%s:%t:%s", c.GetName(), c.GetOk(), c.GetReason()))
	}
	return strings.Join(out, " ")
}

// TestOldAuditIsTakenOver goes on with what the console alone kept before.
func TestOldAuditIsTakenOver(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir, false)
	defer func() {
		if err := d.close(); err != nil {
			t.Error(err)
		}
	}()
	for _, name := range []string{"console-audit.jsonl", "console-audit.jsonl.1"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(`{"author":"ada","action":"restart"}`+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := &Supervisor{data: d, log: slog.New(slog.DiscardHandler)}
	for range 2 { // again is no harm
		list, err := s.openAudit()
		if err != nil {
			t.Fatal(err)
		}
		if all, err := list.File.List(0, ""); err != nil || len(all) != 2 || all[0].GetAuthor() != "ada" {
			t.Errorf("%v, %v", all, err)
		}
	}
}
