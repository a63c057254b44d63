package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/store"
	"github.com/gowarren/warren/store/storetest"
)

// gateway stands for the gateway: what the test says about each route, and 404
// for the others. It notes what was asked.
type gateway struct {
	mu     sync.Mutex
	routes map[string]func(*http.Request) (int, any) // by method and path
	asked  []asked
}

type asked struct {
	method, path, body, key, token, request, address string
}

func newGateway() *gateway { return &gateway{routes: map[string]func(*http.Request) (int, any){}} }

// answer makes a route answer with a message, or with a text.
func (g *gateway) answer(route string, status int, with any) {
	g.do(route, func(*http.Request) (int, any) { return status, with })
}

func (g *gateway) do(route string, f func(*http.Request) (int, any)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.routes[route] = f
}

func refusal(reason, detail string) string {
	return fmt.Sprintf(`{"status": 400, "reason": %q, "detail": %q}`, reason, detail)
}

// RoundTrip answers as the gateway would.
func (g *gateway) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
	}
	g.mu.Lock()
	g.asked = append(g.asked, asked{
		r.Method, r.URL.Path, string(body), r.Header.Get("Idempotency-Key"), r.Header.Get("Authorization"), r.Header.Get("X-Request-Id"), r.Header.Get("X-Forwarded-For"),
	})
	route, ok := g.routes[r.Method+" "+r.URL.Path]
	g.mu.Unlock()
	w := httptest.NewRecorder()
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, refusal("NO_ROUTE", "there is nothing here"))
		return w.Result(), nil
	}
	status, with := route(r)
	if status == 0 {
		return nil, errNoGateway
	}
	w.Header().Set("Retry-After", "7")
	w.WriteHeader(status)
	switch with := with.(type) {
	case proto.Message:
		text, err := protojson.Marshal(with)
		if err != nil {
			return nil, err
		}
		_, _ = w.Write(text)
	case string:
		_, _ = io.WriteString(w, with)
	}
	return w.Result(), nil
}

var errNoGateway = errors.New("no gateway")

// times is how often something was asked.
func (g *gateway) times(method, path string) (n int, last asked) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, a := range g.asked {
		if a.method == method && a.path == path {
			n, last = n+1, a
		}
	}
	return n, last
}

// site is a storefront with a browser before it.
type site struct {
	t       *testing.T
	gateway *gateway
	shop    *shop
	url     string
	browser *http.Client
}

func openSessions(t testing.TB, address string) *sessions {
	t.Helper()
	db, err := store.Open(t.Context(), address, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	if err := db.Migrate(t.Context(), migrations); err != nil {
		t.Fatal(err)
	}
	return &sessions{db: db, keep: func() time.Duration { return time.Hour }, now: time.Now}
}

func newSite(t *testing.T) *site {
	t.Helper()
	from, err := config.New(config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(from.Close)
	s := &site{t: t, gateway: newGateway()}
	if s.shop, err = newShop(s.gateway, watchSettings(from), nil, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.shop.front.kept.Close)
	s.shop.sessions = openSessions(t, storetest.SQLite(t))
	s.shop.tokens = &tokens{sessions: s.shop.sessions, api: s.shop.api, log: s.shop.log, now: time.Now}
	mux := http.NewServeMux()
	s.shop.routes(mux.Handle)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	s.url = server.URL
	s.browser = s.newBrowser()
	return s
}

func (s *site) newBrowser() *http.Client {
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// page is an answer of the site.
type page struct {
	status int
	header http.Header
	text   string
}

func (s *site) get(path string, header ...string) page {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.url+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.send(r, header...)
}

func (s *site) send(r *http.Request, header ...string) page {
	s.t.Helper()
	r.Header.Set("X-Request-Id", "request-1")
	r.Header.Set("X-Forwarded-For", "192.0.2.7")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := s.browser.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return page{resp.StatusCode, resp.Header, string(text)}
}

var csrfField = regexp.MustCompile(`name="csrf" value="([^"]+)"`)

// post sends a form, as the page at from has it.
func (s *site) post(from, path string, form url.Values, header ...string) page {
	s.t.Helper()
	if form.Get("csrf") == "" {
		m := csrfField.FindStringSubmatch(s.get(from).text)
		if m == nil {
			s.t.Fatalf("the page %s has no form", from)
		}
		form.Set("csrf", m[1])
	}
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", s.url)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return s.send(r, header...)
}

// has wants texts on a page.
func (p page) has(t *testing.T, status int, texts ...string) {
	t.Helper()
	if p.status != status {
		t.Errorf("answered %d, want %d: %s", p.status, status, p.text)
	}
	for _, text := range texts {
		if !strings.Contains(p.text, text) {
			t.Errorf("the page says nothing of %q:\n%s", text, p.text)
		}
	}
}

// goes wants the page to send the visitor on.
func (p page) goes(t *testing.T, to string) {
	t.Helper()
	if p.status != http.StatusSeeOther || p.header.Get("Location") != to {
		t.Errorf("answered %d to %q, want to go to %q: %s", p.status, p.header.Get("Location"), to, p.text)
	}
}

func decode(t *testing.T, text string) map[string]any {
	t.Helper()
	var out map[string]any
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return out
}
