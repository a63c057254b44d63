package e2e

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// TestStorefront goes a customer's whole way through the web site, in a browser
// with scripts and in one without, and looks at every page.
func TestStorefront(t *testing.T) {
	s := open(t)
	until(t, patience, "the front page", func() bool { return s.call("GET", "/", "", "").status == 200 })
	t.Run("a customer's journey", func(t *testing.T) { journey(t, s.url) })
	t.Run("a customer without scripts", func(t *testing.T) { plainJourney(t, s.url) })
	t.Run("no card in any file", func(t *testing.T) { s.knowsNoCard(t) })
}

// journey is a whole way, with scripts. The shop's parts tell the browser what
// becomes of the order: the page is not loaded again.
func journey(t *testing.T, url string) {
	b := openBrowser(t, url, true)
	b.Shape(1280, 900, false)
	b.Visit("/")
	b.looks("home")
	b.Run(chromedp.SendKeys("#q", "mug", chromedp.ByQuery))
	b.Leave("what was found", chromedp.SendKeys("#q", kb.Enter, chromedp.ByQuery))
	b.on("/search")
	b.looks("search")
	b.click("main .tile")
	b.Eventually("the stock", `document.querySelector("#stock.stock-in, #stock.stock-low") !== null`)
	b.looks("product")

	b.Run(chromedp.Evaluate(`window.here = true`, nil))
	b.write(".quantity input", "2")
	b.press("#add")
	b.Eventually("the cart's number", `document.querySelector("#cart-count .dot")?.textContent === "2" && window.here`)
	b.Eventually("a word about it", `document.querySelector("#flash").textContent.includes("Added")`)
	b.click("#cart-count")
	b.Run(chromedp.Evaluate(`window.here = true`, nil))
	b.write(".line .number", "3")
	b.Run(chromedp.SendKeys(".line .number", kb.Enter, chromedp.ByQuery))
	b.Eventually("three of them", `document.querySelector("#cart-count .dot")?.textContent === "3" && window.here`)
	b.looks("cart")

	b.click("#to-checkout")
	b.on("/sign-in")
	b.looks("sign-in")
	b.click(`main a[href^="/sign-up"]`)
	b.looks("sign-up")
	b.signUp("ada")
	b.on("/checkout")
	b.Eventually("what is missing", `document.querySelector("#to-wallet") !== null`)
	b.looks("checkout")
	b.click("#place")
	b.Eventually("what is wrong with each field", `document.querySelectorAll(".field-bad").length === 3`)
	b.forgive() // a form that is not complete has a status of its own
	b.looks("checkout-errors")

	b.click("#to-wallet")
	b.looks("wallet")
	b.payIn("4000 0000 0000 0002")
	b.Eventually("the bank's no", `document.querySelector('#top-up[data-state="DECLINED"]') !== null`)
	b.Visit("/wallet?amount=250&next=/checkout")
	b.payIn("4242 4242 4242 4242")
	b.Eventually("the checkout, with the money", `location.pathname === "/checkout" && document.readyState === "complete" && !document.querySelector("#to-wallet")`)
	b.address()
	b.click("#place")
	if !strings.HasPrefix(b.Read(`location.pathname`), "/orders/") {
		t.Fatalf("no order was placed:\n%s", b.Said())
	}
	b.Run(chromedp.Evaluate(`window.here = true`, nil))
	b.looks("order")
	b.Eventually("the order to be delivered, on the same page", `document.querySelector('[data-state="DELIVERED"]') !== null && window.here`)
	b.Eventually("the parcel's way", `document.querySelector(".tracking") !== null`)
	b.looks("order-delivered")
	b.quiet("the journey")
	afterwards(t, b)
}

// afterwards looks at what a customer has after an order.
func afterwards(t *testing.T, b *browser) {
	b.Visit(b.Read(`location.pathname`))
	b.Eventually("an empty cart", `document.querySelector("#cart-count .dot") === null`)
	b.click("#give-back")
	b.Eventually("the order given back", `document.querySelector('[data-state="RETURNED"]') !== null`)
	b.looks("order-returned")
	b.quiet("giving back")
	for name, path := range map[string]string{"orders": "/orders", "account": "/account", "wallet-used": "/wallet", "cart-empty": "/cart",
		"browse": "/browse?category=Kitchen+and+Table&sort=price&min=2", "search-nothing": "/search?q=purple+owls+of+doom"} {
		b.Visit(path)
		b.looks(name)
	}
	b.Visit("/notifications")
	b.Eventually("the news", `document.querySelectorAll(".news-card").length >= 3`)
	b.looks("notifications")
	b.Visit("/browse?sort=price")
	first := b.Read(`document.querySelector(".tile-price").textContent`)
	b.click(`[rel="next"]`)
	if next := b.Read(`document.querySelector(".tile-price").textContent`); !(price(t, first) <= price(t, next)) {
		t.Errorf("by price, %s comes before %s", first, next)
	}
	b.quiet("browsing")
	b.Visit("/there-is-nothing")
	b.forgive() // it has a status that says so
	b.looks("nothing")
	b.impossible(t)
	b.Visit("/account")
	b.click(`form[action="/sign-out"] button`)
	b.on("/")
	b.Visit("/orders")
	b.on("/sign-in")
}

// impossible orders more than there is in the wallet: the order is refused, and
// its page says in plain words that nothing was charged.
func (b *browser) impossible(t *testing.T) {
	b.Visit("/search?q=regency+cakestand")
	b.click("main .tile")
	b.write(".quantity input", "60")
	b.press("#add")
	b.Eventually("sixty in the cart", `document.querySelector("#cart-count .dot")?.textContent === "60"`)
	b.Visit("/checkout")
	if !strings.Contains(b.Said(), "is missing") {
		t.Errorf("with too little money, nobody says so:\n%s", b.Said())
	}
	b.click("#place")
	b.Eventually("the order to be refused", `document.querySelector('[data-state="REJECTED"]') !== null`)
	b.Eventually("why", `document.querySelector(".progress").textContent.includes("nothing was charged")`)
	b.looks("order-refused")
}

// plainJourney is the same way on a small screen, in a browser that runs no
// scripts: pages ask again by themselves.
func plainJourney(t *testing.T, url string) {
	b := openBrowser(t, url, false)
	b.Shape(390, 844, false)
	b.Visit("/browse?category=Candles+and+Lights")
	b.click("main .tile")
	b.click("#add")
	b.Visit("/cart")
	if b.Read(`document.documentElement.className`) != "" {
		t.Fatal("scripts ran")
	}
	b.click("#to-checkout")
	b.click(`main a[href^="/sign-up"]`)
	b.signUp("grace")
	b.on("/checkout")
	b.Visit("/wallet?amount=40&next=/checkout")
	b.payIn("4242 4242 4242 4242")
	b.Eventually("the checkout, with the money", `location.pathname === "/checkout" && document.readyState === "complete" && !document.querySelector("#to-wallet")`)
	b.address()
	b.click("#place")
	b.Picture("storefront-order-without-scripts")
	b.Eventually("the order to be delivered", `document.querySelector('[data-state="DELIVERED"]') !== null`)
	b.quiet("without scripts")
}

// signUp makes an account, for somebody with a name nobody had.
func (b *browser) signUp(name string) {
	b.t.Helper()
	b.write("#f-name", strings.ToUpper(name[:1])+name[1:]+" Lovelace")
	b.write("#f-email", fmt.Sprintf("%s-%d@example.com", name, time.Now().UnixNano()))
	b.write("#f-password", password)
	b.click("main form button")
}

// payIn asks a card's bank for what is filled in.
func (b *browser) payIn(card string) {
	b.t.Helper()
	b.write("#f-number", card)
	b.write("#f-cvv", "123")
	b.click("#pay-in")
}

func (b *browser) address() {
	b.t.Helper()
	for field, text := range map[string]string{"name": "Ada Lovelace", "street": "12 St James's Square", "postal": "SW1Y 4LB", "city": "London"} {
		b.write("#f-"+field, text)
	}
}

func price(t *testing.T, text string) float64 {
	t.Helper()
	var out float64
	if _, err := fmt.Sscanf(strings.ReplaceAll(text, ",", ""), "£%f", &out); err != nil {
		t.Fatalf("%q is no price: %v", text, err)
	}
	return out
}

// knowsNoCard looks for the cards' numbers in all that the shop has written:
// databases, logs, traces, events.
func (s *shop) knowsNoCard(t *testing.T) {
	looked := 0
	err := filepath.WalkDir(s.data, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil //nolint:nilerr // files come and go
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return nil //nolint:nilerr // it went
		}
		looked++
		for _, card := range []string{goodCard, "4000000000000002", "4242 4242 4242 4242"} {
			if bytes.Contains(content, []byte(card)) {
				t.Errorf("%s has the number of a card", path)
			}
		}
		return nil
	})
	if err != nil || looked < 10 {
		t.Errorf("looked into %d files: %v", looked, err)
	}
}
