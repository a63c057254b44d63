package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/gowarren/warren/internal/browsertest"
)

// TestConsole sees one running shop, in which customers buy, through its console:
// what is there right after the start, how a fault leads to its cause, and every
// page.
func TestConsole(t *testing.T) {
	at := freeAddress(t)
	v := openConsole(t, at)
	s := openAs(t, "../../warren.yaml", "--console", at)
	ready := time.Now()
	v.hasData(ready)
	s.hire()
	s.set("metrics.scrape.interval=1s", "metrics.rules.interval=1s", "alerts.slo.period=1h")
	s.buying(8, 1500*time.Millisecond)
	t.Run("from a fault to its cause", func(t *testing.T) { fromAFaultToItsCause(openConsole(t, at)) })
	t.Run("every screen", func(t *testing.T) { s.as(t).everyScreen(openConsole(t, at)) })
}

// viewer looks at the console.
type viewer struct {
	*browsertest.Browser
	t *testing.T
}

func openConsole(t *testing.T, at string) *viewer {
	t.Helper()
	v := &viewer{browsertest.Open(t, "http://"+at, true), t}
	v.Shape(1280, 900, false)
	return v
}

// hasData measures how long a system has been ready when its console shows what
// runs, and how it fares. A start within which the machine does something else
// takes longer, so that the bound is generous; what it takes in quiet is in
// docs/performance.md.
func (v *viewer) hasData(ready time.Time) {
	v.t.Helper()
	v.Visit("/overview")
	v.Eventually("the instances", aRow("Services", "gateway")+" !== undefined")
	v.t.Logf("%s after the system was ready, the console shows what runs", time.Since(ready).Round(time.Millisecond))
	v.Run(chromedp.Navigate("about:blank")) // a page that nobody looks at any more would go on renewing itself
}

// buying has n customers who place an order each pause, until the test ends.
func (s *shop) buying(n int, pause time.Duration) {
	s.t.Helper()
	const plenty = 100_000
	skus := []string{"22423", "22752", "22111", "21730"}
	for _, sku := range skus {
		s.stock(sku, plenty)
	}
	ctx, stop := context.WithCancel(s.t.Context())
	var work sync.WaitGroup
	for i, c := range s.customers(n, func(int) int64 { return 9_000_000 }) {
		work.Go(func() {
			for n := i; rest(ctx, pause); n++ {
				_, err := c.place(ctx, fmt.Sprint("order-", n), orderBody(map[string]int{skus[n%len(skus)]: 1}))
				if err != nil && ctx.Err() == nil {
					s.t.Errorf("%s: %v", c.email, err)
				}
			}
		})
	}
	s.t.Cleanup(func() { stop(); work.Wait() })
}

// aRow is an expression for the first row of a table that has these words; the
// table is known by its name.
func aRow(table string, words ...string) string {
	return fmt.Sprintf(`[...document.querySelectorAll("main table")].filter((t) => t.caption && t.caption.textContent.trim().startsWith(%q))
		.flatMap((t) => [...t.tBodies[0].rows]).find((r) => %s.every((w) => r.textContent.includes(w)))`, table, literal(words))
}

// literal is a list of words as JavaScript writes it.
func literal(words []string) string {
	text, _ := json.Marshal(words) //nolint:errchkjson // strings have a JSON
	return string(text)
}

// has is an expression that tells whether there is such a row.
func has(table string, words ...string) string { return aRow(table, words...) + " !== undefined" }

// link is an expression for a link of the page, by its name.
func link(name string) string {
	return fmt.Sprintf(`[...document.querySelectorAll("a[href]")].find((a) => {
		const heard = a.cloneNode(true);
		heard.querySelectorAll("[aria-hidden=true]").forEach((e) => e.remove());
		return heard.textContent.trim() === %q;
	})`, name)
}

// follow clicks what leads to another page of the console.
func (v *viewer) follow(what, element, page string) {
	v.t.Helper()
	v.Eventually(what, `(`+element+`) != null`)
	v.Read(`(` + element + `).click()`)
	v.Eventually(what+", followed", fmt.Sprintf(`document.querySelector("main").dataset.page === %q`, page))
}

// asked opens a question that stands behind a button, by keyboard.
func (v *viewer) asked(what, button string) {
	v.t.Helper()
	v.Eventually(what, `(`+button+`) != null`)
	v.Read(`(` + button + `).focus()`)
	v.Press("\r")
	v.Eventually(what+", and be asked why", `document.querySelector("#dialog[open][data-ready] input[name=reason]") !== null`)
}

// because answers it.
func (v *viewer) because(reason string) {
	v.t.Helper()
	v.Run(chromedp.Focus(`#dialog input[name=reason]`, chromedp.ByQuery))
	v.Press(reason, "\r")
}

// does what stands behind a button, and sees it done.
func (v *viewer) does(what, button, reason string) {
	v.t.Helper()
	v.asked(what, button)
	v.because(reason)
	v.Eventually(what+", done", `document.querySelector("#dialog [data-done]") !== null`)
	v.Press("\u001b")
	v.Eventually(what+", and be back", `document.querySelector("dialog[open]") === null`)
}

// complained fails where the browser complained.
func (v *viewer) complained(where string) {
	v.t.Helper()
	for _, p := range v.Complaints() {
		v.t.Errorf("%s: the browser complains: %s", where, strings.TrimSpace(p))
	}
}
