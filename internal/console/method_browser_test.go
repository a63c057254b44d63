package console_test

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/gowarren/warren/internal/browsertest"
	"github.com/gowarren/warren/internal/console"
)

// TestTryByKeyboard finds a method, fills in its form, calls it, and follows the
// trace, without a mouse.
func TestTryByKeyboard(t *testing.T) {
	w := newWorld()
	b := openBrowser(t, w.serve(t, console.Options{}).Address())
	b.shape(1280, 860, false)
	b.open("/contracts/shop.payment.v1.PaymentService")
	b.run(chromedp.Focus(`#method-Hold .button`), chromedp.KeyEvent("\r"))
	b.eventually(`location.pathname.endsWith("/Hold") && document.querySelector("textarea[name=body]") !== null && document.activeElement.id === "main"`)
	b.run(chromedp.SetValue(`textarea[name=body]`, `{"orderId": "1042"}`), chromedp.Focus(`input[name=reason]`), chromedp.KeyEvent("to see\r"))
	b.eventually(`document.activeElement.matches("[data-first]") && document.activeElement.innerText.includes("OK")`)
	if wrong := b.text(browsertest.Accessible); wrong != "" {
		t.Error(wrong)
	}
	b.picture("method-answered")
	b.run(chromedp.Focus(`[data-first] a[href^="/traces/"]`), chromedp.KeyEvent("\r"))
	b.eventually(`location.pathname.startsWith("/traces/")`)
	if done := w.asked(); len(done) != 1 || !strings.HasSuffix(done[0], `{"orderId":"1042"}`) {
		t.Errorf("done: %v", done)
	}
	for _, p := range b.complaints() {
		t.Error(p)
	}
}
