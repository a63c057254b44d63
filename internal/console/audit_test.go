package console_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	fleetv1 "github.com/gowarren/warren/api/warren/fleet/v1"
	"github.com/gowarren/warren/internal/audit"
	"github.com/gowarren/warren/internal/console"
)

// TestAudit lists what people did, also what they were not let do, and what was
// done by a command, through floods of the log and restarts of the console.
func TestAudit(t *testing.T) {
	tokens := console.Tokens{Path: t.TempDir() + "/tokens.json"}
	token, err := tokens.Add("grace", "viewer", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	kept := &audit.File{Path: t.TempDir() + "/kept/audit.jsonl"}
	w := newWorld()
	w.audit = kept
	c := w.serve(t, console.Options{Address: "0.0.0.0:0", Tokens: tokens.Path})
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
	next := newWorld() // on the same file, as after a restart
	next.audit = kept
	again := next.serve(t, console.Options{})
	byCommand := audit.Caller{Via: audit.CLI}.Say(t.Context())
	if _, err := fleetv1.NewFleetServiceClient(next.api).Kill(byCommand, &fleetv1.KillRequest{Instance: "payment/2", Author: "linus", Reason: "an exercise"}); err != nil {
		t.Fatal(err)
	}
	(signedIn{}).post(t, "http://"+again.Address()+"/services/payment/restart", "reason=it+leaks")
	_, page := get(t, "http://"+again.Address()+"/audit")
	for _, want := range []string{"sign in", "sign out", "let me", "This needs the role operator", "viewer", "an exercise", "linus", ">cli<"} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in\n%s", want, page)
		}
	}
	for query, want := range map[string]string{
		"GRACE": "", "let": "grace,restart,let me,refused,console,", "exercise": "linus,kill,an exercise,done,cli,", "leaks": "ada,restart,it leaks,done,console,",
	} {
		_, rows := get(t, "http://"+again.Address()+"/audit?format=csv&q="+query)
		if lines := strings.Count(rows, "\n") - 1; !strings.Contains(rows, want) || lines != map[bool]int{true: 3, false: 1}[want == ""] {
			t.Errorf("filtered by %s:\n%s", query, rows)
		}
	}
	all, err := kept.List(0, "leaks")
	if err != nil || len(all) != 1 || all[0].GetRole() != "admin" || all[0].GetTarget() != "payment" || all[0].GetFrom() == "" || all[0].GetRequest() == "" {
		t.Errorf("what is kept of it: %v, %v", all, err)
	}
}

// TestAuditIsAway is of a system that keeps none: what people do is done.
func TestAuditIsAway(t *testing.T) {
	w := newWorld()
	at := "http://" + w.serve(t, console.Options{}, "audit").Address()
	if resp := (signedIn{}).post(t, at+"/services/payment/restart", "reason=it+leaks"); resp.StatusCode != http.StatusOK {
		t.Errorf("restart: %s", resp.Status)
	}
	if resp, page := get(t, at+"/audit"); resp.StatusCode != http.StatusNotImplemented || !strings.Contains(page, "Not available in this system") {
		t.Errorf("%s\n%s", resp.Status, page)
	}
}
