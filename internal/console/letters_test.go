package console_test

import (
	"html"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/gowarren/warren/internal/console"
)

// TestLettersOfOneCause replays those that died for the same reason, oldest
// first, and leaves the others of the same event alone.
func TestLettersOfOneCause(t *testing.T) {
	w := newWorld()
	at := "http://" + w.serve(t, console.Options{}).Address()
	_, page := get(t, at+"/letters")
	const why = `customer # has no address`
	if page = html.UnescapeString(page); !strings.Contains(page, why) || !strings.Contains(page, `send mail to customer #: connect to "…"`) {
		t.Errorf("causes:\n%s", page)
	}
	replay := at + "/letters/replay?" + url.Values{"of": {"notification"}, "topic": {someTopic}, "why": {why}}.Encode()
	_, form := get(t, replay)
	form = html.UnescapeString(form)
	for _, want := range []string{"Replay 2 letters of notification", "They have in common: " + why, "L5 1042: customer 4705 has no address"} {
		if !strings.Contains(form, want) {
			t.Errorf("no %q in\n%s", want, form)
		}
	}
	if done := w.asked(); len(done) != 0 {
		t.Errorf("asking did %v", done)
	}
	resp := (signedIn{}).post(t, replay, "reason=they+have+one+now")
	if done := strings.Join(w.asked(), ";"); resp.StatusCode != http.StatusOK || done != "replay notification L5;replay notification L4" {
		t.Errorf("%s: %s", resp.Status, done)
	}
	for _, letter := range []string{"L5", "L4"} {
		if log := w.logged(); !strings.Contains(log, `"action":"replay","target":"notification letter `+letter+`","reason":"they have one now"`) {
			t.Errorf("the audit does not say that %s was one:\n%s", letter, log)
		}
	}
}
