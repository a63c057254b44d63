// Package browsertest looks at pages as people do: in a headless Chromium that
// remembers what a page complained of, what its content policy kept out, and
// what a screen reader, a keyboard or a small screen would stumble over.
package browsertest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// Patience is generous: it is only used up where something is wrong.
const Patience = 2 * time.Minute

// Browser is a headless Chromium without any past.
type Browser struct {
	t   testing.TB
	ctx context.Context //nolint:containedctx // that of the browser's tab
	at  string

	mu       sync.Mutex
	problems []string
}

// Open starts a browser for the site at a URL. Without scripts, pages have none;
// what the test itself asks still is answered.
func Open(t testing.TB, at string, scripts bool) *Browser {
	t.Helper()
	past, err := os.MkdirTemp("", "chromium")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(past) }) // its last processes may still write
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.UserDataDir(past),
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.WSURLReadTimeout(Patience))
	ctx, end := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(end)
	// Of events that a newer browser words differently, none is waited for.
	ctx, closeTab := chromedp.NewContext(ctx, chromedp.WithErrorf(func(string, ...any) {}))
	t.Cleanup(closeTab)
	t.Cleanup(func() { _ = chromedp.Cancel(ctx) })
	b := &Browser{t: t, ctx: ctx, at: at}
	chromedp.ListenTarget(ctx, b.listen)
	if err := chromedp.Run(ctx, log.Enable(), emulation.SetScriptExecutionDisabled(!scripts)); err != nil {
		t.Fatalf("start Chromium, which this test needs (Debian: chromium): %v", err)
	}
	return b
}

// listen notes errors of scripts, what the content policy kept out, and what
// could not be loaded.
func (b *Browser) listen(event any) {
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

// Complaints are what the browser complained of since it was asked last.
func (b *Browser) Complaints() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := b.problems
	b.problems = nil
	return out
}

// Run does something in the tab.
func (b *Browser) Run(actions ...chromedp.Action) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, Patience)
	defer cancel()
	if err := chromedp.Run(ctx, actions...); err != nil {
		b.t.Fatalf("%v; the page is\n%s", err, b.Said())
	}
}

// Said is the text of the page, if it can be had.
func (b *Browser) Said() (text string) {
	const patience = 5 * time.Second
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	_ = chromedp.Run(ctx, chromedp.Evaluate(`location.href + "\n" + document.body.innerText.slice(0, 3000)`, &text))
	return text
}

// Eventually waits until an expression is true. Between two pages there is
// nobody to say anything.
func (b *Browser) Eventually(what, expression string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, Patience)
	defer cancel()
	const pause = 30 * time.Millisecond
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	for {
		var ok bool
		if chromedp.Run(ctx, chromedp.Evaluate(expression, &ok)) == nil && ok {
			return
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			b.t.Fatalf("waited in vain for %s; the page is\n%s", what, b.Said())
		}
	}
}

// Leave does what leads to another page, and waits until all of that is there.
func (b *Browser) Leave(what string, actions ...chromedp.Action) {
	b.t.Helper()
	b.Run(chromedp.Evaluate(`window.left = true`, nil))
	b.Run(actions...)
	b.Eventually(what, `!window.left && document.readyState === "complete" && document.querySelector("h1") !== null`)
}

// Visit goes to a page.
func (b *Browser) Visit(path string) {
	b.t.Helper()
	b.Leave(path, chromedp.ActionFunc(func(ctx context.Context) error {
		_, _, _, err := page.Navigate(b.at + path).Do(ctx)
		return err
	}))
}

// Read evaluates an expression.
func (b *Browser) Read(expression string) (text string) {
	b.t.Helper()
	b.Run(chromedp.Evaluate(`String(`+expression+`)`, &text))
	return text
}

// Shape makes the window so wide, by day or by night. Nothing moves: a picture
// must not depend on its moment.
func (b *Browser) Shape(width, height int64, dark bool) {
	b.t.Helper()
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	b.Run(chromedp.EmulateViewport(width, height), emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}))
}

// Shapes has the page looked at as people have it before them: on a screen and on a
// phone, by day and by night.
func (b *Browser) Shapes(look func(shape string)) {
	b.t.Helper()
	const screen, phone, height = 1280, 390, 900
	for _, width := range []int64{screen, phone} {
		for _, by := range []string{"light", "dark"} {
			b.Shape(width, height, by == "dark")
			look(fmt.Sprintf("%d-%s", width, by))
		}
	}
	b.Shape(screen, height, false)
}

// Press presses keys, one after the other.
func (b *Browser) Press(keys ...string) {
	b.t.Helper()
	for _, key := range keys {
		b.Run(chromedp.KeyEvent(key))
	}
}

// Picture keeps a picture of the page where the environment says so, in
// WARREN_SCREENSHOTS.
func (b *Browser) Picture(name string) {
	b.t.Helper()
	dir := os.Getenv("WARREN_SCREENSHOTS")
	if dir == "" {
		return
	}
	b.Eventually("the page's pictures", `[...document.images].every((i) => i.complete || i.loading === "lazy")`)
	var data []byte
	b.Run(chromedp.ActionFunc(func(ctx context.Context) (err error) {
		data, err = page.CaptureScreenshot().Do(ctx)
		return err
	}))
	if err := os.MkdirAll(dir, 0o750); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), data, 0o600); err != nil {
		b.t.Fatal(err)
	}
}
