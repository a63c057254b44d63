package console_test

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/gowarren/warren/internal/console"
)

// TestStale takes the console away from under an open page: that says since when it
// is not renewed, and why.
func TestStale(t *testing.T) {
	w := newWorld()
	c := w.serve(t, console.Options{})
	b := openBrowser(t, c.Address())
	b.shape(1280, 860, false)
	b.open("/services")
	b.eventually(`document.querySelector("#service-catalog") !== null && document.querySelector("[data-stale]").hidden`)
	w.mu.Lock()
	w.replicas["catalog"] = 3
	w.mu.Unlock()
	b.eventually(`document.querySelector("#service-catalog").innerText.includes("3 of 3 ready")`) // it is renewed
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	b.eventually(`!document.querySelector("[data-stale]").hidden`)
	if said := b.text(`document.querySelector("[data-stale]").innerText`); !strings.Contains(said, "This is as of ") || !strings.Contains(said, "console") {
		t.Errorf("said: %s", said)
	}
	b.picture("stale")
	b.run(chromedp.Click(`nav a[href="/contracts"]`))
	b.eventually(`(document.querySelector(".unanswered") || {innerText: ""}).innerText === "The console does not answer."`)
}

// TestSignedOutWhilePaused goes on with a page after the session has ended: that
// leads to the door, and doesn't put it into the page.
func TestSignedOutWhilePaused(t *testing.T) {
	tokens := console.Tokens{Path: t.TempDir() + "/tokens.json"}
	token, err := tokens.Add("ada", "viewer", 1<<40)
	if err != nil {
		t.Fatal(err)
	}
	c := newWorld().serve(t, console.Options{Address: "0.0.0.0:0", Tokens: tokens.Path})
	b := openBrowser(t, "127.0.0.1"+c.Address()[strings.LastIndex(c.Address(), ":"):])
	b.open("/services")
	b.Leave("the services", chromedp.SendKeys("input[name=token]", token), chromedp.Click("button.main"))
	b.eventually(`document.querySelector("#service-catalog") !== null`)
	b.run(chromedp.KeyEvent("p"))
	b.eventually(`!document.querySelector("[data-paused]").hidden`)
	if err := tokens.Remove("ada"); err != nil {
		t.Fatal(err)
	}
	b.run(chromedp.KeyEvent("p"))
	b.eventually(`location.pathname === "/sign-in" && document.querySelector("main main") === null`)
}

// TestCopy copies a command also where the browser has no clipboard for the page,
// and says to the eye that it did.
func TestCopy(t *testing.T) {
	c := newWorld().serve(t, console.Options{})
	b := openBrowser(t, c.Address())
	b.open(walletPage)
	const button = `document.querySelector("[data-copy]")`
	b.eventually(button + ` !== null`)
	b.run(chromedp.Evaluate(`Object.defineProperty(navigator, "clipboard", {value: undefined}); document.addEventListener("copy", () => { window.copied = String(document.activeElement.value); })`, nil))
	b.run(chromedp.Click("[data-copy]"))
	b.eventually(`window.copied === ` + button + `.dataset.copy && document.activeElement === ` + button)
	for _, p := range b.complaints() {
		t.Error(p)
	}
}
