package console_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/gowarren/warren/internal/console"
)

// TestProfile takes a profile by the form, and looks at it.
func TestProfile(t *testing.T) {
	w := newWorld()
	at := "http://" + w.serve(t, console.Options{}).Address()
	_, body := get(t, at+"/services/payment/2")
	for _, want := range []string{`href="/services/payment/2/profile"`, `href="/profiles/` + someProfile + `"`, "Memory in use"} {
		if !strings.Contains(body, want) {
			t.Errorf("the instance's page has no %q", want)
		}
	}
	form := (signedIn{}).ask(t, http.MethodPost, at+"/services/payment/2/profile", "kind=heap&seconds=2.5&reason=it+grows")
	_ = form.Body.Close()
	if form.Request.URL.Path != "/profiles/"+someProfile || form.StatusCode != http.StatusOK {
		t.Errorf("recorded: %s %s", form.Status, form.Request.URL)
	}
	if done := strings.Join(w.asked(), ";"); done != "profile payment/2 PROFILE_KIND_HEAP 2.5s" {
		t.Errorf("done: %s", done)
	}
	for _, wrong := range []string{"kind=heap&seconds=9000&reason=x", "kind=heap&seconds=NaN&reason=x", "kind=heap&seconds=x&reason=x", "kind=heap&seconds=1"} {
		if resp := (signedIn{}).post(t, at+"/services/payment/2/profile", wrong); resp.StatusCode != http.StatusUnprocessableEntity {
			t.Errorf("%s: %s", wrong, resp.Status)
		}
	}
}

// boxes are the functions of a flame graph, from the top.
func boxes(body string) (out []string) {
	for _, found := range regexp.MustCompile(`<title>([^:<]+): `).FindAllStringSubmatch(body, -1) {
		out = append(out, found[1])
	}
	return out
}

// TestFlame zooms by a link, searches, and counts another value.
func TestFlame(t *testing.T) {
	at := "http://" + newWorld().serve(t, console.Options{}).Address() + "/profiles/" + someProfile
	_, body := get(t, at)
	all := boxes(body)
	if len(all) < 25 || all[0] != "all" || !strings.Contains(body, "3.26 s") || !strings.Contains(body, "<caption>Functions") {
		t.Errorf("%d boxes: %v", len(all), all)
	}
	_, body = get(t, at+"?focus="+focusOf("main.(*ledger).book"))
	if some := boxes(body); len(some) >= len(all) || strings.Contains(strings.Join(some, " "), "runtime.scanobject") || some[5] != "main.(*ledger).book" {
		t.Errorf("below a function: %v", some)
	}
	if !strings.Contains(body, `href="/profiles/`+someProfile+`">Show all</a>`) {
		t.Error("no way back")
	}
	_, body = get(t, at+"?q=SQLITE")
	if n := strings.Count(body, `class="hit"`); n != 3 || !strings.Contains(body, "SQLITE is in 50.6 % of it") || strings.Contains(body, `id="function-`+focusOf("runtime.mallocgc")) {
		t.Errorf("%d functions are marked", n)
	}
	if _, body = get(t, at+"?value=samples"); !strings.Contains(body, "<dd>326</dd>") {
		t.Error("samples are not counted")
	}
	resp, body := get(t, at+"?format=csv&q=book")
	if resp.Header.Get("Content-Type") != "text/csv; charset=utf-8" || !strings.HasPrefix(body, "Function,Itself,Share,With what it called,Share\nmain.(*ledger).book,0,0 %,2.07 s,63.5 %\n") {
		t.Errorf("%s", body)
	}
	if resp, _ := get(t, strings.TrimSuffix(at, "cpu")+"gone"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("one that is not kept: %s", resp.Status)
	}
}

// TestProfileByMouse is led from the question to the graph, and into it.
func TestProfileByMouse(t *testing.T) {
	w := newWorld()
	b := openBrowser(t, w.serve(t, console.Options{}).Address())
	b.shape(1280, 860, false)
	b.open("/services/payment/2")
	b.run(chromedp.Click(`a[href$="/profile"]`))
	b.eventually(`document.querySelector("#dialog[open][data-ready] input[name=reason]") !== null`)
	b.picture("dialog-profile")
	b.run(chromedp.SendKeys(`#dialog input[name=reason]`, "it is slow"), chromedp.Click(`#dialog button.main`))
	b.eventually(`location.pathname === "/profiles/` + someProfile + `" && document.querySelectorAll(".flame a").length > 20`)
	b.run(chromedp.Evaluate(`[...document.querySelectorAll(".flame a")].find((a) => a.textContent.includes("main.(*ledger).book")).dispatchEvent(new MouseEvent("click", {bubbles: true, cancelable: true}))`, nil))
	b.eventually(`location.search === "?focus=` + focusOf("main.(*ledger).book") + `" && document.querySelector(".filters .chip").textContent.includes("book")`)
	if done := strings.Join(w.asked(), ";"); done != "profile payment/2 PROFILE_KIND_CPU 5s" {
		t.Errorf("done: %s", done)
	}
	for _, p := range b.complaints() {
		t.Error(p)
	}
}
