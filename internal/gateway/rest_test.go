package gateway

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
)

func TestUnary(t *testing.T) {
	w := up(t, nil)
	staff := "Bearer " + w.issuer.token(t, "sam", "library", time.Minute, "staff")
	cases := []struct {
		name, method, path, body string
		headers                  []string
		status                   int
		want                     string
	}{
		{"get", "GET", "/v1/books/978", "", nil, 200, `{"isbn":"978","title":"from a","version":"7"}`},
		{"escaped", "GET", "/v1/books/a%20b", "", nil, 200, `{"isbn":"a b",`},
		{"second binding", "GET", "/v1/shelves/x/books/1", "", nil, 200, `{"isbn":"1",`},
		{"query", "GET", "/v1/books?genre=GENRE_POETRY&tags=a&tags=b", "", nil, 200, `{"books":[{"isbn":"1","genre":"GENRE_POETRY","tags":["a","b"]}]}`},
		{"response body", "GET", "/v1/bare-books", "", nil, 200, `[{"isbn":"1"}]`},
		{"post", "POST", "/v1/books", `{"title":"T"}`, []string{"Idempotency-Key", "k1", "X-Request-Id", "r1"}, 200, `{"title":"T","labels":{"client":"127.0.0.1","key":"k1","request":"r1"}}`},
		{"patch", "PATCH", "/v1/books/5", `{"title":"T"}`, []string{"Authorization", staff}, 200, `{"isbn":"5","title":"T","tags":["title"]}`},
		{"delete", "DELETE", "/v1/books/5", "", []string{"Authorization", staff}, 200, `{}`},
		{"verb", "POST", "/v1/books/5:borrow", `{"days":3}`, []string{"Authorization", staff}, 200, `{"borrower":"sam"}`},
		{"raw", "GET", "/v1/books/5/cover", "", nil, 200, "\x89PNG"},
		{"raw body", "PUT", "/v1/books/5/cover", "\x89PNG", []string{"Content-Type", "image/png"}, 200, `{}`},
		{"rest of the path", "GET", "/v1/files/a/b/c.txt", "", nil, 200, `{"request":{"text":"a/b/c.txt"}}`},

		{"no route", "GET", "/v2/books", "", nil, 404, `"NO_ROUTE"`},
		{"not found", "GET", "/v1/books/none", "", nil, 404, `"detail":"no such book"`},
		{"wrong method", "PUT", "/v1/books/1", "{}", nil, 405, `"METHOD_NOT_ALLOWED"`},
		{"unknown parameter", "GET", "/v1/books?page=1", "", nil, 400, `"field":"page"`},
		{"unknown field", "POST", "/v1/books", `{"titel":"T"}`, []string{"Idempotency-Key", "k"}, 400, `"field":"book.titel"`},
		{"validated by the service", "POST", "/v1/books", `{"title":""}`, []string{"Idempotency-Key", "k"}, 400, `"field":"book.title"`},
		{"trailing garbage", "POST", "/v1/books", `{"title":"T"} {}`, []string{"Idempotency-Key", "k"}, 400, `not valid JSON`},
		{"no idempotency key", "POST", "/v1/books", `{"title":"T"}`, nil, 400, `"field":"Idempotency-Key"`},
		{"bad idempotency key", "POST", "/v1/books", `{"title":"T"}`, []string{"Idempotency-Key", "a b"}, 400, `"field":"Idempotency-Key"`},
		{"media type", "POST", "/v1/books", `a=b`, []string{"Idempotency-Key", "k", "Content-Type", "application/x-www-form-urlencoded"}, 415, `UNSUPPORTED_MEDIA_TYPE`},
		{"body on a get", "GET", "/v1/books", `{}`, nil, 400, `takes no body`},
		{"panic in the service", "GET", "/v1/books/panic", "", nil, 500, `"INTERNAL"`},
		{"bad timeout", "GET", "/v1/books/1", "", []string{"X-Request-Timeout", "soon"}, 400, `"field":"X-Request-Timeout"`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := w.do(c.method, c.path, c.body, c.headers...)
			if got.status != c.status || !strings.Contains(got.body, c.want) {
				t.Fatalf("%d %s", got.status, got.body)
			}
			if c.status >= 400 && (got.header.Get("Content-Type") != "application/problem+json" || got.json(t)["request_id"] != got.header.Get("X-Request-Id")) {
				t.Errorf("no proper problem: %v %s", got.header, got.body)
			}
		})
	}
	if allow := w.do("PUT", "/v1/books/1", "{}").header.Get("Allow"); allow != "DELETE, GET, HEAD, OPTIONS, PATCH" {
		t.Errorf("Allow: %s", allow)
	}
	if got := w.do("OPTIONS", "/v1/books", ""); got.status != 204 || got.header.Get("Allow") != "GET, HEAD, OPTIONS, POST" {
		t.Errorf("OPTIONS: %d %v", got.status, got.header)
	}
	if got := w.do("HEAD", "/v1/books/1", ""); got.status != 200 || got.body != "" || got.header.Get("Content-Length") == "" {
		t.Errorf("HEAD: %d %v", got.status, got.header)
	}
}

func TestAccess(t *testing.T) {
	w := up(t, nil)
	other := newIssuer(t)
	token := func(audience string, life time.Duration, roles ...string) string {
		return "Bearer " + w.issuer.token(t, "ann", audience, life, roles...)
	}
	good := token("library", time.Minute, "customer")
	const borrow, remove = "POST /v1/books/1:borrow", "DELETE /v1/books/1"
	cases := []struct {
		name, call, authorization string
		status                    int
	}{
		{"nobody", borrow, "", 401},
		{"a user", borrow, good, 200},
		{"wrong role", remove, good, 403},
		{"right role", remove, token("library", time.Minute, "customer", "staff"), 200},
		{"nobody for a role", remove, "", 401},
		{"expired", borrow, token("library", -time.Hour), 401},
		{"wrong audience", borrow, token("elsewhere", time.Minute), 401},
		{"unknown key", borrow, "Bearer " + other.token(t, "ann", "library", time.Minute), 401},
		{"tampered", borrow, good[:len(good)-20] + "AAAA" + good[len(good)-16:], 401},
		{"unsigned", borrow, "Bearer eyJhbGciOiJub25lIn0." + strings.Split(good, ".")[1] + ".", 401},
		{"huge", borrow, "Bearer " + strings.Repeat("a.", 8000), 401},
		{"basic", borrow, "Basic YTpi", 401},
		{"bad token where none is needed", "GET /v1/books/1", "Bearer x", 401},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			method, path, _ := strings.Cut(c.call, " ")
			var headers []string
			if c.authorization != "" {
				headers = []string{"Authorization", c.authorization}
			}
			got := w.do(method, path, "", headers...)
			if got.status != c.status {
				t.Fatalf("%d %s", got.status, got.body)
			}
			if c.status == 401 && got.header.Get("WWW-Authenticate") != "Bearer" {
				t.Error("401 does not say how to sign in")
			}
		})
	}
	if got := w.do("POST", "/v1/books/1:borrow", "", "Authorization", good, "Authorization", good); got.status != 400 {
		t.Errorf("two tokens: %d", got.status)
	}
	if strings.Contains(w.log.String(), strings.Split(good, ".")[2]) {
		t.Error("a token is in the log")
	}
}

func TestRateLimits(t *testing.T) {
	w := up(t, map[string]string{})
	ann := "Bearer " + w.issuer.token(t, "ann", "library", time.Minute)
	bob := "Bearer " + w.issuer.token(t, "bob", "library", time.Minute)
	borrow := func(who string) answer { return w.do("POST", "/v1/books/1:borrow", "", "Authorization", who) }
	for i := range 2 {
		if got := borrow(ann); got.status != 200 || got.header.Get("RateLimit-Limit") != "2" || got.header.Get("RateLimit-Remaining") != []string{"1", "0"}[i] {
			t.Fatalf("%d %v", got.status, got.header)
		}
	}
	got := borrow(ann)
	if got.status != 429 || got.header.Get("Retry-After") == "" || got.json(t)["reason"] != "RATE_LIMITED" {
		t.Fatalf("%d %v %s", got.status, got.header, got.body)
	}
	if got := borrow(bob); got.status != 200 {
		t.Errorf("another user is limited too: %d", got.status)
	}
	signIn := func(number string) int {
		return w.do("POST", "/v1/sessions", `{"card":{"number":"`+number+`"}}`).status
	}
	if a, b, c, d := signIn("1"), signIn("1"), signIn("1"), signIn("2"); a != 200 || b != 200 || c != 429 || d != 200 {
		t.Errorf("limit by field: %d %d %d %d", a, b, c, d)
	}
}

// Who guesses tokens is stopped before each is looked at.
func TestBadTokensCountTowardsTheLimitOfTheirAddress(t *testing.T) {
	w := up(t, map[string]string{"gateway.rate.address.requests": "20", "gateway.rate.address.per": "1h"})
	var got []int
	for range 21 {
		got = append(got, w.get("/v1/books/1", "Authorization", "Bearer made-up").status)
	}
	if got[0] != 401 || got[20] != 429 || len(slices.Compact(got)) != 2 {
		t.Errorf("%v, want some 401, then 429 alone", got)
	}
}

func TestLimitsOfSize(t *testing.T) {
	w := up(t, map[string]string{"gateway.limit.body": "1000", "gateway.limit.header": "2000"})
	big := `{"title":"` + strings.Repeat("x", 2000) + `"}`
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = z.Write([]byte(`{"title":"` + strings.Repeat("x", 1_000_000) + `"}`))
	_ = z.Close()
	if zipped.Len() > 2000 {
		t.Fatal("the bomb is too large on the wire to prove anything")
	}
	post := func(body string, headers ...string) int {
		return w.do("POST", "/v1/books", body, append(headers, "Idempotency-Key", "k")...).status
	}
	if got := post(big); got != 413 {
		t.Errorf("content length: %d", got)
	}
	if got := post(zipped.String(), "Content-Encoding", "gzip"); got != 413 {
		t.Errorf("gzip: %d", got)
	}
	r, err := http.NewRequest("POST", w.url+"/v1/books", io.MultiReader(strings.NewReader(big)))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Idempotency-Key", "k")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != 413 {
		t.Errorf("chunked: %d", resp.StatusCode)
	}
	zipped.Reset()
	z.Reset(&zipped)
	_, _ = z.Write([]byte(`{"title":"T"}`))
	_ = z.Close()
	if got := post(zipped.String(), "Content-Encoding", "gzip"); got != 200 {
		t.Errorf("small gzip: %d", got)
	}
	if got := post("x", "Content-Encoding", "br"); got != 415 {
		t.Errorf("unknown encoding: %d", got)
	}
	if got := w.get("/v1/books/1", "X-Long", strings.Repeat("x", 3000)).status; got != 431 {
		t.Errorf("header: %d", got)
	}
}

func TestAnswers(t *testing.T) {
	w := up(t, nil)
	got := w.get("/v1/books/1")
	tag := got.header.Get("ETag")
	if tag == "" || got.header.Get("Cache-Control") != "public, max-age=60" {
		t.Fatalf("%v", got.header)
	}
	if again := w.get("/v1/books/1", "If-None-Match", `"x", `+tag); again.status != 304 || again.body != "" {
		t.Errorf("%d %q", again.status, again.body)
	}
	if other := w.get("/v1/books/2", "If-None-Match", tag); other.status != 200 {
		t.Errorf("%d", other.status)
	}
	long := w.get("/v1/books/long", "Accept-Encoding", "br, gzip;q=0.5")
	z, err := gzip.NewReader(strings.NewReader(long.body))
	if err != nil {
		t.Fatal(err)
	}
	if raw, err := io.ReadAll(z); err != nil || !bytes.HasPrefix(raw, []byte(`{"title":"long `)) || long.header.Get("Vary") != "Accept-Encoding" {
		t.Errorf("%v %v", long.header, err)
	}
	if plain := w.get("/v1/books/long", "Accept-Encoding", "gzip;q=0"); plain.header.Get("Content-Encoding") != "" {
		t.Error("compressed against the client's will")
	}
	secret := w.do("POST", "/v1/sessions", `{}`, "Accept-Encoding", "gzip")
	if secret.header.Get("Content-Encoding") != "" || secret.header.Get("Cache-Control") != "no-store" {
		t.Errorf("a secret is compressed or stored: %v", secret.header)
	}
}

func TestDeadlineTravels(t *testing.T) {
	w := up(t, nil)
	// A deadline so long after the request is the right one, however long the
	// request itself took.
	check := func(want time.Duration, headers ...string) {
		t.Helper()
		sent := time.Now()
		got := w.get("/v1/books/deadline", headers...)
		published, err := time.Parse(time.RFC3339Nano, got.json(t)["published"].(string))
		if err != nil {
			t.Fatal(err)
		}
		const rounded = 100 * time.Millisecond
		if published.Before(sent.Add(want-rounded)) || published.After(time.Now().Add(want+rounded)) {
			t.Errorf("%v became %v", want, time.Until(published))
		}
	}
	check(5 * time.Second)
	check(4*time.Second, "X-Request-Timeout", "4s")
	if got := w.get("/v1/books/slow", "X-Request-Timeout", "50ms"); got.status != 504 {
		t.Errorf("%d %s", got.status, got.body)
	}
}

func TestClientWhoLeavesCancelsTheCall(t *testing.T) {
	w := up(t, nil)
	ctx, cancel := context.WithCancel(context.Background())
	r, err := http.NewRequestWithContext(ctx, "GET", w.url+"/v1/books/slow", nil)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		resp, err := http.DefaultClient.Do(r)
		if err == nil {
			_ = resp.Body.Close()
		}
		done <- err
	}()
	<-w.library.entered
	cancel()
	<-done
	if err := <-w.library.left; !errors.Is(err, context.Canceled) {
		t.Errorf("the service saw %v", err)
	}
	w.eventually("counted as 499", func() bool { return w.count("/v1/books/{isbn}", "499") == 1 })
	w.eventually("logged as 499", func() bool { return strings.Contains(w.log.String(), `"status":499`) })
	if w.count("/v1/books/{isbn}", "503") != 0 || w.count("/v1/books/{isbn}", "500") != 0 {
		t.Error("the client's leaving counts as an error")
	}
}

// count is how many requests a route has answered with a status.
func (w *world) count(route, status string) int {
	w.t.Helper()
	n := 0
	for _, h := range w.durations(route, status) {
		n += int(h.GetSampleCount())
	}
	return n
}

// took is how long all requests of a route took together, in seconds.
func (w *world) took(route string) (sum float64) {
	w.t.Helper()
	for _, h := range w.durations(route, "") {
		sum += h.GetSampleSum()
	}
	return sum
}

// durations are the histograms of a route, of one status or of all.
func (w *world) durations(route, status string) (out []*dto.Histogram) {
	w.t.Helper()
	families, err := w.metrics.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "http_server_request_duration_seconds" {
			continue
		}
		for _, m := range f.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			if labels["http_route"] == route && (status == "" || labels["http_response_status_code"] == status) {
				out = append(out, m.GetHistogram())
			}
		}
	}
	return out
}
