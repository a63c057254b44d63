package frame

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// heartbeat tells a browser, and what is between, that the stream is alive.
const heartbeat = 15 * time.Second

// live sends a page again whenever it has changed, as server-sent events.
func (f *Frame) live(w http.ResponseWriter, r *http.Request) {
	at, err := url.Parse(ownPath(r.URL.Query().Get("at")))
	if err != nil {
		http.Error(w, "no such page", http.StatusBadRequest)
		return
	}
	again := r.Clone(r.Context())
	again.URL, again.RequestURI = at, at.RequestURI()
	again.Header.Set("X-Fragment", "inside")
	every := f.liveEvery(again)
	if every == 0 {
		w.WriteHeader(http.StatusNoContent) // which ends the browser's attempts
		return
	}
	select {
	case f.lives <- struct{}{}:
		defer func() { <-f.lives }()
	default:
		http.Error(w, "too many pages are kept up to date", http.StatusServiceUnavailable)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no")
	f.stream(w, again, every)
}

func (f *Frame) stream(w http.ResponseWriter, again *http.Request, every time.Duration) {
	out := http.NewResponseController(w)
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	var last uint64
	sent := time.Now()
	if _, err := fmt.Fprint(w, "retry: 2000\n\n"); err != nil || out.Flush() != nil {
		return
	}
	for {
		select {
		case <-ticker.C:
		case <-f.done:
			return
		case <-again.Context().Done():
			return
		}
		if !f.still(again) {
			return
		}
		page := &recorder{header: http.Header{}}
		f.pages.ServeHTTP(page, again)
		sum := fnv.New64a()
		_, _ = sum.Write(page.body.Bytes())
		text := ": still here\n\n"
		if now := sum.Sum64(); now != last {
			last = now
			text = event(page.body.String())
		} else if time.Since(sent) < heartbeat {
			continue
		}
		if _, err := fmt.Fprint(w, text); err != nil || out.Flush() != nil {
			return
		}
		sent = time.Now()
	}
}

// event writes text as one event of several lines.
func event(text string) string {
	return "event: page\ndata: " + strings.ReplaceAll(strings.ReplaceAll(text, "\r", ""), "\n", "\ndata: ") + "\n\n"
}

// liveEvery is how often the page of the request is renewed.
func (f *Frame) liveEvery(r *http.Request) time.Duration {
	_, pattern := f.pages.Handler(r)
	for _, p := range f.opts.Pages {
		if "GET "+p.Path == pattern {
			return p.Live
		}
	}
	return 0
}

// recorder keeps a page in memory.
type recorder struct {
	header http.Header
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) Write(p []byte) (int, error) { return r.body.Write(p) }
func (r *recorder) WriteHeader(int)             {}
