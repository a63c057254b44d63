package frame

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Notice is what every page says for as long as it is so.
type Notice struct {
	// ID tells it from others, also in the page.
	ID string
	// Title and Text say what it is, By who began it.
	Title, Text, By string
	// Until is when it ends by itself.
	Until time.Time
	// More leads to all of it, End ends it: for those who have the role Needs.
	More, End Link
	Needs     Role
}

const (
	// noticeEvery is how soon open pages hear of a notice, and of its end.
	noticeEvery = 2 * time.Second
	// noticeFresh is how long an answer serves all who look.
	noticeFresh = time.Second
	// noticePatience bounds the question: no page waits longer for it.
	noticePatience = time.Second
	// mostNotices are shown one by one; of more it is said how many there are.
	mostNotices = 3
)

// board keeps the notices for all pages and streams: however many look, they
// are asked for once in a while.
type board struct {
	ask func(context.Context) ([]Notice, error)

	mu    sync.Mutex
	all   []Notice
	asked time.Time
}

// now are the notices; those that were known, as far as their time is not over,
// where nobody answers.
func (b *board) now(ctx context.Context) []Notice {
	if b.ask == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if time.Since(b.asked) >= noticeFresh {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noticePatience)
		defer cancel()
		if all, err := b.ask(ctx); err == nil {
			b.all = all
		}
		b.asked = time.Now()
	}
	var out []Notice
	for _, n := range b.all {
		if n.Until.After(time.Now()) {
			out = append(out, n)
		}
	}
	return out
}

// forget has the next one who looks ask: somebody changed something.
func (b *board) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked = time.Time{}
}

// noticesView is what the template of notices sees.
type noticesView struct {
	*Request
	All []Notice
}

// Shown are the notices that are told one by one.
func (v noticesView) Shown() []Notice { return v.All[:min(mostNotices, len(v.All))] }

// More is how many others there are.
func (v noticesView) More() int { return max(0, len(v.All)-mostNotices) }

// Key changes when what is told does, and not with the time that is left.
func (v noticesView) Key() string {
	var out []string
	for _, n := range v.All {
		out = append(out, n.ID)
	}
	return strings.Join(out, " ")
}

// Spoken is what a screen reader says when the key changes.
func (v noticesView) Spoken() string {
	var out []string
	for _, n := range v.Shown() {
		out = append(out, n.Title+" "+n.Text+", until "+n.Until.Local().Format(time.TimeOnly))
	}
	return strings.Join(out, ". ")
}

// Left is how long a notice holds yet, in whole seconds; scripts count on.
func (v noticesView) Left(n Notice) time.Duration {
	return max(0, n.Until.Sub(v.Now).Round(time.Second))
}

// Where leads to what the notices are about.
func (v noticesView) Where() Link { return v.All[0].More }

// Ends tells whether the caller may end it.
func (v noticesView) Ends(n Notice) bool { return n.End.Href != "" && v.Caller.Role >= n.Needs }

// Notices are what the page says beside what it is about.
func (v *view) Notices() any { return noticesView{v.Request, v.Frame.board.now(v.Context())} }

// notices draws them for a stream, with a sum of what does not pass with time.
func (f *Frame) notices(r *http.Request) (text, sum string, err error) {
	v := noticesView{f.request(r, &Page{Name: "notices"}), f.board.now(r.Context())}
	var out bytes.Buffer
	if err := f.templates["nowhere"].ExecuteTemplate(&out, "notices", v); err != nil {
		return "", "", err
	}
	var lasting strings.Builder
	for _, n := range v.All {
		fmt.Fprintln(&lasting, n.ID, n.Text, n.By, n.Until.UnixNano())
	}
	return out.String(), lasting.String(), nil
}
