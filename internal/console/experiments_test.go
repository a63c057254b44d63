package console_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/gowarren/warren/internal/console"
)

// TestPlan reads experiments from the URL: what they would hit is shown, with
// the command and the file that do the same, and nothing is done.
func TestPlan(t *testing.T) {
	w := newWorld()
	at := "http://" + w.serve(t, console.Options{}).Address()
	for query, wants := range map[string][]string{
		"fault=latency&service=payment&delay=2s&share=50&for=2m": {
			"What latency-payment would hit", "latency of 2 s, 50 % of the calls", "payment/1", "coordinator", "PaymentService/Hold",
			"warren experiment start latency payment --delay 2s --share 0.5 --for 2m --reason &#39;why&#39;",
			"latency: {service: payment, delay: 2s, share: 0.5}", `<option selected>payment</option>`, `">PaymentService/GetWallet</option>`, "/experiments/start?delay=2s",
		},
		"fault=error&service=payment&code=INTERNAL&name=odd": {
			"error INTERNAL", "every call", "warren experiment start error payment --code INTERNAL --name odd", "- name: odd", "error: {service: payment, code: INTERNAL}",
		},
		"fault=kill&service=payment&every=10s": {"an instance killed every 10 s", "payment has one instance", "kill: {service: payment, every: 10s}"},
		"fault=partition&service=payment&caller=order": {
			"order → payment", "warren experiment start partition order payment --reason", "partition: {from: order, to: payment}",
		},
		"fault=latency&service=payment&delay=soon": {
			"delay: want a time such as 300ms, 2s or 5m; got &#34;soon&#34;", `<input name="delay" aria-invalid="true" aria-describedby="plan-problem"`, `id="plan-problem"`,
		},
		"fault=latency&service=payment&share=0":    {"share: want more than 0 and at most 100 percent"},
		"fault=latency&service=payment&for=2h":     {"experiment.duration.max", `<input name="for" aria-invalid="true"`},
		"fault=flood&service=payment":              {"fault: want one of latency, error, kill and partition; got &#34;flood&#34;"},
		"fault=latency&service=payment&method=a/B": {"payment has no method a/B", "All its methods", `<option value="a/B" selected>a/B</option>`},
		"": {"Payment is slow", "which service?", "nothing happens until you start it", "crashes", "9 kills"},
		"fault=latency&service=payment&name=%27+%3B+rm+-r": {`--name &#39;&#39;\&#39;&#39; ; rm -r&#39;`, `- name: &#34;&#39; ; rm -r&#34;`},
	} {
		resp, body := get(t, at+"/experiments?"+query)
		if resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", query, resp.Status)
		}
		for _, want := range wants {
			if !strings.Contains(body, want) {
				t.Errorf("%s: no %q in\n%s", query, want, body)
			}
		}
	}
	if _, body := get(t, at+"/experiments?format=csv"); !strings.HasPrefix(body, "Experiment,State,Fault,Where,Method,Since,Ends,Who,Why,Stopped by,Why stopped,Kills\n") || strings.Count(body, "\n") != 4 {
		t.Errorf("csv:\n%s", body)
	}
	if done := w.asked(); len(done) != 0 {
		t.Errorf("looking did %v", done)
	}
}

// TestExperimentRoles lets operators start and stop, and nobody else; nobody
// starts what has no place.
func TestExperimentRoles(t *testing.T) {
	tokens := console.Tokens{Path: t.TempDir() + "/tokens.json"}
	w := newWorld()
	c := w.serve(t, console.Options{Address: "0.0.0.0:0", Tokens: tokens.Path})
	at := "http://127.0.0.1" + c.Address()[strings.LastIndex(c.Address(), ":"):]
	const slow = "/experiments/start?fault=latency&service=payment&delay=2s"
	for role, want := range map[string]int{"viewer": http.StatusUnprocessableEntity, "operator": http.StatusOK} {
		token, err := tokens.Add(role, role, 1<<40)
		if err != nil {
			t.Fatal(err)
		}
		jar := signIn(t, at, token)
		for _, path := range []string{slow, "/experiments/crashes/stop"} {
			if resp := jar.post(t, at+path, "reason=to+see"); resp.StatusCode != want {
				t.Errorf("%s, %s: %s", role, path, resp.Status)
			}
		}
		for _, form := range []struct{ path, fields string }{{slow, ""}, {"/experiments/start?fault=latency", "reason=why"}, {"/experiments/nothing/stop", "reason=why"}} {
			if resp := jar.post(t, at+form.path, form.fields); resp.StatusCode == http.StatusOK {
				t.Errorf("%s, %s with %q: %s", role, form.path, form.fields, resp.Status)
			}
		}
	}
	if done := strings.Join(w.asked(), ";"); done != "start latency-payment for 5m0s by operator: to see;stop crashes by operator: to see" {
		t.Errorf("done: %s", done)
	}
}

// TestExperimentByHand plans one by mouse, sees what it would hit, starts it
// with a reason, finds it in the list, and stops it.
func TestExperimentByHand(t *testing.T) {
	w := newWorld()
	c := w.serve(t, console.Options{})
	b := openBrowser(t, c.Address())
	b.shape(1280, 860, false)
	b.open("/overview")
	b.run(chromedp.KeyEvent("f"))
	b.eventually(`location.pathname === "/experiments"`)
	b.run(chromedp.Click(`a[href*="fault=latency"][href*="service=payment"].chip`))
	b.eventually(`location.search.includes("service=payment") && document.querySelector("#radius") !== null`)
	b.run(chromedp.SetValue(`#plan input[name=share]`, "25"), chromedp.Click(`#plan form button`))
	b.eventually(`location.search.includes("share=25") && document.querySelector("#radius").innerText.includes("25 % of the calls")`)
	b.run(chromedp.Click(`#radius a.main`))
	b.eventually(`document.querySelector("#dialog[open][data-ready] input[name=reason]") !== null`)
	b.picture("dialog-experiment")
	if done := w.asked(); len(done) != 0 {
		t.Errorf("asking did %v", done)
	}
	b.run(chromedp.SendKeys(`#dialog input[name=reason]`, "does checkout hold?"), chromedp.Click(`#dialog button.danger`))
	b.eventually(`document.querySelector("#dialog [data-done]") !== null`)
	b.run(chromedp.KeyEvent("\u001b"))
	const running = `document.querySelector("tr[id^=experiment-latency-payment]")`
	b.eventually(running + ` !== null && ` + running + `.innerText.includes("running")`)
	b.run(chromedp.Click(`tr[id^=experiment-latency-payment] a.danger`))
	b.eventually(`document.querySelector("#dialog[open][data-ready] input[name=reason]") !== null`)
	b.run(chromedp.SendKeys(`#dialog input[name=reason]`, "seen enough"), chromedp.Click(`#dialog button.main`))
	b.eventually(`document.querySelector("#dialog [data-done]") !== null`)
	b.run(chromedp.KeyEvent("\u001b"))
	b.eventually(running + ` === null`)
	want := "start latency-payment for 2m0s by ada: does checkout hold?;stop latency-payment by ada: seen enough"
	if done := strings.Join(w.asked(), ";"); done != want {
		t.Errorf("done: %s, want %s", done, want)
	}
	for _, p := range b.complaints() {
		t.Error(p)
	}
}
