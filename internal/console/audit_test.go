package console_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gowarren/warren/internal/console"
)

// TestAudit keeps what people did, also what they were not let do, through floods
// of the log and restarts of the console.
func TestAudit(t *testing.T) {
	tokens := console.Tokens{Path: t.TempDir() + "/tokens.json"}
	token, err := tokens.Add("grace", "viewer", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld()
	opts := console.Options{Address: "0.0.0.0:0", Tokens: tokens.Path, Audit: filepath.Join(t.TempDir(), "kept", "audit.jsonl")}
	c := w.serve(t, opts)
	at := "http://127.0.0.1" + c.Address()[strings.LastIndex(c.Address(), ":"):]
	jar := signIn(t, at, token)
	if resp := jar.post(t, at+"/services/payment/restart", "reason=let+me"); resp.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("a viewer restarts: %s", resp.Status)
	}
	jar.post(t, at+"/sign-out", "")
	if resp, err := http.Get(at + "/services/payment/restart"); err != nil || resp.Request.URL.Path != "/sign-in" {
		t.Errorf("signed out: %v, %v", resp, err)
	}
	for i := range 3000 {
		w.write("noise", strconv.Itoa(i))
	}
	again := newWorld().serve(t, console.Options{Audit: opts.Audit}) // on the same file, as after a restart
	_, page := get(t, "http://"+again.Address()+"/audit")
	for _, want := range []string{"sign in", "sign out", "let me", "This needs the role operator", "viewer"} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in\n%s", want, page)
		}
	}
	if _, page = get(t, "http://"+again.Address()+"/audit?q=RESTART&format=csv"); strings.Count(page, "\n") != 2 || !strings.Contains(page, "grace,restart,let me,refused,") {
		t.Errorf("filtered:\n%s", page)
	}
	if info, err := os.Stat(opts.Audit); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v, %v", info, err)
	}
}

// TestAuditIsTurnedOver keeps the file before, and reads over a line that is not
// whole.
func TestAuditIsTurnedOver(t *testing.T) {
	a := &console.Audit{Path: t.TempDir() + "/audit.jsonl"}
	if all, err := a.List(0, nil); err != nil || all == nil || len(all) != 0 {
		t.Errorf("before anything was done: %v, %v", all, err)
	}
	const many, least = 300, 100
	long := strings.Repeat("\x00", 1<<20)
	for i := range many {
		if err := a.Add(console.Entry{Author: "ada", Action: strconv.Itoa(i), Reason: long, Target: long, Error: long}); err != nil {
			t.Fatal(err)
		}
	}
	f, err := os.OpenFile(a.Path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"author":"gra`); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	all, err := a.List(0, nil)
	if err != nil || len(all) < least || all[0].Action != "299" || len(all[0].Reason) > 9<<10 {
		t.Errorf("%d entries, %v", len(all), err)
	}
	if all, err = a.List(1, func(e console.Entry) bool { return e.Fits("ADA") && e.Action != "299" }); err != nil || len(all) != 1 || all[0].Action != "298" {
		t.Errorf("one that fits: %v, %v", len(all), err)
	}
	if info, err := os.Stat(a.Path + ".1"); err != nil || info.Size() < 16<<20 {
		t.Errorf("the file before: %v, %v", info, err)
	}
}
