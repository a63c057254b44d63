package console_test

import (
	"html"
	"strings"
	"testing"
	"time"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	"github.com/gowarren/warren/internal/console"
)

// TestTimeline finds all that happened on the overview: what the supervisor
// healed, what people changed, what alerts and experiments did, and whom callers
// left out.
func TestTimeline(t *testing.T) {
	w := newWorld()
	w.write("crash loop", "payment/2 ended 5 times in a row")
	w.write("building", "building payment")
	w.write("built", "built payment in 1.2 s")
	at := "http://" + w.serve(t, console.Options{}).Address()
	_ = (signedIn{}).post(t, at+"/services/payment/restart", "reason=a+new+version")
	_ = (signedIn{}).post(t, at+walletPage, "body={}")
	_, page := get(t, at+"/overview")
	page = html.UnescapeString(page)
	for _, want := range []string{
		"1 alert firing", ": payment spends its error budget", "ErrorBudgetBurnsFast · payment fires", "payment/2 ended 5 times in a row",
		"payment/2 ended by itself (killed by SIGKILL) and is started again", "built payment in 1.2 s", "restart payment", "ada: a new version",
		"rpc.timeout: 2s → 1.5s", "ada: the list is slow on Mondays", "payment/2 is left out by order/1 for 5s",
		"Objectives", "Orders are taken",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q on the overview", want)
		}
	}
	for _, no := range []string{"building payment", "read shop.payment"} {
		if strings.Contains(page, no) {
			t.Errorf("%q is on the overview", no)
		}
	}
	if t.Failed() {
		t.Log(page)
	}
}

// TestMarks finds on a chart, and in its table twin, what was changed: of the
// service that it shows, and what holds for all.
func TestMarks(t *testing.T) {
	at := "http://" + newWorld().serve(t, console.Options{}).Address()
	_, page := get(t, at+"/metrics?query=go_goroutines&from=now-2h")
	page = html.UnescapeString(page)
	for _, want := range []string{"<caption>Changes</caption>", "ErrorBudgetBurnsFast · payment fires", "rpc.timeout: 2s → 1.5s", `"marks":[{"time":`} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in:\n%s", want, page)
		}
	}
	_, page = get(t, at+"/services/catalog?from=now-2h")
	if page = html.UnescapeString(page); !strings.Contains(page, "rpc.timeout: 2s → 1.5s") || strings.Contains(page, "payment fires") {
		t.Errorf("marks of catalog:\n%s", page)
	}
}

// ejected is the line that a caller writes when it leaves an instance out.
func ejected() *observev1.LogLine {
	text := func(key, value string) *observev1.Attribute {
		return &observev1.Attribute{Key: key, Value: &observev1.Attribute_Text{Text: value}}
	}
	return &observev1.LogLine{
		Id: "e1", Time: ago(2 * time.Minute), Level: observev1.LogLevel_LOG_LEVEL_WARN, Service: "order", Instance: "order/1", Message: "instance ejected",
		Attributes: []*observev1.Attribute{text("ejected", "payment/2"), text("ejected_service", "payment"), text("for", "5s")},
	}
}
