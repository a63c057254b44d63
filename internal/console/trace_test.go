package console_test

import (
	"html"
	"strings"
	"testing"

	"github.com/gowarren/warren/internal/console"
)

// TestLinesOfATrace puts lines below their spans, and leads from them on to the
// saga and the order.
func TestLinesOfATrace(t *testing.T) {
	at := "http://" + newWorld().serve(t, console.Options{}).Address()
	_, page := get(t, at+"/traces/"+someTrace)
	page = html.UnescapeString(page)
	waterfall, below, ok := strings.Cut(page, "Other lines of the log")
	if !ok || !strings.Contains(waterfall, "line 000000000000000b") || strings.Contains(below, "line 000000000000000b") || !strings.Contains(below, "line ffffffffffffffff") {
		t.Errorf("lines are not where they belong:\n%s", page)
	}
	for _, want := range []string{`gid=<a href="/transactions/checkout%2F1042">checkout/1042</a>`, `order_id=<a href="/search?q=1042">1042</a>`, ">its log lines</a>", "/traces?order-id=1042&from="} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in\n%s", want, page)
		}
	}
	_, page = get(t, at+"/traces/"+someTrace+"?lines=below")
	if waterfall, below, ok = strings.Cut(page, "<h2>Log</h2>"); !ok || strings.Contains(waterfall, "line 000000000000000b") || !strings.Contains(below, "line 000000000000000b") {
		t.Errorf("apart from the waterfall:\n%s", page)
	}
	_, page = get(t, at+"/transactions/checkout%2F1042")
	if page = html.UnescapeString(page); !strings.Contains(page, "<dt>Order</dt><dd>1042") || !strings.Contains(page, "/traces?order-id=1042&from=") {
		t.Errorf("the saga does not lead to its order:\n%s", page)
	}
}

// TestLongTrace says that it does not show all.
func TestLongTrace(t *testing.T) {
	at := "http://" + newWorld().serve(t, console.Options{}).Address()
	if _, page := get(t, at+"/traces/"+longTrace); !strings.Contains(page, "of its 5000 spans are shown") {
		t.Errorf("it seems to be all:\n%s", page)
	}
	if _, page := get(t, at+"/traces/"+calmTrace); strings.Contains(page, "are shown.") {
		t.Errorf("not all, it seems:\n%s", page)
	}
}

// TestKept tells with a list what is not in it, and why.
func TestKept(t *testing.T) {
	at := "http://" + newWorld().serve(t, console.Options{}).Address()
	_, page := get(t, at+"/traces?from=now-24h")
	for _, want := range []string{"only those are kept that failed", "740 MiB of 1 GiB", "Not kept: more came than the disk takes", "12 spans, 3 lines"} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in\n%s", want, page)
		}
	}
	if _, page = get(t, at+"/traces"); strings.Contains(page, "only those are kept") {
		t.Error("what is newer is said to be thinned")
	}
	_, page = get(t, at+"/logs")
	if !strings.Contains(page, "Only the newest lines were counted") {
		t.Errorf("all are said to be counted:\n%s", page)
	}
	if !strings.Contains(page, "Figures<span class=\"hide\"> of lines over time") || strings.Count(page, "<tr><th scope=\"row\">") != 40 {
		t.Errorf("the picture of lines has no figures:\n%s", page)
	}
}
