package gateway

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestServerStream(t *testing.T) {
	w := up(t, nil)
	sse := w.get("/v1/books:watch?count=2", "Accept", "text/event-stream")
	if sse.status != 200 || sse.header.Get("Content-Type") != "text/event-stream" ||
		sse.body != "id: 1\nevent: message\ndata: {\"sequence\":\"1\"}\n\nid: 2\nevent: message\ndata: {\"sequence\":\"2\"}\n\nevent: end\ndata: {}\n\n" {
		t.Errorf("%v %q", sse.header, sse.body)
	}
	lines := w.get("/v1/books:watch?count=2")
	if lines.header.Get("Content-Type") != "application/x-ndjson" || lines.body != "{\"sequence\":\"1\"}\n{\"sequence\":\"2\"}\n" {
		t.Errorf("%v %q", lines.header, lines.body)
	}
	if early := w.get("/v1/books:watch?fail_with=lost"); early.status != 404 || !strings.Contains(early.body, `"detail":"lost"`) {
		t.Errorf("%d %s", early.status, early.body)
	}
	if late := w.get("/v1/books:watch?count=1&fail_with=lost", "Accept", "text/event-stream"); late.status != 200 ||
		!strings.Contains(late.body, "event: error\ndata: {\"type\":\"about:blank\",\"title\":\"Not Found\",\"status\":404,\"detail\":\"lost\"") {
		t.Errorf("%d %s", late.status, late.body)
	}
	if bad := w.get("/v1/books:watch?count=x"); bad.status != 400 {
		t.Errorf("%d %s", bad.status, bad.body)
	}
}

// open starts a stream and returns its lines.
func (w *world) open(ctx context.Context, path string) (*bufio.Scanner, func()) {
	w.t.Helper()
	r, err := http.NewRequestWithContext(ctx, "GET", w.url+path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Accept", "text/event-stream")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	return bufio.NewScanner(resp.Body), func() { _ = resp.Body.Close() }
}

func TestStreamLivesAndEndsWithItsClient(t *testing.T) {
	w := up(t, map[string]string{"gateway.stream.heartbeat": "20ms"})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	asked := time.Now()
	lines, closeBody := w.open(ctx, "/v1/books:watch?count=1&fail_with=never")
	defer closeBody()
	answered := time.Since(asked)
	<-w.library.entered
	alive := 0
	for alive < 3 && lines.Scan() {
		if lines.Text() == ": alive" {
			alive++
		}
	}
	cancel()
	if err := <-w.library.left; !errors.Is(err, context.Canceled) {
		t.Errorf("the service saw %v", err)
	}
	w.eventually("counted as 499", func() bool { return w.count("/v1/books:watch", "499") == 1 })
	// How long somebody listened says nothing of who serves.
	if took := w.took("/v1/books:watch"); took > answered.Seconds() {
		t.Errorf("the stream took %v s, and began within %v", took, answered)
	}
}

func TestDrainEndsStreamsAndFinishesRequests(t *testing.T) {
	w := up(t, nil)
	lines, closeBody := w.open(context.Background(), "/v1/books:watch?count=1&fail_with=never")
	defer closeBody()
	<-w.library.entered
	slow := make(chan int, 1)
	go func() { slow <- w.get("/v1/books/slow").status }()
	<-w.library.entered
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	drained := make(chan error, 1)
	go func() { drained <- w.gateway.Drain(ctx) }()
	w.eventually("not ready", func() bool { return w.gateway.Ready(ctx) != nil })
	close(w.library.block)
	if status := <-slow; status != 200 {
		t.Errorf("a request was lost: %d", status)
	}
	w.gateway.stopStreams()
	var body strings.Builder
	for lines.Scan() {
		body.WriteString(lines.Text() + "\n")
	}
	if !strings.Contains(body.String(), `"reason":"DRAINING"`) {
		t.Errorf("the stream was not told: %q", body.String())
	}
	if err := <-drained; err != nil {
		t.Error(err)
	}
}

func TestClientStream(t *testing.T) {
	w := up(t, map[string]string{"gateway.limit.body": "1000"})
	send := func(body string) answer {
		return w.do("POST", "/v1/books:import", body, "Content-Type", "application/x-ndjson")
	}
	many := strings.Repeat("{\"book\":{\"title\":\"T\"}}\n", 500)
	if got := send(many); got.status != 200 || got.body != `{"imported":500}` {
		t.Errorf("%d %s", got.status, got.body)
	}
	if got := send("{\"book\":{\"title\":\"T\"}}\n\n{\"book\":{\"titel\":1}}\n"); got.status != 400 || !strings.Contains(got.body, `{"field":"book.titel","description":"line 3: unknown field \"titel\""}`) {
		t.Errorf("%d %s", got.status, got.body)
	}
	if got := send(`{"book":{"title":"` + strings.Repeat("x", 2000) + `"}}`); got.status != 413 {
		t.Errorf("%d %s", got.status, got.body)
	}
}

func TestChat(t *testing.T) {
	w := up(t, nil)
	in, out := io.Pipe()
	r, err := http.NewRequest("POST", w.url+"/v1/chat", in)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-ndjson")
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	lines := bufio.NewScanner(resp.Body)
	for _, text := range []string{"a", "b"} { // each answer comes before the next question
		if _, err := io.WriteString(out, `{"text":"`+text+"\"}\n"); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() && lines.Text() == "" { // signs of life
		}
		if lines.Text() != `{"text":"re: `+text+`"}` {
			t.Fatalf("%q %v", lines.Text(), lines.Err())
		}
	}
	_ = out.Close()
	if lines.Scan() {
		t.Errorf("more: %q", lines.Text())
	}
}
