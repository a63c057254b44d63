package console_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/gowarren/warren/internal/console"
)

// TestCompare lays two traces over each other.
func TestCompare(t *testing.T) {
	at := "http://" + newWorld().serve(t, console.Options{}).Address()
	pair := "/traces/compare?a=" + calmTrace + "&b=" + someTrace
	_, body := get(t, at+pair)
	for _, want := range []string{"B took 241 ms longer. Most of it is payment: shop.payment.v1.PaymentService/Capture itself took 2.5 ms longer.", "in A only", "Open B", "3 errors"} {
		if !strings.Contains(body, want) {
			t.Errorf("no %q", want)
		}
	}
	csv := func(query string) string {
		_, body := get(t, at+pair+"&format=csv"+query)
		return body
	}
	all := csv("")
	for _, want := range []string{
		"Span,Service,A,B,Difference,Critical path\nPOST /v1/orders,gateway,171 ms,412 ms,241 ms more,A B\n",
		"· · · shop.payment.v1.PaymentService/Capture,payment,84 ms,272 ms,188 ms more,B\n", "· · SELECT orders,order,3 ms,3 ms,0,\n",
		"· · · process OrderConfirmed,notification,7 ms,–,in A only,\n",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("no %q in\n%s", want, all)
		}
	}
	if one := csv("&only=one"); strings.Count(one, "\n") != 2 || !strings.Contains(one, "in A only") {
		t.Errorf("in one only: %s", one)
	}
	if differs := csv("&only=differs"); strings.Contains(differs, "SELECT") || !strings.Contains(differs, "Capture") {
		t.Errorf("what differs: %s", differs)
	}
	for _, wrong := range []string{"/traces/compare", "/traces/compare?a=x&b=" + someTrace} {
		if resp, body := get(t, at+wrong); resp.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(body, "Two are compared") {
			t.Errorf("%s: %s", wrong, resp.Status)
		}
	}
	if resp, _ := get(t, at+"/traces/compare?a="+strings.Repeat("0", 32)+"&b="+someTrace); resp.StatusCode != http.StatusNotFound {
		t.Errorf("one that is not kept: %s", resp.Status)
	}
}

// TestChoose goes from the list, and from a trace, to the comparison.
func TestChoose(t *testing.T) {
	at := "http://" + newWorld().serve(t, console.Options{}).Address()
	_, body := get(t, at+"/traces?service=order")
	if !strings.Contains(body, `href="/traces?compare=`+someTrace+`&amp;service=order">Compare</a>`) {
		t.Error("nothing can be chosen")
	}
	_, body = get(t, at+"/traces?compare="+someTrace)
	if !strings.Contains(body, `href="/traces/compare?a=`+someTrace+`&amp;b=`+calmTrace+`">With this</a>`) || !strings.Contains(body, ">chosen<") {
		t.Error("the second can't be chosen")
	}
	_, body = get(t, at+"/traces/"+someTrace)
	for _, want := range []string{`<a href="/traces/compare?a=` + calmTrace + `&amp;b=` + someTrace + `">the median of 1 other</a>`, "the one before", `href="/traces?compare=` + someTrace + `"`} {
		if !strings.Contains(body, want) {
			t.Errorf("the trace's page has no %q", want)
		}
	}
}

// TestRelated follows the links between a trace, its transaction and its order.
func TestRelated(t *testing.T) {
	at := "http://" + newWorld().serve(t, console.Options{}).Address()
	follow := func(body, text, wants string) {
		t.Helper()
		found := regexp.MustCompile(`href="([^"]+)">` + text + `<`).FindStringSubmatch(body)
		if found == nil {
			t.Errorf("no link %q", text)
			return
		}
		path := strings.NewReplacer("&amp;", "&", "&#43;", "+").Replace(found[1])
		if resp, body := get(t, at+path); resp.StatusCode != http.StatusOK || !strings.Contains(body, wants) {
			t.Errorf("%s leads to %s: %s", text, path, resp.Status)
		}
	}
	_, trace := get(t, at+"/traces/"+someTrace)
	follow(trace, "its steps", "<h1>checkout/1042")
	follow(trace, "its transaction", "<h1>checkout/1042")
	follow(trace, "its traces", `<caption>Traces`)
	_, txn := get(t, at+"/transactions/checkout%2F1042")
	follow(txn, "POST /v1/orders", "<h1>POST /v1/orders")
	follow(txn, "Traces", "Of the transaction")
	follow(txn, "Logs", "<h1>Logs")
}
