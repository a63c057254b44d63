package console_test

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/gowarren/warren/internal/browsertest"
	"github.com/gowarren/warren/internal/console"
)

// TestBannerEverywhere finds the experiment that runs on every page, and nowhere
// when it was stopped.
func TestBannerEverywhere(t *testing.T) {
	w := newWorld()
	at := "http://" + w.serve(t, console.Options{}).Address()
	const banner = `id="notice-crashes"`
	for _, s := range screens {
		_, body := get(t, at+s.path)
		_, told, found := strings.Cut(body, banner)
		if !found {
			t.Errorf("%s tells of no experiment", s.path)
		}
		told, _, _ = strings.Cut(told, "</aside>")
		for _, want := range []string{
			"Experiment crashes", "at catalog: an instance killed every 20 s", "Begun by grace", "min", `href="/experiments"`, `href="/experiments/crashes/stop"`,
		} {
			if !strings.Contains(told, want) {
				t.Errorf("%s: no %q in %s", s.path, want, told)
			}
		}
	}
	post(t, at+"/experiments/crashes/stop")
	for _, s := range screens {
		if _, body := get(t, at+s.path); strings.Contains(body, banner) {
			t.Errorf("%s tells of one that is over", s.path)
		}
	}
}

// TestBannerRoles shows viewers what runs, and lets operators stop it. At the
// door nobody is told anything.
func TestBannerRoles(t *testing.T) {
	tokens := console.Tokens{Path: t.TempDir() + "/tokens.json"}
	c := newWorld().serve(t, console.Options{Address: "0.0.0.0:0", Tokens: tokens.Path})
	at := "http://127.0.0.1" + c.Address()[strings.LastIndex(c.Address(), ":"):]
	if _, body := get(t, at+"/sign-in"); strings.Contains(body, "crashes") {
		t.Error("the door tells of experiments")
	}
	for role, may := range map[string]bool{"viewer": false, "operator": true} {
		token, err := tokens.Add(role, role, 1<<40)
		if err != nil {
			t.Fatal(err)
		}
		resp := signIn(t, at, token).ask(t, http.MethodGet, at+"/contracts", "")
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || !strings.Contains(string(body), `id="notice-crashes"`) || strings.Contains(string(body), "/experiments/crashes/stop") != may {
			t.Errorf("%s: %v\n%s", role, err, body)
		}
	}
}

// TestBannerStream hears of the beginning and of the end by the stream that every
// page has, and however many listen, the system is asked once a second.
func TestBannerStream(t *testing.T) {
	w := newWorld()
	at := "http://" + w.serve(t, console.Options{}).Address()
	began := time.Now()
	var all sync.WaitGroup
	var listening []<-chan string
	for _, page := range []string{"/contracts", "/overview&only=notices", "/nowhere", "/services", "/experiments", "/settings", "/audit", "/trace", "/policies", "/metrics"} {
		events := make(chan string, 16)
		listening = append(listening, events)
		all.Go(func() { listen(t, at+"/live?at="+page, events) })
	}
	heard := func(what string, holds func(string) bool) {
		t.Helper()
		for i, events := range listening {
			text, open := <-events
			for open && !holds(text) {
				text, open = <-events
			}
			if !open {
				t.Fatalf("stream %d ended before it told of %s", i, what)
			}
		}
	}
	heard("crashes", func(text string) bool { return strings.Contains(text, `id="notice-crashes"`) })
	post(t, at+"/experiments/start?fault=latency&service=payment&delay=2s&for=1h")
	heard("the second", func(text string) bool { return strings.Contains(text, `id="notice-latency-payment"`) })
	w.experiments.expire("latency-payment")
	heard("its end", func(text string) bool { return !strings.Contains(text, "latency-payment") })
	post(t, at+"/experiments/crashes/stop")
	heard("the end of all", func(text string) bool { return strings.TrimSpace(text) == "" })
	w.experiments.mu.Lock()
	asked, most := w.experiments.lists, int(time.Since(began)/time.Second)+8 // pages about experiments ask themselves
	w.experiments.mu.Unlock()
	if asked > most {
		t.Errorf("asked %d times, want %d at most", asked, most)
	}
	t.Cleanup(all.Wait)
}

// listen hands on what a stream tells as notices, until the test ends.
func listen(t *testing.T, url string, events chan<- string) {
	defer close(events)
	const patience = time.Minute
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Error(err)
		return
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Error(err)
		return
	}
	defer resp.Body.Close()
	name, text := "", ""
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		field, value, _ := strings.Cut(lines.Text(), ": ")
		switch field {
		case "event":
			name = value
		case "data":
			text += value + "\n"
		case "":
			if name == "notices" {
				events <- text
			}
			name, text = "", ""
		}
	}
}

func post(t *testing.T, url string) {
	t.Helper()
	resp, err := http.Post(url, "application/x-www-form-urlencoded", strings.NewReader("reason=to+see"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", url, resp.Status)
	}
}

// TestBannerByHand looks at pages on a phone while experiments begin and end: the
// pages are not loaded again, what is said is said once, and the time runs.
func TestBannerByHand(t *testing.T) {
	w := newWorld()
	c := w.serve(t, console.Options{})
	at := "http://" + c.Address()
	b := openBrowser(t, c.Address())
	b.shape(390, 844, false)
	b.open("/contracts") // which does not renew itself
	b.run(chromedp.Evaluate(`window.kept = true; window.left = document.querySelector("#notice-crashes [data-left]").textContent`, nil))
	b.eventually(`document.querySelector("#notice-crashes [data-left]").textContent !== window.left`)
	post(t, at+"/experiments/start?fault=latency&service=payment&delay=2s&for=1h")
	b.eventually(`document.querySelector("#notice-latency-payment") !== null && document.querySelector("#said").textContent.includes("latency-payment")`)
	if wrong := b.text(browsertest.Accessible); wrong != "" {
		t.Error(wrong)
	}
	b.picture("banner-390")
	b.run(chromedp.Focus(`#notice-latency-payment a.danger`))
	w.experiments.expire("latency-payment")
	b.eventually(`document.querySelector("#notice-latency-payment") === null && document.activeElement.id === "main"`)
	b.run(chromedp.Click(`#notice-crashes a.danger`))
	b.eventually(`document.querySelector("#dialog[open][data-ready] input[name=reason]") !== null`)
	b.run(chromedp.SendKeys(`#dialog input[name=reason]`, "seen enough"), chromedp.Click(`#dialog button.main`))
	b.eventually(`document.querySelector("#dialog [data-done]") !== null`)
	b.run(chromedp.KeyEvent("\u001b"))
	b.eventually(`document.querySelector("#notices aside") === null && document.querySelector("#said").textContent === "Experiment crashes: over" && window.kept`)

	b.run(chromedp.Click(`nav a[href="/overview"]`)) // one that does, and is paused
	b.eventually(`location.pathname === "/overview" && document.querySelector("[data-pause]") !== null`)
	b.run(chromedp.KeyEvent("p"))
	b.eventually(`!document.querySelector("[data-paused]").hidden`)
	post(t, at+"/experiments/start?fault=kill&service=order&for=1h")
	b.eventually(`document.querySelector("#notice-kill-order") !== null && window.kept && !document.querySelector("[data-paused]").hidden`)
	want := "start latency-payment for 1h0m0s by ada: to see;stop crashes by ada: seen enough;start kill-order for 1h0m0s by ada: to see"
	if done := strings.Join(w.asked(), ";"); done != want {
		t.Errorf("done: %s, want %s", done, want)
	}
	for _, p := range b.complaints() {
		t.Error(p)
	}
}
