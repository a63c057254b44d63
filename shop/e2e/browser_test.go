package e2e

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
)

// patience is generous: it is only used up where something is wrong.
const patience = 2 * time.Minute

// browser is a headless Chromium that remembers what pages complain of.
type browser struct {
	t   *testing.T
	ctx context.Context
	at  string

	mu       sync.Mutex
	problems []string
}

// openBrowser starts one without any past. Without scripts, pages have none;
// what the test itself asks still is answered.
func openBrowser(t *testing.T, at string, scripts bool) *browser {
	t.Helper()
	past, err := os.MkdirTemp("", "chromium")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(past) }) // its last processes may still write
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.UserDataDir(past),
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.WSURLReadTimeout(patience))
	ctx, end := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(end)
	// Of events that a newer browser words differently, none is waited for.
	ctx, closeTab := chromedp.NewContext(ctx, chromedp.WithErrorf(func(string, ...any) {}))
	t.Cleanup(closeTab)
	t.Cleanup(func() { _ = chromedp.Cancel(ctx) })
	b := &browser{t: t, ctx: ctx, at: at}
	chromedp.ListenTarget(ctx, b.listen)
	if err := chromedp.Run(ctx, log.Enable(), emulation.SetScriptExecutionDisabled(!scripts)); err != nil {
		t.Fatalf("start Chromium, which this test needs (Debian: chromium): %v", err)
	}
	return b
}

// listen notes errors of scripts, what the content policy kept out, and what
// could not be loaded.
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
		if e.Entry.Level == log.LevelError || e.Entry.Level == log.LevelWarning {
			b.problems = append(b.problems, fmt.Sprintf("%s: %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL))
		}
	}
}

// quiet wants nothing to have been complained of.
func (b *browser) quiet(where string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.problems {
		b.t.Errorf("%s: the browser complains: %s", where, p)
	}
	b.problems = nil
}

// forgive forgets complaints about what was meant to go wrong.
func (b *browser) forgive() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.problems = nil
}

func (b *browser) run(actions ...chromedp.Action) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Run(ctx, actions...); err != nil {
		b.t.Fatalf("%v; the page is\n%s", err, b.said())
	}
}

// said is the text of the page, if it can be had.
func (b *browser) said() (text string) {
	ctx, cancel := context.WithTimeout(b.ctx, 5*time.Second)
	defer cancel()
	_ = chromedp.Run(ctx, chromedp.Evaluate(`location.href + "\n" + document.body.innerText.slice(0, 3000)`, &text))
	return text
}

// eventually waits until an expression is true. Between two pages there is
// nobody to say anything.
func (b *browser) eventually(what, expression string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	ticker := time.NewTicker(40 * time.Millisecond)
	defer ticker.Stop()
	for {
		var ok bool
		if chromedp.Run(ctx, chromedp.Evaluate(expression, &ok)) == nil && ok {
			return
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			b.t.Fatalf("waited in vain for %s; the page is\n%s", what, b.said())
		}
	}
}

// leave does what leads to another page, and waits until all of that is there.
func (b *browser) leave(what string, actions ...chromedp.Action) {
	b.t.Helper()
	b.run(chromedp.Evaluate(`window.left = true`, nil))
	b.run(actions...)
	b.eventually(what, `!window.left && document.readyState === "complete" && document.querySelector("h1") !== null`)
}

// open goes to a page.
func (b *browser) open(path string) {
	b.t.Helper()
	b.leave(path, chromedp.ActionFunc(func(ctx context.Context) error {
		_, _, _, err := page.Navigate(b.at + path).Do(ctx)
		return err
	}))
}

// click presses what leads to another page.
func (b *browser) click(selector string) {
	b.t.Helper()
	b.leave("what comes after "+selector, chromedp.Click(selector, chromedp.ByQuery, chromedp.NodeVisible))
}

// press presses what leaves the visitor here.
func (b *browser) press(selector string) {
	b.t.Helper()
	b.run(chromedp.Click(selector, chromedp.ByQuery, chromedp.NodeVisible))
}

// write fills in a field in place of what is in it.
func (b *browser) write(selector, text string) {
	b.t.Helper()
	b.run(chromedp.WaitVisible(selector, chromedp.ByQuery), chromedp.Evaluate(fmt.Sprintf(`document.querySelector(%q).value = ""`, selector), nil),
		chromedp.SendKeys(selector, text, chromedp.ByQuery))
}

// read evaluates an expression.
func (b *browser) read(expression string) (text string) {
	b.t.Helper()
	b.run(chromedp.Evaluate(`String(`+expression+`)`, &text))
	return text
}

// on wants to be on a page.
func (b *browser) on(path string) {
	b.t.Helper()
	if got := b.read(`location.pathname`); got != path {
		b.t.Fatalf("came to %s, want %s:\n%s", got, path, b.said())
	}
}

// shape makes the window so wide, by day or by night. Nothing moves: a picture
// must not depend on its moment.
func (b *browser) shape(width, height int64, dark bool) {
	b.t.Helper()
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	b.run(chromedp.EmulateViewport(width, height), emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}))
}

// picture keeps a picture of the page where the environment says so.
func (b *browser) picture(name string) {
	b.t.Helper()
	dir := os.Getenv("WARREN_SCREENSHOTS")
	if dir == "" {
		return
	}
	b.eventually("the page's pictures", `[...document.images].every((i) => i.complete || i.loading === "lazy")`)
	var data []byte
	b.run(chromedp.ActionFunc(func(ctx context.Context) (err error) {
		data, err = page.CaptureScreenshot().Do(ctx)
		return err
	}))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), data, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// looks checks a page in all its shapes.
func (b *browser) looks(name string) {
	b.t.Helper()
	for _, width := range []int64{1280, 390} {
		for _, dark := range []bool{false, true} {
			b.shape(width, 900, dark)
			where := fmt.Sprintf("storefront-%s-%d-%s", name, width, map[bool]string{false: "light", true: "dark"}[dark])
			for line := range strings.Lines(b.read(faults)) {
				b.t.Errorf("%s: %s", where, strings.TrimSpace(line))
			}
			b.picture(where)
		}
	}
	b.shape(1280, 900, false)
	b.quiet(name)
}

// faults finds what a screen reader, a keyboard, weak eyes or a small screen
// would stumble over, one to a line.
const faults = `(() => {
  const wrong = new Set();
  const shown = (e) => e.getClientRects().length > 0 && getComputedStyle(e).visibility !== "hidden";
  const say = (e) => e.outerHTML.replace(/\s+/g, " ").slice(0, 140);
  const name = (e) => {
    if (e.getAttribute("aria-label")) return e.getAttribute("aria-label");
    if (e.labels && e.labels.length) return e.labels[0].textContent;
    if (e.matches("input, select, textarea")) return "";
    return e.textContent + [...e.querySelectorAll("img[alt]")].map((i) => i.alt).join("");
  };
  for (const [what, want] of [["h1", 1], ["main", 1], ["header", 1], ["footer", 1]])
    if (document.querySelectorAll("body " + what).length !== want) wrong.add("not one " + what);
  if (!document.documentElement.lang || !document.title) wrong.add("no language or title");
  for (const e of document.querySelectorAll("a[href], button, input:not([type=hidden]), select, textarea, summary"))
    if (shown(e) && !e.closest("[aria-hidden=true]") && name(e).trim() === "") wrong.add("no name: " + say(e));
  for (const e of document.querySelectorAll("img:not([alt]), svg:not([aria-hidden]):not([role])")) wrong.add("no word for " + say(e));
  const ids = new Set();
  for (const e of document.querySelectorAll("[id]")) { if (ids.has(e.id)) wrong.add("twice: id " + e.id); ids.add(e.id); }
  for (const e of document.querySelectorAll("[aria-labelledby], [aria-describedby], label[for]"))
    for (const id of [e.getAttribute("aria-labelledby"), e.getAttribute("aria-describedby"), e.getAttribute("for")])
      if (id && !ids.has(id)) wrong.add("refers to nothing: " + say(e));
  let level = 0;
  for (const e of document.querySelectorAll("main h1, main h2, main h3")) {
    if (+e.tagName[1] > level + 1 && level) wrong.add("a heading too deep: " + say(e));
    level = Math.max(1, +e.tagName[1]);
  }
  if (document.documentElement.scrollWidth > innerWidth + 1) wrong.add("wider than the window: " + document.documentElement.scrollWidth);
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const colour = (text) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = text; canvas.fillRect(0, 0, 1, 1); return canvas.getImageData(0, 0, 1, 1).data; };
  const light = ([r, g, b]) => { const f = (c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; return 0.2126 * f(r) + 0.7152 * f(g) + 0.0722 * f(b); };
  const ground = (e) => {
    for (; e; e = e.parentElement) {
      const style = getComputedStyle(e), c = colour(style.backgroundColor);
      if (style.backgroundImage !== "none") return null;
      if (c[3] > 200) return c;
    }
    return [255, 255, 255];
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const e = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !shown(e) || e.closest("script, noscript, .hidden, .hidden-till-focus, .skip, [aria-hidden=true], .toast")) continue;
    const style = getComputedStyle(e), under = ground(e);
    if (!under) continue;
    const a = light(colour(style.color)), b = light(under), ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const big = parseFloat(style.fontSize) >= 24 || parseFloat(style.fontSize) >= 18.66 && +style.fontWeight >= 700;
    if (ratio < (big ? 3 : 4.5)) wrong.add("contrast " + ratio.toFixed(2) + ": " + say(e));
  }
  return [...wrong].join("\n");
})()`
