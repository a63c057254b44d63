package main

import (
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	cartv1 "github.com/gowarren/warren/shop/api/shop/cart/v1"
	catalogv1 "github.com/gowarren/warren/shop/api/shop/catalog/v1"
	identityv1 "github.com/gowarren/warren/shop/api/shop/identity/v1"
	inventoryv1 "github.com/gowarren/warren/shop/api/shop/inventory/v1"
	moneyv1 "github.com/gowarren/warren/shop/api/shop/money/v1"
	orderv1 "github.com/gowarren/warren/shop/api/shop/order/v1"
	paymentv1 "github.com/gowarren/warren/shop/api/shop/payment/v1"
)

func pounds(pence int64) *moneyv1.Money {
	return &moneyv1.Money{CurrencyCode: "GBP", MinorUnits: pence}
}

var mug = &catalogv1.Product{Sku: "M1", Name: "Red <b>Mug</b>", Category: "Kitchen and Table", Price: pounds(255)}

// stocked is a site that sells mugs.
func stocked(t *testing.T) *site {
	s := newSite(t)
	s.gateway.answer("GET /v1/categories", 200, &catalogv1.ListCategoriesResponse{Categories: []*catalogv1.Category{{Name: "Kitchen and Table", ProductCount: 7}}})
	s.gateway.answer("GET /v1/products", 200, &catalogv1.ListProductsResponse{Products: []*catalogv1.Product{mug, mug, mug, mug}, NextPageToken: "next/page"})
	s.gateway.answer("GET /v1/products/M1", 200, mug)
	s.gateway.answer("GET /v1/stock/M1", 200, &inventoryv1.Stock{Sku: "M1", Available: 3})
	return s
}

// enter signs the browser in.
func (s *site) enter() {
	s.t.Helper()
	s.gateway.answer("POST /v1/sessions", 200, &identityv1.Session{AccessToken: "access", RefreshToken: "refresh",
		AccessExpireTime: timestamppb.New(time.Now().Add(time.Hour)), User: &identityv1.User{Id: "u1", Email: "ada@example.com", DisplayName: "Ada"}})
	s.post("/sign-in", "/sign-in", url.Values{"email": {"ada@example.com"}, "password": {"correct horse battery"}, "next": {"/account"}}).goes(s.t, "/account")
}

// Browsers forget a cookie when its time is up: of somebody who comes back in time
// it begins anew, and he stays signed in.
func TestWhoComesBackIsKept(t *testing.T) {
	s := stocked(t)
	var ahead atomic.Int64
	s.shop.sessions.keep = s.shop.settings.keep.Get
	s.shop.sessions.now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	s.enter()
	const day = 24 * time.Hour
	var before string
	for _, c := range []struct {
		after time.Duration
		set   bool
	}{{0, false}, {14 * day, false}, {16 * day, true}, {16 * day, false}, {45 * day, true}} {
		ahead.Store(int64(c.after))
		got := strings.Join(s.get("/nowhere").header.Values("Set-Cookie"), "\n")
		if strings.Contains(got, "shop_session=") != c.set || c.set && !strings.Contains(got, "Max-Age=2592000") {
			t.Errorf("after %s the browser is told %q", c.after, got)
		}
		if c.set && before != "" && got != before {
			t.Errorf("the cookie is another one: %q, it was %q", got, before)
		}
		if c.set {
			before = got
		}
	}
	s.get("/nowhere").has(t, 404, "Ada")
	ahead.Store(int64(80 * day))
	if p := s.get("/nowhere"); strings.Contains(p.text, "Ada") {
		t.Error("who was away for longer is known still")
	}
}

func TestPagesOfTheCatalogue(t *testing.T) {
	s := stocked(t)
	s.get("/").has(t, 200, "Kitchen and Table", "Red &lt;b&gt;Mug", "£2.55")
	s.get("/browse?category=Kitchen+and+Table&min=2&max=x&sort=price").has(t, 200, "Only a few left", "after=next%2Fpage", "Prices look like", `aria-current="page"`)
	s.get("/products/M1").has(t, 200, "Only 3 left", `max="3"`, "Drawing of Red &lt;b&gt;")
	s.get("/search?q=").has(t, 200, "What are you looking for?")
	s.get("/products/NONE").has(t, 404, "This burrow is empty", "request-1")
	s.get("/nowhere").has(t, 404, "This burrow is empty")
	s.gateway.answer("GET /v1/stock/M1", 503, refusal("UNAVAILABLE", "away"))
	s.get("/products/M1").has(t, 200, "Availability unknown", "Add to cart")
	s.gateway.answer("GET /v1/stock/M1", 200, &inventoryv1.Stock{Sku: "M1"})
	s.get("/products/M1").has(t, 200, "Out of stock")
	if _, last := s.gateway.times("GET", "/v1/products/M1"); last.request != "request-1" || last.address != "192.0.2.7" || last.token != "" {
		t.Errorf("the gateway was asked for nobody: %+v", last)
	}
}

func TestSearchesThatFindNothing(t *testing.T) {
	s := stocked(t)
	s.gateway.do("GET /v1/products:search", func(r *http.Request) (int, any) {
		if r.URL.Query().Get("query") == "owl" {
			return 200, &catalogv1.SearchProductsResponse{Products: []*catalogv1.Product{mug}}
		}
		return 200, &catalogv1.SearchProductsResponse{}
	})
	s.get("/search?q=purple++owls").has(t, 200, "We found nothing with all of these words", `/search?q=owl"`, "Kitchen and Table")
	s.get("/search?q=owl").has(t, 200, "Results for “owl”", "Red &lt;b&gt;Mug")
}

func TestThingsThatAreAway(t *testing.T) {
	s := stocked(t)
	s.gateway.answer("GET /v1/categories", 503, `{"status": 503, "reason": "NO_INSTANCE", "request_id": "request-of-the-gateway"}`)
	away := s.get("/browse")
	away.has(t, 503, "Back in a moment", "request-of-the-gateway", `href="/browse"`, `http-equiv="refresh" content="7"`)
	if got := away.header.Get("Retry-After"); got != "7" {
		t.Errorf("retry after %q", got)
	}
	s.gateway.answer("GET /v1/categories", 429, refusal("RATE_LIMITED", "too many"))
	s.get("/browse").has(t, 429, "A little too fast", "Try again")
	s.gateway.answer("GET /v1/categories", 0, nil)
	s.get("/").has(t, 503, "Back in a moment", "request-1")
	s.gateway.answer("GET /v1/categories", 200, "<html>not what was asked for")
	s.get("/").has(t, 503, "Back in a moment")
}

func TestFormsOfOthers(t *testing.T) {
	s := stocked(t)
	form := url.Values{"sku": {"M1"}, "do": {"add"}}
	s.post("/products/M1", "/cart", url.Values{"csrf": {"made-up"}, "sku": {"M1"}}).has(t, 403, "gone stale")
	s.post("/products/M1", "/cart", form, "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site").has(t, 403, "gone stale")
	form.Set("csrf", "")
	stolen := csrfField.FindStringSubmatch(s.get("/products/M1").text)[1]
	s.browser = s.newBrowser()
	s.post("/products/M1", "/cart", url.Values{"csrf": {stolen}, "sku": {"M1"}}).has(t, 403)
	s.post("/products/M1", "/cart", url.Values{"csrf": {stolen}, "sku": {strings.Repeat("x", 70<<10)}}).has(t, 413)
	if n, _ := s.gateway.times("PUT", "/v1/cart"); n != 0 {
		t.Errorf("the cart was changed %d times", n)
	}
}

func TestPagesAreSafe(t *testing.T) {
	s := stocked(t)
	home := s.get("/")
	for name, want := range map[string]string{"Content-Security-Policy": "script-src 'self'", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store",
		"Referrer-Policy": "same-origin", "Set-Cookie": "HttpOnly; SameSite=Lax"} {
		if got := home.header.Get(name); !strings.Contains(got, want) {
			t.Errorf("%s is %q, want %q in it", name, got, want)
		}
	}
	if strings.Contains(home.text, "<style") || strings.Contains(home.text, " style=") || regexp.MustCompile(`<script[^>]*>[^<]`).MatchString(home.text) || strings.Contains(home.text, " onclick") {
		t.Error("there is inline code or style on the page")
	}
	for _, asset := range regexp.MustCompile(`(?:src|href)="(/(?:assets|pictures)/[^"]+)"`).FindAllStringSubmatch(home.text, -1) {
		got := s.get(asset[1])
		if got.status != 200 || !strings.Contains(got.header.Get("Cache-Control"), "immutable") || got.header.Get("ETag") == "" {
			t.Errorf("%s: %d %v", asset[1], got.status, got.header)
		}
		if again := s.get(asset[1], "If-None-Match", got.header.Get("ETag")); again.status != http.StatusNotModified {
			t.Errorf("%s again: %d", asset[1], again.status)
		}
	}
	s.get("/assets/shop.css").has(t, 404)
	for path, want := range map[string]string{"/cart": "/cart", "//evil.example": "/", "https://evil.example": "/", `/\evil.example`: "/", "": "/", "/a?b=c": "/a?b=c", "javascript:1": "/"} {
		if got := local(path, "/"); got != want {
			t.Errorf("%q leads to %q, want %q", path, got, want)
		}
	}
}

func TestAVisitorsCart(t *testing.T) {
	s := stocked(t)
	line := &cartv1.CartLine{Sku: "M1", Name: "Mug", Quantity: 2, PriceState: cartv1.PriceState_PRICED, Price: pounds(255), Amount: pounds(510)}
	s.gateway.answer("PUT /v1/cart", 200, &cartv1.Cart{Version: 1, CartToken: "secret-cart", Lines: []*cartv1.CartLine{line}, Total: pounds(510)})
	s.post("/products/M1", "/cart", url.Values{"sku": {"m1"}, "quantity": {"2"}, "do": {"add"}, "back": {"/products/M1"}}).goes(t, "/products/M1")
	if _, last := s.gateway.times("PUT", "/v1/cart"); !strings.Contains(last.body, `"M1"`) || last.token != "" {
		t.Errorf("put %+v", last)
	}
	s.gateway.answer("POST /v1/cart:readVisitor", 200, &cartv1.Cart{Version: 1, Lines: []*cartv1.CartLine{line}, Total: pounds(510)})
	s.get("/cart").has(t, 200, "Added to your cart", "£5.10", "Cart, 2 items")
	line.Price, line.Quantity = pounds(300), 5
	page := s.get("/cart")
	page.has(t, 200, "Only 3 left: you have more")
	if strings.Contains(page.text, "Added to your cart") || strings.Contains(page.text, "secret-cart") {
		t.Error("something is said twice, or the cart's token is told")
	}
	line.Quantity = 1
	s.get("/cart").has(t, 200, "it was £2.55")
	line.PriceState = cartv1.PriceState_GONE
	s.get("/cart").has(t, 200, "no longer sold")

	s.gateway.answer("POST /v1/cart:merge", 503, refusal("UNAVAILABLE", "away"))
	s.enter()
	s.gateway.answer("POST /v1/cart:merge", 200, &cartv1.MergeCartResponse{})
	s.gateway.answer("GET /v1/cart", 200, &cartv1.Cart{Version: 2})
	s.get("/cart").has(t, 200, "Nothing in here yet")
	s.get("/cart").has(t, 200)
	if n, last := s.gateway.times("POST", "/v1/cart:merge"); n != 2 || last.token != "Bearer access" || !strings.Contains(last.body, "secret-cart") {
		t.Errorf("merged %d times, %+v", n, last)
	}
}

func TestSigningInAndOut(t *testing.T) {
	s := stocked(t)
	s.get("/orders").goes(t, "/sign-in?next=%2Forders")
	s.get("/sign-in?next=//evil.example").has(t, 200, "Please sign in first", `name="next" value="/"`)
	s.post("/sign-in", "/sign-in", url.Values{}).has(t, 422, "enter your e-mail", "enter your password")
	s.gateway.answer("POST /v1/sessions", 401, refusal("BAD_CREDENTIALS", "no"))
	wrong := s.post("/sign-in", "/sign-in", url.Values{"email": {"ada@example.com"}, "password": {"not the password"}})
	wrong.has(t, 422, "belong together", `value="ada@example.com"`)
	if strings.Contains(wrong.text, "not the password") {
		t.Error("the password is sent back")
	}
	before := s.cookie()
	s.enter()
	if after := s.cookie(); after == before || after == "" {
		t.Error("the session's secret is the one from before")
	}
	s.gateway.answer("DELETE /v1/sessions/current", 200, &identityv1.SignOutResponse{})
	s.gateway.answer("GET /v1/users/me", 200, &identityv1.User{DisplayName: "Ada", Email: "ada@example.com"})
	s.post("/account", "/sign-out", url.Values{}).goes(t, "/")
	s.get("/account").goes(t, "/sign-in?next=%2Faccount")
}

func (s *site) cookie() string {
	at, _ := url.Parse(s.url)
	for _, c := range s.browser.Jar.Cookies(at) {
		if c.Name == sessionCookie {
			return c.Value
		}
	}
	return ""
}

func TestSigningUpSaysWhatIsMissing(t *testing.T) {
	s := stocked(t)
	s.post("/sign-up", "/sign-up", url.Values{"email": {"ada"}, "password": {"short"}}).has(t, 422, "at least ten", "such as ada@example.com", "What may we call you?", `aria-describedby="e-email"`)
	good := url.Values{"email": {"ada@example.com"}, "password": {"correct horse battery"}, "name": {"Ada"}}
	s.gateway.answer("POST /v1/users", 409, refusal("EMAIL_TAKEN", "taken"))
	s.post("/sign-up", "/sign-up", good).has(t, 422, "There is an account with this address")
	s.gateway.answer("POST /v1/users", 400, `{"reason": "INVALID_REQUEST", "violations": [{"field": "email", "description": "must be a valid email address"}]}`)
	s.post("/sign-up", "/sign-up", good).has(t, 422, "Must be a valid email address.")
}

// withCart is a site whose customer has mugs in the cart, and money.
func withCart(t *testing.T) *site {
	s := stocked(t)
	s.enter()
	line := &cartv1.CartLine{Sku: "M1", Name: "Mug of Ada", Quantity: 2, PriceState: cartv1.PriceState_PRICED, Price: pounds(255), Amount: pounds(510)}
	s.gateway.answer("GET /v1/cart", 200, &cartv1.Cart{Version: 4, Lines: []*cartv1.CartLine{line}, Total: pounds(510)})
	s.gateway.answer("GET /v1/orders", 200, &orderv1.ListOrdersResponse{})
	s.gateway.answer("GET /v1/wallet", 200, &paymentv1.Wallet{Available: pounds(10_00), Held: pounds(0)})
	return s
}

var hiddenField = regexp.MustCompile(`<input type="hidden" name="([a-z]+)" value="([^"]*)"`)

// filled is a form as the page has it, with more filled in.
func filled(p page, more url.Values) url.Values {
	out := url.Values{}
	_, form, _ := strings.Cut(p.text, `<main`)
	for _, m := range hiddenField.FindAllStringSubmatch(form, -1) {
		out.Add(m[1], m[2])
	}
	maps.Copy(out, more)
	return out
}

var address = url.Values{"name": {"Ada"}, "street": {"1 Loom Lane"}, "city": {"London"}, "postal": {"E1 1AA"}, "country": {"GB"}}

func TestAnOrderIsPlacedOnce(t *testing.T) {
	s := withCart(t)
	checkout := s.get("/checkout")
	checkout.has(t, 200, "£5.10", "which has <b>£10.00</b>")
	form := filled(checkout, address)
	s.gateway.answer("POST /v1/orders", 200, &orderv1.Order{OrderId: "o1"})
	s.gateway.answer("DELETE /v1/cart", 200, &cartv1.DeleteCartResponse{})
	s.post("", "/checkout", form).goes(t, "/orders/o1")
	_, first := s.gateway.times("POST", "/v1/orders")
	s.gateway.answer("GET /v1/cart", 200, &cartv1.Cart{Version: 5}) // it is empty by now
	s.post("", "/checkout", form).goes(t, "/orders/o1")
	n, second := s.gateway.times("POST", "/v1/orders")
	if n != 2 || first.key == "" || first.key != second.key || first.body != second.body {
		t.Errorf("sent twice, it is another order:\n%+v\n%+v", first, second)
	}
	lines, _ := decode(t, first.body)["lines"].([]any)
	if line, _ := lines[0].(map[string]any); line["sku"] != "M1" || line["quantity"] != 2.0 || !strings.Contains(first.body, `"255"`) {
		t.Errorf("ordered %s", first.body)
	}
}

func TestCheckoutSaysWhatIsWrong(t *testing.T) {
	s := withCart(t)
	form := filled(s.get("/checkout"), url.Values{"name": {"Ada"}, "country": {"England"}})
	again := s.post("", "/checkout", form)
	again.has(t, 422, "Which street", "Which town", "What is the postcode", "choose a country", `value="Ada"`, form.Get("key"))
	form = filled(again, address)
	s.gateway.answer("POST /v1/orders", 503, refusal("UNAVAILABLE", "away"))
	s.post("", "/checkout", form).has(t, 422, "placed once, however often you press", form.Get("key"))
	s.gateway.answer("POST /v1/orders", 409, refusal("PRICE_CHANGED", "changed"))
	s.post("", "/checkout", form).has(t, 409, "Prices have changed while you were here")
	s.gateway.answer("GET /v1/wallet", 200, &paymentv1.Wallet{Available: pounds(1_00)})
	s.get("/checkout").has(t, 200, "£4.10 is missing", "/wallet?amount=4.10&amp;next=/checkout")
	s.gateway.answer("GET /v1/wallet", 503, refusal("UNAVAILABLE", "away"))
	s.get("/checkout").has(t, 200, "look into your wallet just now", "Place the order")
	form.Set("line", "M1 many")
	s.post("", "/checkout", form).has(t, 400)
}

func TestCardsAreNotSentBack(t *testing.T) {
	s := withCart(t)
	s.gateway.answer("GET /v1/wallet/entries", 200, &paymentv1.ListEntriesResponse{Entries: []*paymentv1.Entry{{Kind: paymentv1.EntryKind_VOID, Amount: pounds(510), Sequence: 2}}})
	wallet := s.get("/wallet?amount=4.10&next=/checkout")
	wallet.has(t, 200, `value="4.10"`, "Released: nothing was charged", "4242 4242 4242 4242")
	card := url.Values{"amount": {"25"}, "number": {"4000 0566 5566 5556"}, "month": {"12"}, "year": {"2099"}, "cvv": {"987"}}
	form := filled(wallet, card)
	s.gateway.answer("POST /v1/wallet:topUp", 400, refusal("BAD_CARD", "no card"))
	refused := s.post("", "/wallet", form)
	refused.has(t, 422, "no card&#39;s number", `value="25"`)
	for _, secret := range []string{"5556", "987"} {
		if strings.Contains(refused.text, secret) {
			t.Errorf("the page has %s of the card", secret)
		}
	}
	s.post("", "/wallet", filled(wallet, url.Values{"amount": {"-1"}, "number": {"42"}, "month": {"13"}, "cvv": {"x"}})).has(t, 422, "such as 25", "12 to 19 digits", "Three or four")
	s.gateway.answer("POST /v1/wallet:topUp", 200, &paymentv1.TopUpAnswer{TopUpId: "t1"})
	s.post("", "/wallet", form).goes(t, "/wallet?next=%2Fcheckout&top_up=t1")
	s.gateway.answer("GET /v1/wallet/topUps/t1", 200, &paymentv1.TopUpAnswer{TopUpId: "t1", State: paymentv1.TopUpState_PENDING, Amount: pounds(2500)})
	s.get("/wallet?top_up=t1&next=/checkout").has(t, 200, "The bank is deciding", `http-equiv="refresh"`)
	s.gateway.answer("GET /v1/wallet/topUps/t1", 200, &paymentv1.TopUpAnswer{TopUpId: "t1", State: paymentv1.TopUpState_CONFIRMED, Amount: pounds(2500)})
	s.get("/wallet?top_up=t1&next=/checkout").goes(t, "/checkout")
}
