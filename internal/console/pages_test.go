package console_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gowarren/warren/internal/console"
)

func answered(t *testing.T, r *http.Request) string {
	t.Helper()
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func get(t *testing.T, url string) (*http.Response, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

// TestPartial leaves out the services of a system one after the other: what is
// there is shown, and what isn't is said.
func TestPartial(t *testing.T) {
	for _, without := range []string{"observe", "txn", "letters", "contracts", "settings", "experiments"} {
		c := newWorld().serve(t, console.Options{}, without)
		for _, s := range screens {
			resp, body := get(t, "http://"+c.Address()+s.path)
			if resp.StatusCode >= 500 && resp.StatusCode != http.StatusNotImplemented {
				t.Errorf("%s without %s: %s", s.path, without, resp.Status)
			}
			if !strings.Contains(body, "</html>") || !strings.Contains(body, "<h1") {
				t.Errorf("%s without %s: no whole page:\n%s", s.path, without, body)
			}
		}
		if resp, body := get(t, "http://"+c.Address()+"/overview"); resp.StatusCode != http.StatusOK || without == "observe" && !strings.Contains(body, "Traffic</b> can't be shown") {
			t.Errorf("overview without %s: %s\n%s", without, resp.Status, body)
		}
	}
}

// TestCanonical takes each page's own idea of its URL: asked for it again, it is
// the same.
func TestCanonical(t *testing.T) {
	c := newWorld().serve(t, console.Options{})
	for _, path := range []string{
		"/traces?service=order&errors=1&least=&from=now-1h", "/transactions?show=parked&q=", "/logs?q=%22a+b%22&service=order&service=payment&level=", "/services?sort=-rate&show=",
		"/transactions/checkout%2F1042", "/metrics?query=sum+by+(service)+(x%7Ba%3D%22b%22%7D)&from=1700000000000&to=1700000600000",
	} {
		_, body := get(t, "http://"+c.Address()+path)
		first := at(t, body)
		_, body = get(t, "http://"+c.Address()+first)
		if again := at(t, body); again != first {
			t.Errorf("%s is %s, which is %s", path, first, again)
		}
		if strings.Contains(first, "=&") || strings.HasSuffix(first, "=") {
			t.Errorf("%s: %s says what is empty", path, first)
		}
	}
}

// at is the URL that a page calls its own.
func at(t *testing.T, body string) string {
	t.Helper()
	_, rest, ok := strings.Cut(body, `data-at="`)
	if !ok {
		t.Fatalf("no own URL in:\n%s", body)
	}
	own, _, _ := strings.Cut(rest, `"`)
	return strings.NewReplacer("&amp;", "&", "&#43;", "+").Replace(own)
}

func TestCSV(t *testing.T) {
	c := newWorld().serve(t, console.Options{})
	resp, body := get(t, "http://"+c.Address()+"/services?format=csv")
	if resp.Header.Get("Content-Type") != "text/csv; charset=utf-8" || !strings.HasPrefix(body, "Service,Health,Requests,") || strings.Count(body, "\n") != 7 {
		t.Errorf("%s\n%s", resp.Header, body)
	}
}

// TestStrangers keeps out who comes by another name, from another site, or into
// a frame.
func TestStrangers(t *testing.T) {
	w := newWorld()
	c := w.serve(t, console.Options{})
	ask := func(method, path string, change func(*http.Request)) *http.Response {
		r := httptest.NewRequest(method, "http://"+c.Address()+path, strings.NewReader("reason=why"))
		r.RequestURI = ""
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		change(r)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp
	}
	if resp := ask("GET", "/overview", func(r *http.Request) { r.Host = "evil.example:7070" }); resp.StatusCode != http.StatusMisdirectedRequest {
		t.Errorf("another name: %s", resp.Status)
	}
	for header, value := range map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "http://evil.example"} {
		if resp := ask("POST", "/services/payment/restart", func(r *http.Request) { r.Header.Set(header, value) }); resp.StatusCode != http.StatusForbidden {
			t.Errorf("%s %s: %s", header, value, resp.Status)
		}
	}
	resp := ask("GET", "/overview", func(*http.Request) {})
	if p := resp.Header.Get("Content-Security-Policy"); !strings.Contains(p, "frame-ancestors 'none'") || strings.Contains(p, "unsafe") {
		t.Errorf("policy: %s", p)
	}
	if done := w.asked(); len(done) != 0 {
		t.Errorf("strangers did %v", done)
	}
}

// TestRoles signs people in at an address that others reach.
func TestRoles(t *testing.T) {
	tokens := console.Tokens{Path: t.TempDir() + "/tokens.json"}
	w := newWorld()
	c := w.serve(t, console.Options{Address: "0.0.0.0:0", Tokens: tokens.Path})
	at := "http://127.0.0.1" + c.Address()[strings.LastIndex(c.Address(), ":"):]
	if resp, body := get(t, at+"/overview"); resp.Request.URL.Path != "/sign-in" || !strings.Contains(body, "Sign in") {
		t.Errorf("nobody: %s", resp.Request.URL)
	}
	for role, want := range map[string]int{"viewer": http.StatusUnprocessableEntity, "operator": http.StatusOK} {
		token, err := tokens.Add(role, role, 1<<40)
		if err != nil {
			t.Fatal(err)
		}
		jar := signIn(t, at, token)
		resp := jar.post(t, at+"/services/payment/restart", "reason=because")
		if resp.StatusCode != want {
			t.Errorf("%s restarts: %s", role, resp.Status)
		}
	}
	if jar := signIn(t, at, "warren-guessed"); jar.cookie != nil {
		t.Error("a guessed token signs in")
	}
	if done := strings.Join(w.asked(), ";"); done != "restart payment" {
		t.Errorf("done: %s", done)
	}
	log := w.logged()
	for _, want := range []string{`"author":"operator"`, `"reason":"because"`, `"action":"restart"`, `"target":"payment"`} {
		if !strings.Contains(log, want) {
			t.Errorf("no %s in the audit:\n%s", want, log)
		}
	}
}

// TestEdit replaces the request of a step; only who says so forces it.
func TestEdit(t *testing.T) {
	w := newWorld()
	at := "http://" + w.serve(t, console.Options{}).Address()
	path := at + "/transactions/checkout%2F1042/edit?branch=capture"
	_, body := get(t, path)
	for _, want := range []string{"<option selected>refuse the edit", "<option>edit all the same", "look first"} {
		if !strings.Contains(body, want) {
			t.Errorf("no %q in:\n%s", want, body)
		}
	}
	for _, force := range []string{"", "&force=refuse+the+edit", "&force=edit+all+the+same"} {
		if resp := (signedIn{}).post(t, path, "request={}&reason=why"+force); resp.StatusCode != http.StatusOK {
			t.Errorf("%q: %s", force, resp.Status)
		}
	}
	const edit = "edit checkout/1042 capture {}, forced: "
	if done := strings.Join(w.asked(), ";"); done != edit+"false;"+edit+"false;"+edit+"true" {
		t.Errorf("done: %s", done)
	}
}

// TestRevoked takes a token away: pages lead to the door at once, and a page
// that is kept up to date ends.
func TestRevoked(t *testing.T) {
	tokens := console.Tokens{Path: t.TempDir() + "/tokens.json"}
	c := newWorld().serve(t, console.Options{Address: "0.0.0.0:0", Tokens: tokens.Path})
	at := "http://127.0.0.1" + c.Address()[strings.LastIndex(c.Address(), ":"):]
	for name, change := range map[string]func() error{
		"revoked":  func() error { return tokens.Remove("ada") },
		"replaced": func() error { _, err := tokens.Add("ada", "viewer", 1<<40); return err },
	} {
		token, err := tokens.Add("ada", "admin", 1<<40)
		if err != nil {
			t.Fatal(err)
		}
		jar := signIn(t, at, token)
		live := jar.ask(t, http.MethodGet, at+"/live?at=/overview", "")
		defer live.Body.Close()
		if live.Header.Get("Content-Type") != "text/event-stream" {
			t.Fatalf("%s: no stream: %s", name, live.Status)
		}
		if err := change(); err != nil {
			t.Fatal(err)
		}
		resp := jar.ask(t, http.MethodGet, at+"/overview", "")
		_ = resp.Body.Close()
		if resp.Request.URL.Path != "/sign-in" {
			t.Errorf("%s: %s %s", name, resp.Request.URL, resp.Status)
		}
		if _, err := io.Copy(io.Discard, live.Body); err != nil { // to its end, which the test waits for
			t.Errorf("%s: %v", name, err)
		}
	}
}

type signedIn struct{ cookie *http.Cookie }

func signIn(t *testing.T, at, token string) signedIn {
	t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Post(at+"/sign-in", "application/x-www-form-urlencoded", strings.NewReader("token="+token))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	cookies := resp.Cookies()
	if len(cookies) == 0 {
		return signedIn{}
	}
	if c := cookies[0]; !c.HttpOnly || c.SameSite != http.SameSiteStrictMode {
		t.Errorf("cookie %v", c)
	}
	return signedIn{cookies[0]}
}

func (s signedIn) post(t *testing.T, url, form string) *http.Response {
	t.Helper()
	resp := s.ask(t, http.MethodPost, url, form)
	_ = resp.Body.Close()
	return resp
}

func (s signedIn) ask(t *testing.T, method, url, form string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(form))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if s.cookie != nil {
		r.AddCookie(s.cookie)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}
