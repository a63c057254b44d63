package console_test

import (
	"testing"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/gowarren/warren/internal/browsertest"
	"github.com/gowarren/warren/internal/console"
)

// enter is the key as a keyboard sends it: a page that takes it for itself gets
// no character of it, which chromedp's own would send all the same.
func enter() chromedp.Action {
	key := func(kind input.KeyType) *input.DispatchKeyEventParams {
		const code = 13
		return input.DispatchKeyEvent(kind).WithKey("Enter").WithCode("Enter").WithWindowsVirtualKeyCode(code)
	}
	return chromedp.Tasks{key(input.KeyDown).WithText("\r"), key(input.KeyUp)}
}

// TestCompleteByKeyboard writes a query with the list of what may stand there:
// the arrows choose, enter takes, escape closes.
func TestCompleteByKeyboard(t *testing.T) {
	b := openBrowser(t, newWorld().serve(t, console.Options{}).Address())
	for _, form := range []struct {
		name          string
		width, height int64
		dark          bool
	}{{"light-1280", 1280, 860, false}, {"dark-390", 390, 844, true}} {
		b.shape(form.width, form.height, form.dark)
		b.open("/metrics")
		const open = `document.activeElement.getAttribute("aria-expanded") === "true" && document.querySelectorAll("#options li").length > 0`
		const closed = `document.activeElement.getAttribute("aria-expanded") === "false" && document.querySelector("#options").hidden`
		holds := func(text string) string { return `document.activeElement.value === ` + "`" + text + "`" }
		chosen := func(text string) string {
			return `(document.getElementById(document.activeElement.getAttribute("aria-activedescendant")) || {innerText: ""}).innerText.startsWith("` + text + `")`
		}
		b.run(chromedp.Focus(`input[name=query]`), chromedp.KeyEvent("sum by ("))
		b.eventually(open)
		b.run(chromedp.KeyEvent("serv"))
		b.eventually(open + ` && document.querySelectorAll("#options li").length === 1`)
		b.run(chromedp.KeyEvent(kb.ArrowDown))
		b.eventually(chosen("service"))
		b.run(enter())
		b.eventually(holds("sum by (service"))
		b.run(chromedp.KeyEvent(") (rat"))
		b.eventually(open + ` && document.querySelector("#options li").innerText.startsWith("rate")`)
		if wrong := b.text(browsertest.Accessible); wrong != "" {
			t.Error(wrong)
		}
		b.picture("metrics-completion-" + form.name)
		b.run(chromedp.KeyEvent(kb.ArrowDown))
		b.eventually(chosen("rate"))
		b.run(enter())
		b.eventually(holds("sum by (service) (rate("))
		b.run(chromedp.KeyEvent(`go_goroutines{service="pa`))
		b.eventually(open + ` && document.querySelector("#options li").innerText.startsWith("payment")`)
		b.run(chromedp.KeyEvent(kb.Escape))
		b.eventually(closed + ` && document.activeElement.name === "query"`)
		b.run(chromedp.KeyEvent(kb.ArrowDown)) // and opens it again
		b.eventually(open)
		b.run(chromedp.KeyEvent(kb.ArrowUp))
		b.eventually(chosen("payment"))
		b.run(enter())
		b.eventually(holds(`sum by (service) (rate(go_goroutines{service="payment"`) + ` && ` + closed)
		b.run(chromedp.KeyEvent("}[1m]))"))
		b.eventually(holds(`sum by (service) (rate(go_goroutines{service="payment"}[1m]))`) + ` && ` + closed)
		b.run(enter())
		b.eventually(`location.search.includes("go_goroutines") && document.querySelector("[data-chart]") !== null`)
		for _, p := range b.complaints() {
			t.Error(p)
		}
	}
}

// TestMetricsWithoutScripts draws a query by the browser alone.
func TestMetricsWithoutScripts(t *testing.T) {
	b := browsertest.Open(t, "http://"+newWorld().serve(t, console.Options{}).Address(), false)
	b.Visit("/metrics")
	b.Run(chromedp.SetValue(`input[name=query]`, "go_goroutines"), chromedp.Submit(`form.filters`))
	b.Eventually("the query's chart", `location.search.includes("go_goroutines") && document.querySelector("[data-chart]") !== null`)
}
