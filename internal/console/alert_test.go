package console_test

import (
	"html"
	"net/http"
	"strings"
	"testing"

	"github.com/gowarren/warren/internal/console"
)

// TestAlert tells of one alert all that who is woken by it needs.
func TestAlert(t *testing.T) {
	w := newWorld()
	at := "http://" + w.serve(t, console.Options{}).Address()
	_, list := get(t, at+"/alerts")
	for _, want := range []string{`href="/alerts/ErrorBudgetBurnsFast#todo"`, "/alerts/silence?alert=ErrorBudgetBurnsFast&amp;with=service%3Dpayment", "Who was told", "503 Service Unavailable"} {
		if !strings.Contains(list, want) {
			t.Errorf("the list has no %q", want)
		}
	}
	_, page := get(t, at+"/alerts/ErrorBudgetBurnsFast")
	page = html.UnescapeString(page)
	for _, want := range []string{
		"users notice it now", "<code>warren alerts slos</code>", "17 times faster than it may", "slo:burn:1h > 14.4", "no time: it fires at once",
		"which took 3 ms", "How fast error budgets burn", "99.9 % over 30 d 0 h", "17.3 ×", "14.4 ×", "Who was told", "to be tried again", "began", "alerts.yaml",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in\n%s", want, page)
		}
	}
	for _, no := range []string{"{{", "SagaParked", "docs/alerts.md"} {
		if strings.Contains(page, no) {
			t.Errorf("%q is on the page", no)
		}
	}
	if _, page = get(t, at+"/alerts/SagaParked"); !strings.Contains(page, "Its rule names no page") || !strings.Contains(page, "quiet") || !strings.Contains(page, "It finds nothing") {
		t.Errorf("one that is quiet, and has no page:\n%s", page)
	}
	if resp, _ := get(t, at+"/alerts/Nothing"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("one that there isn't: %s", resp.Status)
	}
}

// TestSilence silences what an alert finds for one service, and leaves the others
// to be told.
func TestSilence(t *testing.T) {
	w := newWorld()
	at := "http://" + w.serve(t, console.Options{}).Address()
	const one = "/alerts/silence?alert=HighLatency&with=rpc_method%3D%2Fa.B%2FC&with=service%3Dpayment"
	if _, form := get(t, at+one); !strings.Contains(form, "for rpc_method=/a.B/C, service=payment goes on being watched") || !strings.Contains(form, "Anything else it tells of") {
		t.Errorf("the question:\n%s", form)
	}
	for path, fields := range map[string]string{one: "for=4h&reason=a+test", "/alerts/silence?alert=HighLatency": "for=15m&reason=all"} {
		if resp := (signedIn{}).post(t, at+path, fields); resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", path, resp.Status)
		}
	}
	for path, fields := range map[string]string{one: "for=ever&reason=why", "/alerts/silence": "for=4h&reason=why"} {
		if resp := (signedIn{}).post(t, at+path, fields); resp.StatusCode != http.StatusUnprocessableEntity {
			t.Errorf("%s with %s: %s", path, fields, resp.Status)
		}
	}
	done := strings.Join(w.asked(), ";")
	if !strings.Contains(done, "silence alertname=HighLatency,rpc_method=/a.B/C,service=payment by ada") || !strings.Contains(done, "silence alertname=HighLatency by ada") || strings.Count(done, ";") != 1 {
		t.Errorf("done: %s", done)
	}
}
