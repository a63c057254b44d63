package e2e

import (
	"context"
	"crypto/rand"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/gowarren/warren/internal/browsertest"
	"github.com/gowarren/warren/store"
)

// screen is a page of the console, how somebody without a mouse comes to it, and
// what stands on it that only the system that runs can have put there.
type screen struct {
	page  string
	part  string // where a page is looked at twice
	open  func(*viewer)
	shown string
}

// everyScreen goes through all pages by keyboard, from one to the next, and looks at
// each on a screen and on a phone, by day and by night.
func (s *shop) everyScreen(v *viewer) {
	s.poison()
	order := s.delivered()
	payment := ""
	for _, i := range s.list().GetInstances() {
		if i.GetId() == "payment/1" {
			payment = strconv.Itoa(int(i.GetPid()))
		}
	}
	v.Visit("/topology")
	seen := map[string]bool{}
	for _, one := range slices.Concat(screensOfNow(payment), screensOfWork(order), screensOfSignals(), screensOfTheSystem()) {
		one.open(v)
		v.Eventually("the page "+one.page, fmt.Sprintf(`document.querySelector("main").dataset.page === %q`, one.page))
		v.Eventually("real data on "+one.page+one.part, both(one.shown, whole))
		v.steps(one.page)
		v.looks(one.page + one.part)
		seen[one.page] = true
	}
	templates, err := filepath.Glob("../../internal/console/templates/*.html")
	if err != nil || len(templates) == 0 {
		v.t.Fatalf("no templates of the console: %v", err)
	}
	for _, file := range templates {
		if page := strings.TrimSuffix(filepath.Base(file), ".html"); !seen[page] {
			v.t.Errorf("the page %s was not looked at", page)
		}
	}
}

// whole is an expression: a page has all of its parts.
const whole = `!document.querySelector("main").innerText.includes("can't be shown")`

// screensOfNow are what runs, with the process of payment.
func screensOfNow(payment string) []screen {
	return []screen{
		{page: "overview", open: byKey("o"), shown: both(has("Services", "payment", "1 of 1 ready"), has("Objectives", "checkouts", "95 %"), charts(3))},
		{page: "topology", open: byKey("g"), shown: both(has("Who calls whom", "coordinator", "payment"), `document.querySelector('.topology a.node[href="/services/payment"]') !== null`)},
		{page: "services", open: byKey("s"), shown: both(has("Services", "payment", "1 of 1 ready", "/s"), has("What the system leans on", "events"))},
		{page: "service", open: byRow("payment"), shown: both(has("Instances", "payment/1", payment), has("Methods", "shop.payment.v1.PaymentService/Hold", "/s"), has("Policies in force", "Hold"), charts(5), `document.querySelector("main ul.log li") !== null`)},
		{page: "policies", open: byLink(link("All policies, with their settings")), shown: has("Policies in force", "Hold", "shop.payment.v1.PaymentService", "timeout")},
		{page: "services", part: "-instances", open: func(v *viewer) { byKey("s")(v); byLink(link("Instances"))(v) }, shown: has("Instances", "payment/1", payment)},
		{page: "instance", open: byRow("payment/1"), shown: both(fact("main", "Process")+fmt.Sprintf(" === %q", payment), `document.querySelector("main ul.log li") !== null`)},
		{page: "profile", open: profiled, shown: both(`document.querySelector("h1").textContent === "Goroutines of payment/1"`, has("Functions", "runtime.gopark"))},
		{page: "alerts", open: byKey("a"), shown: both(has("Alerts", "Watchdog", "fires always"), has("Objectives", "checkouts", "95 %"), has("History", "Watchdog", "began"), has("Rules", "PaymentsFail", "shop_payments_total"))},
		{page: "alert", open: byRow("Watchdog"), shown: both(`document.querySelector("h1").textContent.startsWith("Watchdog")`, has("History", "began"), `document.querySelector("#todo").innerText.includes("dead man")`)},
	}
}

// screensOfWork are what became of an order, and of an event that nobody can handle.
func screensOfWork(order string) []screen {
	return []screen{
		{page: "transactions", open: byKey("x"), shown: has("Transactions", "checkout/", "succeeded")},
		{page: "transaction", open: bySearch("checkout/" + order), shown: both(has("Calls", "action hold", "done"), `document.querySelector("#step-hold code").textContent === "shop.payment.v1.PaymentService/Hold"`)},
		{page: "traces", part: "-of-an-order", open: byLink(`document.querySelector('main .filters a[href^="/traces?gid="]')`), shown: has("Traces", "POST /v1/orders", order)},
		{page: "trace", open: byRow("POST /v1/orders"), shown: both(fact("main", "Order")+fmt.Sprintf("?.includes(%q)", order), has("Spans", "payment", "shop.payment.v1.PaymentService/Hold"))},
		{page: "compare", open: byLink(`document.querySelector('main a[href^="/traces/compare?a="]')`), shown: both(`document.querySelector("main h2").textContent === "A: POST /v1/orders"`, has("Spans", "PlaceOrder"))},
		{page: "events", open: byKey("v"), shown: both(has("Flow", "OrderConfirmed", "notification"), has("Outbox", "order"), charts(1))},
		{page: "event", open: byRow("OrderConfirmed", "notification"), shown: both(has("Read by", "notification"), has("Published by", "order"), charts(3))},
		{page: "letters", open: byKey("d"), shown: both(has("By cause", "OrderConfirmed", "notification"), has("Letters", "OrderConfirmed", "nobody"))},
		{page: "letter", open: byRow("OrderConfirmed", "nobody"), shown: `document.querySelector("main .banner.bad")?.textContent.includes("it doesn't say whom it is about")`},
	}
}

// screensOfSignals are those of all services.
func screensOfSignals() []screen {
	return []screen{
		{page: "traces", open: byKey("t"), shown: has("Traces", "POST /v1/orders")},
		{page: "logs", open: byKey("l"), shown: both(`document.querySelectorAll("main ul.log li").length > 10`, `[...document.querySelectorAll(".facet a")].some((a) => a.textContent.startsWith("payment"))`)},
		{page: "metrics", open: func(v *viewer) { byKey("m")(v); byLink(link("Requests by service"))(v) }, shown: both(has("Result", "payment"), charts(1), has("Where they come from", "payment/1", "answers"))},
	}
}

// screensOfTheSystem are what it promises, and how it is run.
func screensOfTheSystem() []screen {
	return []screen{
		{page: "contracts", open: byKey("c"), shown: has("Contracts", "shop.payment.v1.PaymentService", "payment", "1 ready")},
		{page: "contract", open: byRow("shop.inventory.v1.InventoryService"), shown: `document.querySelector("#method-GetStock")?.innerText.includes("/v1/stock/{sku}")`},
		{page: "method", open: tried, shown: `document.querySelector("[data-first] pre")?.innerText.includes('"sku": "22423"')`},
		{page: "routes", open: func(v *viewer) { byKey("c")(v); byLink(link("REST routes"))(v) }, shown: has("REST routes", "/v1/orders", "POST", "PlaceOrder")},
		{page: "experiments", open: func(v *viewer) { byKey("f")(v); byLink(link("Payment is slow"))(v) }, shown: hit("payment/1", "coordinator", "PaymentService/Hold")},
		{page: "settings", open: byKey("e"), shown: has("Settings", "alerts.slo.period", "1h", "centre")},
		{page: "setting", open: byRow("alerts.slo.period"), shown: both(has("Values", "all", "1h"), has("Changes", "alerts.slo.period", "a test"))},
		{page: "history", open: func(v *viewer) { byKey("e")(v); byLink(link("Changes"))(v) }, shown: has("Changes", "alerts.slo.period", "a test")},
		{page: "audit", open: byKey("u"), shown: has("What people did", "profile", "payment/1", whyProfiled)},
	}
}

// both is an expression: all of these are so.
func both(all ...string) string { return "(" + strings.Join(all, ") && (") + ")" }

// fits is an expression: charts are as wide as there is room.
const fits = `[...document.querySelectorAll("main .plot")].every((p) => p.firstElementChild === null || Math.abs(p.firstElementChild.offsetWidth - p.clientWidth) < 2)`

// charts tells whether so many are drawn.
func charts(n int) string {
	return fmt.Sprintf(`document.querySelectorAll("main .plot canvas").length >= %d`, n)
}

// byKey opens a page by its key.
func byKey(key string) func(*viewer) {
	return func(v *viewer) { v.Press(kb.Escape, key) }
}

// byLink opens what a link leads to.
func byLink(element string) func(*viewer) {
	return func(v *viewer) {
		v.t.Helper()
		v.Eventually("a link", `(`+element+`) != null`)
		v.Read(`(` + element + `).focus()`)
		v.Press("\r")
	}
}

// bySearch opens what is searched for.
func bySearch(text string) func(*viewer) {
	return func(v *viewer) {
		v.t.Helper()
		v.Press(kb.Escape, "/")
		v.Eventually("the search", `document.activeElement.id === "search"`)
		v.Run(chromedp.SetValue("#search", text, chromedp.ByQuery))
		v.Press("\r")
	}
}

// byRow goes down the rows of a page to the one with these words, and opens it. Those
// of a page that is renewed meanwhile may move.
func byRow(words ...string) func(*viewer) {
	return func(v *viewer) {
		v.t.Helper()
		const most = 500
		v.Press(kb.Escape)
		last := ""
		for range most {
			v.Press("j")
			row := v.Read(`((r) => r === null ? "" : r.id + " " + r.textContent)(document.querySelector("tr.at"))`)
			if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(row, w) }) {
				v.Press("\r")
				return
			}
			if row == last {
				v.Press(kb.Escape) // from the last to the first
			}
			last = row
		}
		v.t.Fatalf("no row has %q; the page is\n%s", words, v.Said())
	}
}

const whyProfiled = "what does it wait for?"

// profiled takes a profile of the instance whose page is open.
func profiled(v *viewer) {
	v.asked("a profile", `[...document.querySelectorAll("main a")].find((a) => a.textContent === "Profile")`)
	v.Read(`document.querySelector("#dialog select[name=kind]").value = "goroutine"`)
	v.because(whyProfiled)
}

// tried calls a method of the contract whose page is open.
func tried(v *viewer) {
	byLink(`document.querySelector("#method-GetStock a.button")`)(v)
	v.Eventually("its form", `document.querySelector("main").dataset.page === "method" && document.querySelector(".try textarea") !== null`)
	v.Run(chromedp.SetValue(".try textarea", `{"sku": "22423"}`, chromedp.ByQuery))
	byLink(`document.querySelector(".try button.main")`)(v)
}

// steps goes to the next thing that the keyboard reaches, which is to be seen, and
// back.
func (v *viewer) steps(page string) {
	v.t.Helper()
	v.Press(kb.Tab)
	if v.Read(`document.activeElement.matches("a, button, input, select, textarea, summary, [tabindex]") && getComputedStyle(document.activeElement).outlineStyle !== "none"`) != "true" {
		v.t.Errorf("%s: the keyboard leads to what can't be seen: %s", page, v.Read(`document.activeElement.outerHTML.slice(0, 200)`))
	}
	v.Press(kb.Escape)
}

// looks checks a page in all its shapes.
func (v *viewer) looks(name string) {
	v.t.Helper()
	v.Shapes(func(shape string) {
		where := "shop-" + name + "-" + shape
		v.Eventually("the charts of "+where, fits)
		for line := range strings.Lines(v.Read(browsertest.Accessible)) {
			v.t.Errorf("%s: %s", where, strings.TrimSpace(line))
		}
		v.Picture(where)
	})
	v.complained(name)
}

// delivered is an order that came to its end.
func (s *shop) delivered() string {
	s.t.Helper()
	ctx := s.within(2 * time.Minute)
	c := s.customers(1, func(int) int64 { return 9_000_000 })[0]
	o, err := c.place(ctx, "seen", orderBody(map[string]int{"22423": 1}))
	if err == nil {
		_, err = c.ended(ctx, o.GetOrderId())
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return o.GetOrderId()
}

// poison has a service publish an event that does not say whom it is about: who
// sends notifications gives it up.
func (s *shop) poison() {
	s.t.Helper()
	ctx := s.within(time.Minute)
	db, err := store.Open(ctx, "sqlite:"+filepath.Join(s.data, "order-1.db"), store.Options{Name: "order"})
	if err != nil {
		s.t.Fatal(err)
	}
	defer db.Close()
	err = db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO warren_outbox (id, topic, event_key, headers, payload, created_at, state, sent_at)
			VALUES (?, 'shop.order.v1.OrderConfirmed', 'nobody', '{}', ?, ?, 0, 0)`, rand.Text(), []byte{}, time.Now())
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
}
