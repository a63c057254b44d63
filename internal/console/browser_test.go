package console_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/gowarren/warren/internal/browsertest"
	"github.com/gowarren/warren/internal/console"
)

// browser is somebody who visits pages of the console.
type browser struct{ *browsertest.Browser }

func openBrowser(t *testing.T, at string) *browser {
	t.Helper()
	return &browser{browsertest.Open(t, "http://"+at, true)}
}

func (b *browser) run(actions ...chromedp.Action)       { b.Run(actions...) }
func (b *browser) open(path string)                     { b.Visit(path) }
func (b *browser) eventually(script string)             { b.Eventually(script, script) }
func (b *browser) text(script string) string            { return b.Read(script) }
func (b *browser) shape(width, height int64, dark bool) { b.Shape(width, height, dark) }
func (b *browser) picture(name string)                  { b.Picture(name) }

// complaints are about all but pages that say by their status that they are not
// there, which is meant.
func (b *browser) complaints() []string {
	return slices.DeleteFunc(b.Complaints(), func(p string) bool { return strings.Contains(p, "status of 4") })
}

// screens are all pages, with a path that shows something.
var screens = []struct{ name, path string }{
	{"overview", "/overview"},
	{"topology", "/topology"},
	{"topology-unhealthy", "/topology?show=unhealthy"},
	{"topology-shop", "/topology?around=the-shop"},
	{"topology-sixty", "/topology?around=sixty"},
	{"services", "/services"},
	{"instances", "/services?show=instances"},
	{"service", "/services/payment"},
	{"instance", "/services/payment/2"},
	{"policies", "/services/payment/policies"},
	{"profile", "/profiles/" + someProfile},
	{"profile-focus", "/profiles/" + someProfile + "?q=sqlite&focus=" + focusOf("main.(*ledger).book")},
	{"profile-ask", "/services/payment/2/profile"},
	{"alerts", "/alerts"},
	{"alert", "/alerts/ErrorBudgetBurnsFast"},
	{"traces", "/traces"},
	{"traces-choose", "/traces?compare=" + calmTrace},
	{"compare", "/traces/compare?a=" + calmTrace + "&b=" + someTrace},
	{"trace", "/traces/" + someTrace + "?span=000000000000000b"},
	{"logs", "/logs"},
	{"logs-none", "/logs?q=nothing"},
	{"metrics", "/metrics?query=sum+by+(service)+(rate(x[1m]))"},
	{"transactions", "/transactions"},
	{"transaction", "/transactions/checkout%2F1042"},
	{"letters", "/letters"},
	{"letter", "/letters/notification/L1"},
	{"events", "/events"},
	{"event", "/events/" + someTopic},
	{"experiments", "/experiments"},
	{"experiments-plan", "/experiments?fault=latency&service=payment&delay=2s&share=50&for=2m"},
	{"contracts", "/contracts"},
	{"contract", "/contracts/shop.payment.v1.PaymentService"},
	{"method", holdPage},
	{"method-read", walletPage},
	{"routes", "/routes"},
	{"settings", "/settings"},
	{"setting", "/settings/rpc.timeout"},
	{"history", "/settings-history?from-revision=6"},
	{"audit", "/audit"},
	{"restart", "/services/payment/restart"},
	{"nowhere", "/nowhere"},
}

// TestScreens looks at every page as people do: on a screen and on a phone, by
// day and by night.
func TestScreens(t *testing.T) {
	c := newWorld().serve(t, console.Options{})
	b := openBrowser(t, c.Address())
	for _, form := range []struct {
		name          string
		width, height int64
		dark          bool
	}{{"light-1280", 1280, 860, false}, {"dark-1280", 1280, 860, true}, {"light-390", 390, 844, false}, {"dark-390", 390, 844, true}} {
		b.shape(form.width, form.height, form.dark)
		for _, s := range screens {
			b.open(s.path)
			if wrong := b.text(browsertest.Accessible); wrong != "" {
				t.Errorf("%s, %s:\n%s", s.name, form.name, wrong)
			}
			b.picture(s.name + "-" + form.name)
			for _, p := range b.complaints() {
				t.Errorf("%s, %s: %s", s.name, form.name, p)
			}
		}
	}
}

// TestKeyboard does an operator's work without a mouse.
func TestKeyboard(t *testing.T) {
	w := newWorld()
	c := w.serve(t, console.Options{})
	b := openBrowser(t, c.Address())
	b.shape(1280, 860, false)
	b.open("/overview")
	press := b.Press
	press("s")
	b.eventually(`location.pathname === "/services" && document.querySelector("tr[data-href]") !== null`)
	press("j", "j", "k", "\r")
	b.eventually(`location.pathname === "/services/catalog" && document.querySelector("h1").textContent.includes("catalog")`)
	press("?")
	b.eventually(`document.querySelector("#help").open`)
	press("x", "\u001b") // within the sheet, a letter opens no page
	b.eventually(`!document.querySelector("#help").open && location.pathname === "/services/catalog"`)
	press("/")
	b.eventually(`document.activeElement.id === "search"`)
	b.run(chromedp.SetValue("#search", "checkout/1042")) // this protocol types the slash, too
	press("\r")
	b.eventually(`location.pathname === "/transactions/checkout%2F1042" && document.querySelector("h1").textContent.includes("checkout/1042")`)
	b.run(chromedp.Focus(`.filters a[href$="/retry"]`), chromedp.KeyEvent("\r"))
	b.eventually(`document.querySelector("#dialog[open][data-ready] input[name=reason]") !== null`)
	b.picture("dialog-retry")
	b.run(chromedp.Focus(`#dialog input[name=reason]`))
	press("the bank is back", "\r")
	b.eventually(`document.querySelector("#dialog [data-done]") !== null`)
	press("\u001b")
	b.eventually(`document.querySelector("dialog[open]") === null`)
	if done := strings.Join(w.asked(), ";"); done != "retry checkout/1042 by ada: the bank is back" {
		t.Errorf("done: %s", done)
	}
	press("u")
	b.eventually(`location.pathname === "/audit" && document.querySelector("main").innerText.includes("the bank is back")`)
	for _, p := range b.complaints() {
		t.Error(p)
	}
}

// TestLive sees a page change by itself, pauses it, and lets it go on.
func TestLive(t *testing.T) {
	w := newWorld()
	c := w.serve(t, console.Options{})
	b := openBrowser(t, c.Address())
	b.open("/services")
	b.run(chromedp.Evaluate(`document.querySelector("#service-catalog").kept = true`, nil))
	scale := func(n int) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.replicas["catalog"] = n
	}
	shows := func(n int) string {
		return fmt.Sprintf(`document.querySelector("#service-catalog").innerText.includes("%d of %d ready")`, n, n)
	}
	scale(3)
	b.eventually(shows(3))
	b.eventually(`document.querySelector("#service-catalog").kept === true`) // changed, not replaced
	b.run(chromedp.KeyEvent("p"))
	b.eventually(`!document.querySelector("[data-paused]").hidden`)
	scale(4)
	b.run(chromedp.KeyEvent("p"))
	b.eventually(shows(4))
	b.eventually(`document.querySelector("[data-paused]").hidden`)
	b.run(chromedp.Click("[data-theme-switch]"))
	b.eventually(`document.documentElement.dataset.theme === "dark" && document.cookie.includes("warren_theme=dark")`)
	for _, p := range b.complaints() {
		t.Error(p)
	}
}

// TestActions does by mouse what can't be taken back: only with the name typed
// and a reason given.
func TestActions(t *testing.T) {
	w := newWorld()
	c := w.serve(t, console.Options{})
	b := openBrowser(t, c.Address())
	b.open("/services/payment/2")
	b.eventually(`document.querySelector("#check-database").innerText.includes("connection refused")`) // why it is not ready
	b.run(chromedp.Click(`a[href$="/kill"]`))
	b.eventually(`document.querySelector("#dialog[open][data-ready] input[name=typed]") !== null`)
	b.picture("dialog-kill")
	b.run(chromedp.SendKeys(`#dialog input[name=typed]`, "payment"), chromedp.SendKeys(`#dialog input[name=reason]`, "an exercise"), chromedp.Click(`#dialog button.danger`))
	b.eventually(`(document.querySelector("#dialog[data-ready] [role=alert]") || {innerText: ""}).innerText.includes("Type payment/2")`)
	b.run(chromedp.SendKeys(`#dialog input[name=typed]`, "payment/2"), chromedp.Click(`#dialog button.danger`))
	b.eventually(`document.querySelector("#dialog [data-done]") !== null`)
	b.open("/settings/rpc.timeout")
	b.run(chromedp.Click(`a[href="/settings/rpc.timeout/set"]`))
	b.eventually(`document.querySelector("#dialog[open][data-ready] input[name=value]") !== null`)
	b.run(chromedp.SetValue(`#dialog input[name=value]`, "never"), chromedp.SendKeys(`#dialog input[name=reason]`, "to see"), chromedp.Click(`#dialog button.main`))
	b.eventually(`(document.querySelector("#dialog[data-ready] [role=alert]") || {innerText: ""}).innerText.includes("want a duration")`)
	b.run(chromedp.SetValue(`#dialog input[name=value]`, "900ms"), chromedp.Click(`#dialog button.main`))
	b.eventually(`document.querySelector("#dialog [data-done]") !== null`)
	want := "kill payment/2 SIGKILL;set rpc.timeout=900ms on all by ada: to see"
	if done := strings.Join(w.asked(), ";"); done != want {
		t.Errorf("done: %s, want %s", done, want)
	}
	b.open("/audit") // also what was refused
	for _, row := range []string{"payment/2 an exercise done", "rpc.timeout on all to see refused", "rpc.timeout on all to see done"} {
		b.eventually(fmt.Sprintf(`[...document.querySelectorAll("tbody tr")].some((r) => r.innerText.replaceAll(/\s+/g, " ").includes(%q))`, row))
	}
	for _, p := range b.complaints() {
		t.Error(p)
	}
}
