package console_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/gowarren/warren/internal/console"
)

// patience is generous: it is only used up where something is wrong.
const patience = 90 * time.Second

// browser is a headless Chromium that remembers what pages complain of.
type browser struct {
	t   *testing.T
	ctx context.Context
	at  string

	mu       sync.Mutex
	problems []string
}

func openBrowser(t *testing.T, at string) *browser {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 8*patience)
	t.Cleanup(cancel)
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.Flag("disable-dev-shm-usage", true))
	ctx, end := chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(end)
	// Of events that a newer browser words differently, none is waited for.
	ctx, closeTab := chromedp.NewContext(ctx, chromedp.WithErrorf(func(string, ...any) {}))
	t.Cleanup(closeTab)
	b := &browser{t: t, ctx: ctx, at: "http://" + at}
	chromedp.ListenTarget(ctx, b.listen)
	if err := chromedp.Run(ctx, log.Enable()); err != nil {
		t.Fatalf("start Chromium, which this test needs (Debian: chromium): %v", err)
	}
	return b
}

// listen notes errors of scripts, and what the content policy kept out.
func (b *browser) listen(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		b.problems = append(b.problems, "exception: "+e.ExceptionDetails.Error())
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.APITypeError || e.Type == runtime.APITypeWarning {
			b.problems = append(b.problems, fmt.Sprintf("console: %s", e.Args[0].Value))
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == log.LevelError && !strings.Contains(e.Entry.Text, "status of 4") {
			b.problems = append(b.problems, "log: "+e.Entry.Text)
		}
	}
}

func (b *browser) complaints() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := b.problems
	b.problems = nil
	return out
}

func (b *browser) run(actions ...chromedp.Action) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Run(ctx, actions...); err != nil {
		b.t.Fatal(err)
	}
}

// open goes to a page, and waits until all of it is there.
func (b *browser) open(path string) {
	b.t.Helper()
	b.run(chromedp.Evaluate(`window.left = true`, nil), chromedp.ActionFunc(func(ctx context.Context) error {
		_, _, _, err := page.Navigate(b.at + path).Do(ctx)
		return err
	}))
	b.eventually(`!window.left && document.readyState === "complete" && document.querySelector("h1") !== null`)
}

// eventually waits until a script says true. Between two pages there is nobody
// to say anything.
func (b *browser) eventually(script string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	const pause = 20 * time.Millisecond
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	for {
		var ok bool
		if chromedp.Run(ctx, chromedp.Evaluate(script, &ok)) == nil && ok {
			return
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			b.t.Fatalf("waited in vain for %s; the page is\n%.3000s", script, b.text(`document.body.innerText`))
		}
	}
}

func (b *browser) text(script string) string {
	b.t.Helper()
	var out string
	b.run(chromedp.Evaluate(script, &out))
	return out
}

func (b *browser) shape(width, height int64, dark bool) {
	b.t.Helper()
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	b.run(chromedp.EmulateViewport(width, height), emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}}))
}

// picture keeps a screenshot where the environment says so.
func (b *browser) picture(name string) {
	b.t.Helper()
	dir := os.Getenv("WARREN_SCREENSHOTS")
	if dir == "" {
		return
	}
	var data []byte
	b.run(chromedp.ActionFunc(func(ctx context.Context) (err error) {
		data, err = page.CaptureScreenshot().WithCaptureBeyondViewport(false).Do(ctx)
		return err
	}))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), data, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// accessible finds what a screen reader or a keyboard would miss.
const accessible = `(() => {
  const wrong = [];
  const shown = (e) => e.getClientRects().length > 0;
  const name = (e) => {
    if (e.getAttribute("aria-label")) return e.getAttribute("aria-label");
    const by = e.getAttribute("aria-labelledby");
    if (by && document.getElementById(by)) return document.getElementById(by).textContent;
    if (e.labels && e.labels.length) return e.labels[0].textContent;
    if (e.matches("input, select, textarea")) return "";
    return e.textContent + [...e.querySelectorAll("img[alt]")].map((i) => i.alt).join("");
  };
  const say = (e) => e.outerHTML.slice(0, 120);
  if (document.querySelectorAll("h1").length !== 1) wrong.push(document.querySelectorAll("h1").length + " h1");
  for (const e of document.querySelectorAll("a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex='0']"))
    if (shown(e) && !e.matches("pre") && name(e).trim() === "") wrong.push("no name: " + say(e));
  for (const e of document.querySelectorAll("img:not([alt])")) wrong.push("no alt: " + say(e));
  for (const e of document.querySelectorAll("svg:not([aria-hidden]):not([role])")) wrong.push("svg without a part: " + say(e));
  for (const e of document.querySelectorAll("main table")) if (!e.caption && !e.closest(".plot")) wrong.push("no caption: " + say(e));
  for (const e of document.querySelectorAll("th:not([scope])")) if (!e.closest(".plot")) wrong.push("no scope: " + say(e));
  for (const e of document.querySelectorAll("[style]")) if (!e.closest(".uplot, .plot")) wrong.push("style in a page: " + say(e));
  const ids = [...document.querySelectorAll("[id]")].map((e) => e.id).filter((id) => id);
  for (const id of new Set(ids)) if (ids.filter((x) => x === id).length > 1) wrong.push("twice: #" + id);
  if (document.documentElement.lang === "") wrong.push("no language");
  if (document.documentElement.scrollWidth > innerWidth + 1) {
    const wide = [...document.querySelectorAll("main *")].filter((e) => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest(".scroll, .log, pre")).map(say);
    wrong.push("wider than the window by " + (document.documentElement.scrollWidth - innerWidth) + ": " + wide.slice(0, 2).join(" | "));
  }
  return wrong.join("\n");
})()`

// screens are all pages, with a path that shows something.
var screens = []struct{ name, path string }{
	{"overview", "/overview"},
	{"topology", "/topology"},
	{"topology-unhealthy", "/topology?show=unhealthy"},
	{"services", "/services"},
	{"instances", "/services?show=instances"},
	{"service", "/services/payment"},
	{"instance", "/services/payment/2"},
	{"profile", "/profiles/" + someProfile},
	{"profile-focus", "/profiles/" + someProfile + "?q=sqlite&focus=" + focusOf("main.(*ledger).book")},
	{"profile-ask", "/services/payment/2/profile"},
	{"alerts", "/alerts"},
	{"traces", "/traces"},
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
			if wrong := b.text(accessible); wrong != "" {
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
	press := func(keys ...string) {
		t.Helper()
		for _, key := range keys {
			b.run(chromedp.KeyEvent(key))
		}
	}
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
	for _, p := range b.complaints() {
		t.Error(p)
	}
}
