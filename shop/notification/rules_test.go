package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	moneyv1 "github.com/gowarren/warren/shop/api/shop/money/v1"
	notificationv1 "github.com/gowarren/warren/shop/api/shop/notification/v1"
)

func TestAThingHasOneID(t *testing.T) {
	id := func(user string, kind notificationv1.Kind, order string, when time.Time) string {
		n, err := newNotification(user, kind, facts{Order: order}, when)
		if err != nil {
			t.Fatal(err)
		}
		return n.id
	}
	first := id("ada", notificationv1.Kind_ORDER_SHIPPED, "o1", at)
	if again := id("ada", notificationv1.Kind_ORDER_SHIPPED, "o1", at.Add(time.Hour)); again != first {
		t.Errorf("told again it is another: %s, %s", first, again)
	}
	for _, other := range []string{
		id("bob", notificationv1.Kind_ORDER_SHIPPED, "o1", at),
		id("ada", notificationv1.Kind_ORDER_DELIVERED, "o1", at),
		id("ada", notificationv1.Kind_ORDER_SHIPPED, "o2", at),
		id("adao1", notificationv1.Kind_ORDER_SHIPPED, "", at),
	} {
		if other == first {
			t.Error("two things have one id")
		}
	}
}

// TestEveryKindHasWords: a kind without a template would never be told.
func TestEveryKindHasWords(t *testing.T) {
	full := facts{Order: "o-77", Total: "GBP 2.55", Reason: "because", Tracking: "T1", Name: "Zoë"}
	for number, kindName := range notificationv1.Kind_name {
		if number == 0 {
			continue
		}
		kind := notificationv1.Kind(number)
		for _, f := range []facts{full, {Order: "o-77"}} {
			subject, text, html, err := letter(kind, f)
			if err != nil {
				t.Errorf("%s: %v", kindName, err)
				continue
			}
			if subject == "" || len(subject) > 200 || !strings.HasPrefix(text, "Hello") || !strings.Contains(html, "</html>") {
				t.Errorf("%s: %q, %q, %q", kindName, subject, text, html)
			}
			if kind != notificationv1.Kind_WELCOME && !strings.Contains(subject, "o-77") {
				t.Errorf("%s: the subject doesn't name the order: %s", kindName, subject)
			}
			if strings.Contains(subject+text+html, "<no value>") {
				t.Errorf("%s: something is missing: %s", kindName, text)
			}
		}
	}
}

func TestPagesAreEscaped(t *testing.T) {
	f := facts{Order: `<img src=x onerror=alert(1)>`, Reason: `"><script>alert(2)</script>`, Name: `<b>Zoë</b> & co`}
	_, text, html, err := letter(notificationv1.Kind_ORDER_CANCELLED, f)
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"<script", "<img", "<b>"} {
		if strings.Contains(html, bad) {
			t.Errorf("the page has %s in it: %s", bad, html)
		}
	}
	if !strings.Contains(text, f.Name) || !strings.Contains(html, "&lt;b&gt;Zoë&lt;/b&gt; &amp; co") {
		t.Errorf("the name is not as it was given: %s, %s", text, html)
	}
}

func TestAmounts(t *testing.T) {
	for _, test := range []struct {
		currency string
		units    int64
		want     string
	}{
		{"GBP", 255, "GBP 2.55"}, {"GBP", 5, "GBP 0.05"}, {"GBP", 0, "GBP 0.00"}, {"GBP", -5, "GBP -0.05"}, {"JPY", 255, "JPY 255"},
		{"KWD", 1, "KWD 0.001"}, {"GBP", -9223372036854775808, "GBP -92233720368547758.08"},
	} {
		if got := amount(&moneyv1.Money{CurrencyCode: test.currency, MinorUnits: test.units}); got != test.want {
			t.Errorf("%s %d: %s", test.currency, test.units, got)
		}
	}
	if got := amount(nil); got != "" {
		t.Errorf("no amount: %s", got)
	}
}

func TestEmailsEndSentOrParked(t *testing.T) {
	problem := errors.New(strings.Repeat("x", 1000) + "\x00\xff")
	for name, test := range map[string]struct {
		attempts int64
		outcome  outcome
		state    emailState
		pause    time.Duration
	}{
		"sent":            {1, outcome{}, sent, time.Second},
		"sent at last":    {3, outcome{}, sent, 4 * time.Second},
		"the first fails": {1, outcome{err: problem}, waiting, time.Second},
		"the next fails":  {2, outcome{err: problem}, waiting, 2 * time.Second},
		"the last fails":  {3, outcome{err: problem}, parked, 4 * time.Second},
		"refused":         {1, outcome{err: problem, final: true}, parked, time.Second},
	} {
		e, due := email{state: waiting, attempts: test.attempts, problem: "old"}.after(test.outcome, 3, time.Second, time.Minute, at)
		if e.state != test.state || due.Sub(at) != test.pause || !e.updated.Equal(at) {
			t.Errorf("%s: %s, due after %s", name, e.state, due.Sub(at))
		}
		if (e.problem == "") != (test.outcome.err == nil) || len(e.problem) > 300 {
			t.Errorf("%s: %q", name, e.problem)
		}
	}
	if p := pause(1<<40, time.Second, time.Hour); p != time.Hour {
		t.Errorf("the longest pause is %s", p)
	}
}

func TestAddressesAreLeftOut(t *testing.T) {
	err := without(errors.New("550 <zoe@example.com> is nobody"), "zoe@example.com")
	if strings.Contains(err.Error(), "zoe@") {
		t.Error(err)
	}
	if without(nil, "x") != nil {
		t.Error("no error became one")
	}
}
