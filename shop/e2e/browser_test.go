package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/gowarren/warren/internal/browsertest"
)

// patience is generous: it is only used up where something is wrong.
const patience = browsertest.Patience

// browser is somebody who visits pages.
type browser struct {
	*browsertest.Browser
	t *testing.T
}

func openBrowser(t *testing.T, at string, scripts bool) *browser {
	t.Helper()
	return &browser{browsertest.Open(t, at, scripts), t}
}

// quiet wants nothing to have been complained of.
func (b *browser) quiet(where string) {
	b.t.Helper()
	for _, p := range b.Complaints() {
		b.t.Errorf("%s: the browser complains: %s", where, p)
	}
}

// forgive forgets complaints about what was meant to go wrong.
func (b *browser) forgive() { b.Complaints() }

// click presses what leads to another page.
func (b *browser) click(selector string) {
	b.t.Helper()
	b.Leave("what comes after "+selector, chromedp.Click(selector, chromedp.ByQuery, chromedp.NodeVisible))
}

// press presses what leaves the visitor here.
func (b *browser) press(selector string) {
	b.t.Helper()
	b.Run(chromedp.Click(selector, chromedp.ByQuery, chromedp.NodeVisible))
}

// write fills in a field in place of what is in it.
func (b *browser) write(selector, text string) {
	b.t.Helper()
	b.Run(chromedp.WaitVisible(selector, chromedp.ByQuery), chromedp.Evaluate(fmt.Sprintf(`document.querySelector(%q).value = ""`, selector), nil),
		chromedp.SendKeys(selector, text, chromedp.ByQuery))
}

// on wants to be on a page.
func (b *browser) on(path string) {
	b.t.Helper()
	if got := b.Read(`location.pathname`); got != path {
		b.t.Fatalf("came to %s, want %s:\n%s", got, path, b.Said())
	}
}

// looks checks a page in all its shapes.
func (b *browser) looks(name string) {
	b.t.Helper()
	b.Shapes(func(shape string) {
		where := "storefront-" + name + "-" + shape
		for line := range strings.Lines(b.Read(faults)) {
			b.t.Errorf("%s: %s", where, strings.TrimSpace(line))
		}
		b.Picture(where)
	})
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
