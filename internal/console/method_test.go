package console_test

import (
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/gowarren/warren/internal/console"
)

const (
	holdPage   = "/contracts/shop.payment.v1.PaymentService/Hold"
	walletPage = "/contracts/shop.payment.v1.PaymentService/GetWallet"
)

// sent posts the form of a page, and returns the page with what came of it.
func sent(t *testing.T, who signedIn, at string, form url.Values) (*http.Response, string) {
	t.Helper()
	resp := who.ask(t, http.MethodPost, at, form.Encode())
	return resp, bodyOf(t, resp)
}

func bodyOf(t *testing.T, resp *http.Response) string {
	t.Helper()
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// TestTry calls methods from their pages.
func TestTry(t *testing.T) {
	w := newWorld()
	at := "http://" + w.serve(t, console.Options{}).Address()
	_, page := get(t, at+holdPage)
	key := regexp.MustCompile(`name="key" value="([^"]+)"`).FindStringSubmatch(page)
	if key == nil || !strings.Contains(page, "&#34;orderId&#34;") || !strings.Contains(page, `name="reason" required`) || strings.Contains(page, `name="token"`) {
		t.Fatalf("the form of Hold:\n%s", page)
	}
	resp, page := sent(t, signedIn{}, at+holdPage, url.Values{"body": {`{"orderId":"1042"}`}, "key": key[1:], "reason": {"to see"}})
	for _, want := range []string{">OK<", "200 OK", "12 ms", "payment/1", `href="/traces/` + someTrace, "&#34;balance&#34;", "content-type", "session.token", `value="` + key[1] + `"`} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in the answer:\n%s", want, page)
		}
	}
	if resp.StatusCode != http.StatusOK {
		t.Errorf("an answer: %s", resp.Status)
	}
	_, page = sent(t, signedIn{}, at+holdPage, url.Values{"body": {`{"cardToken":"4111111111111111"}`}, "key": {"k2"}, "reason": {"to see"}})
	for _, want := range []string{"INVALID_ARGUMENT", "400 Bad Request", "INVALID_REQUEST", "<code>orderId</code> must not be empty"} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in the error:\n%s", want, page)
		}
	}
	_, page = sent(t, signedIn{}, at+walletPage, url.Values{"body": {"{}"}, "token": {"Bearer pa55word"}})
	if strings.Contains(page, "pa55word") || strings.Contains(page, `name="reason"`) || !strings.Contains(page, "It needs a signed-in user.") {
		t.Errorf("the answer to a read:\n%s", page)
	}
	want := `call /shop.payment.v1.PaymentService/Hold key=` + key[1] + ` token= {"orderId":"1042"};call /shop.payment.v1.PaymentService/Hold key=k2 token= {"cardToken":"4111111111111111"};` +
		`call /shop.payment.v1.PaymentService/GetWallet key= token=pa55word {}`
	if done := strings.Join(w.asked(), ";"); done != want {
		t.Errorf("done: %s\nwant: %s", done, want)
	}
	log := w.logged()
	for _, want := range []string{`"action":"call"`, `"target":"shop.payment.v1.PaymentService/Hold"`, `"reason":"to see"`, `"error":"INVALID_ARGUMENT"`, `"action":"read"`} {
		if !strings.Contains(log, want) {
			t.Errorf("no %s in the audit:\n%s", want, log)
		}
	}
	for _, secret := range []string{"4111111111111111", "pa55word"} {
		if strings.Contains(log, secret) {
			t.Errorf("%s is in the log:\n%s", secret, log)
		}
	}
}

// TestTryRefused sends what is not called: without a reason, by a viewer, and
// what can't be read.
func TestTryRefused(t *testing.T) {
	tokens := console.Tokens{Path: t.TempDir() + "/tokens.json"}
	w := newWorld()
	c := w.serve(t, console.Options{Address: "0.0.0.0:0", Tokens: tokens.Path})
	at := "http://127.0.0.1" + c.Address()[strings.LastIndex(c.Address(), ":"):]
	people := map[string]signedIn{}
	for _, role := range []string{"viewer", "operator"} {
		token, err := tokens.Add(role, role, 1<<40)
		if err != nil {
			t.Fatal(err)
		}
		people[role] = signIn(t, at, token)
	}
	for _, c := range []struct {
		who, path, body, reason string
		status                  int
		says                    string
	}{
		{"viewer", holdPage, `{"orderId":"1042"}`, "why", http.StatusForbidden, "needs the role operator"},
		{"operator", holdPage, `{"orderId":"1042"}`, "", http.StatusUnprocessableEntity, "Say why"},
		{"operator", holdPage, `{"oops":1}`, "why", http.StatusUnprocessableEntity, "unknown field"},
		{"operator", "/contracts/shop.payment.v1.PaymentService/Nothing", `{}`, "why", http.StatusNotFound, "has no method Nothing"},
		{"operator", "/contracts/warren.events.v1.LetterService/Hold", `{}`, "why", http.StatusUnprocessableEntity, "Warren&#39;s own"},
	} {
		resp, page := sent(t, people[c.who], at+c.path, url.Values{"body": {c.body}, "reason": {c.reason}})
		if resp.StatusCode != c.status || !strings.Contains(page, c.says) {
			t.Errorf("%s at %s: %s\n%s", c.who, c.path, resp.Status, page)
		}
	}
	if resp := people["viewer"].ask(t, http.MethodGet, at+holdPage, ""); !strings.Contains(bodyOf(t, resp), "Calling a method needs the role operator") {
		t.Error("a viewer sees a form")
	}
	if done := w.asked(); len(done) != 0 {
		t.Errorf("done: %v", done)
	}
	if !strings.Contains(w.logged(), `"author":"viewer"`) {
		t.Errorf("the viewer is not in the audit:\n%s", w.logged())
	}
}

// TestWhoCallsWhom shows callers as counted, and callees as traced.
func TestWhoCallsWhom(t *testing.T) {
	c := newWorld().serve(t, console.Options{})
	_, page := get(t, "http://"+c.Address()+holdPage)
	for _, want := range []string{"Called by", `href="/services/order"`, "SELECT holds", `href="/contracts/shop.ledger.v1.LedgerService/Book"`, "publish shop.payment.v1.Held", "database", "topic", "as seen in "} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in:\n%s", want, page)
		}
	}
	if strings.Contains(page, "SELECT orders") {
		t.Errorf("what others called is listed:\n%s", page)
	}
	_, page = get(t, "http://"+c.Address()+"/routes")
	for _, want := range []string{"/v1/wallet", "openapi.json", `href="` + walletPage + `"`} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in:\n%s", want, page)
		}
	}
}
