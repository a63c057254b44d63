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

// headerRenewal marks what a stream asks for by itself.
const headerRenewal = "X-Renewal"

// Renewal tells whether nobody asked, and the page is only kept up to date.
func (r *Request) Renewal() bool { return r.Header.Get(headerRenewal) != "" }

// live sends the notices, and a page again, whenever they have changed, as
// server-sent events. Of a page that does not renew itself, or that somebody has
// paused, only the notices come.
func (f *Frame) live(w http.ResponseWriter, r *http.Request) {
	at, err := url.Parse(ownPath(r.URL.Query().Get("at")))
	if err != nil {
		http.Error(w, "no such page", http.StatusBadRequest)
		return
	}
	again := r.Clone(r.Context())
	again.URL, again.RequestURI = at, at.RequestURI()
	again.Header.Set("X-Fragment", "inside")
	again.Header.Set(headerRenewal, "1")
	every := f.liveEvery(again)
	if r.URL.Query().Get("only") == "notices" {
		every = 0
	}
	if every == 0 && f.opts.Notices == nil {
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
	out := http.NewResponseController(w)
	if err := out.SetReadDeadline(time.Time{}); err != nil { // that of the request, which would end the stream
		http.Error(w, "no stream", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no")
	s := &stream{frame: f, again: again, every: every, w: w, out: out, last: map[string]uint64{}, sent: time.Now()}
	if every > 0 {
		var leave func()
		s.drawn, leave = f.renewals.join(again)
		defer leave()
	}
	if s.write("retry: 2000\n\n") == nil {
		s.run()
	}
}

// stream is one browser's, until it goes on to another page.
type stream struct {
	frame *Frame
	again *http.Request
	every time.Duration
	drawn *renewal // the page, for all who look at the same; nil where it is not renewed
	w     http.ResponseWriter
	out   *http.ResponseController
	last  map[string]uint64 // what was sent, by the name of the event
	sent  time.Time
}

// run sends the notices at once: much may have happened since the page was drawn.
func (s *stream) run() {
	var pages <-chan time.Time
	if s.every > 0 {
		ticker := time.NewTicker(s.every)
		defer ticker.Stop()
		pages = ticker.C
	}
	notices := time.NewTicker(noticeEvery)
	defer notices.Stop()
	next := s.notices
	for next() == nil {
		select {
		case <-pages:
			next = s.page
		case <-notices.C:
			next = s.notices
		case <-s.frame.done:
			return
		case <-s.again.Context().Done():
			return
		}
		if !s.frame.still(s.again) {
			return
		}
	}
}

// page sends the page anew. Where it can't be had now, what is shown is kept, and
// said to be old.
func (s *stream) page() error {
	page := s.drawn.page(s.again.Context(), s.every/2, func() *recorder {
		out := &recorder{header: http.Header{}}
		s.frame.pages.ServeHTTP(out, s.again)
		return out
	})
	if page.status >= http.StatusInternalServerError && page.status != http.StatusNotImplemented {
		delete(s.last, "page") // which is sent again when it can be had, though it be the same
		return s.changed("trouble", "", "")
	}
	delete(s.last, "trouble")
	return s.changed("page", page.body.String(), page.body.String())
}

func (s *stream) notices() error {
	if s.frame.opts.Notices == nil {
		return nil
	}
	text, sum, err := s.frame.notices(s.again)
	if err != nil {
		return err
	}
	return s.changed("notices", text, sum)
}

// changed sends a text whose sum is another one than that which was sent, and
// tells from time to time that there was nothing to send.
func (s *stream) changed(name, text, sum string) error {
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(sum))
	last, known := s.last[name]
	switch now := hash.Sum64(); {
	case !known || now != last:
		s.last[name] = now
		return s.write(event(name, text))
	case time.Since(s.sent) < heartbeat:
		return nil
	}
	return s.write(": still here\n\n")
}

func (s *stream) write(text string) error {
	if _, err := fmt.Fprint(s.w, text); err != nil {
		return err
	}
	s.sent = time.Now()
	return s.out.Flush()
}

// event writes text as one event of several lines.
func event(name, text string) string {
	return "event: " + name + "\ndata: " + strings.ReplaceAll(strings.ReplaceAll(text, "\r", ""), "\n", "\ndata: ") + "\n\n"
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
	status int
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) Write(p []byte) (int, error) { return r.body.Write(p) }
func (r *recorder) WriteHeader(status int)      { r.status = status }
