package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	notificationv1 "github.com/gowarren/warren/shop/api/shop/notification/v1"
	"github.com/gowarren/warren/shop/notification/internal/mail"
	"github.com/gowarren/warren/store"
	"github.com/gowarren/warren/warrentest"
)

func count(t testing.TB, s *feeds, query string, args ...any) (n int) {
	t.Helper()
	if err := s.db.QueryRow(t.Context(), query, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestToldOnce(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *feeds) {
		n, err := newNotification("ada", notificationv1.Kind_ORDER_CONFIRMED, facts{Order: "o1"}, at)
		if err != nil {
			t.Fatal(err)
		}
		atOnce(t, 8, func(int) error {
			return s.db.InTx(t.Context(), func(ctx context.Context, tx *store.Tx) error { return tell(ctx, tx, n, func() {}) })
		})
		if n, m := count(t, s, `SELECT COUNT(*) FROM notifications`), count(t, s, `SELECT COUNT(*) FROM emails`); n != 1 || m != 1 {
			t.Errorf("%d notifications and %d e-mails", n, m)
		}
		// What is rolled back was not told.
		other, err := newNotification("ada", notificationv1.Kind_ORDER_SHIPPED, facts{Order: "o1"}, at)
		if err != nil {
			t.Fatal(err)
		}
		undone := errors.New("undone")
		err = s.db.InTx(t.Context(), func(ctx context.Context, tx *store.Tx) error {
			return errors.Join(tell(ctx, tx, other, func() { t.Error("an e-mail of nothing is sent") }), undone)
		})
		if !errors.Is(err, undone) || count(t, s, `SELECT COUNT(*) FROM notifications`) != 1 {
			t.Errorf("%v", err)
		}
	})
}

func TestFeedsArePaged(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *feeds) {
		var want []string
		for i := range 7 { // several in one moment
			want = append(want, s.tell(t, "ada", notificationv1.Kind_ORDER_CONFIRMED, fmt.Sprint("o", i), i/3).id)
			s.tell(t, "bob", notificationv1.Kind_ORDER_CONFIRMED, fmt.Sprint("b", i), i)
		}
		read := func(unread bool) (got []string) {
			for before := (*place)(nil); ; {
				page, err := s.list(t.Context(), "ada", unread, before, 2)
				if err != nil {
					t.Fatal(err)
				}
				for i, n := range page {
					if got = append(got, n.id); i > 0 && n.created.After(page[i-1].created) {
						t.Error("the latest is not first")
					}
				}
				if len(page) < 2 {
					return got
				}
				last := page[1].place()
				before = &last
			}
		}
		got := read(false)
		newest := got[0]
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("read %v; want %v", got, want)
		}
		for range 2 {
			if n, err := s.markRead(t.Context(), "ada", newest, at); err != nil || !n.read {
				t.Errorf("%+v, %v", n, err)
			}
		}
		if unread := read(true); len(unread) != 6 || slices.Contains(unread, newest) {
			t.Errorf("unread: %v", unread)
		}
		for _, f := range []func() error{
			func() error { _, err := s.markRead(t.Context(), "bob", newest, at); return err },
			func() error { return s.markAllRead(t.Context(), "bob", newest, at) },
		} {
			if err := f(); !warrentest.Refused(err, notificationv1.Reason_NOTIFICATION_NOT_FOUND) {
				t.Errorf("somebody else's: %v", err)
			}
		}
	})
}

func TestAllIsReadUpToSomething(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *feeds) {
		var ids []string
		for i := range 4 {
			ids = append(ids, s.tell(t, "ada", notificationv1.Kind_ORDER_CONFIRMED, fmt.Sprint("o", i), i).id)
		}
		s.tell(t, "bob", notificationv1.Kind_ORDER_CONFIRMED, "b", 0)
		if err := s.markAllRead(t.Context(), "ada", ids[2], at); err != nil {
			t.Fatal(err)
		}
		left, err := s.list(t.Context(), "ada", true, nil, 10)
		if err != nil || len(left) != 1 || left[0].id != ids[3] || left[0].facts.Order != "o3" || left[0].kind != notificationv1.Kind_ORDER_CONFIRMED {
			t.Errorf("unread: %+v, %v", left, err)
		}
		if left, err := s.list(t.Context(), "bob", true, nil, 10); err != nil || len(left) != 1 {
			t.Errorf("of bob: %+v, %v", left, err)
		}
	})
}

func TestEmailsAreClaimedByOne(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *feeds) {
		const all = 12
		for i := range all {
			s.tell(t, "ada", notificationv1.Kind_ORDER_CONFIRMED, fmt.Sprint("o", i), 0)
		}
		parts := make([][]email, 4)
		atOnce(t, len(parts), func(i int) error {
			got, err := s.claim(t.Context(), at, time.Minute, 3)
			parts[i] = got
			return err
		})
		seen := map[string]bool{}
		for _, e := range slices.Concat(parts...) {
			if seen[e.id] || e.attempts != 1 || e.facts.Total != "GBP 2.55" {
				t.Errorf("claimed twice, or wrong: %+v", e)
			}
			seen[e.id] = true
		}
		if next, there, err := s.due(t.Context()); err != nil || !there || len(seen) == all && !next.Equal(at.Add(time.Minute)) {
			t.Errorf("due: %s, %v, %v", next, there, err)
		}
		if again, err := s.claim(t.Context(), at.Add(time.Minute), time.Minute, all); err != nil || len(again) != all {
			t.Errorf("after the lease: %d, %v", len(again), err)
		}
	})
}

// TestALateNoteChangesNothing: whoever was slow has lost the e-mail to somebody
// else, unless it was sent.
func TestALateNoteChangesNothing(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *feeds) {
		n := s.tell(t, "ada", notificationv1.Kind_ORDER_CONFIRMED, "o1", 0)
		claim := func(now time.Time) email {
			got, err := s.claim(t.Context(), now, time.Minute, 1)
			if err != nil || len(got) != 1 {
				t.Fatal(got, err)
			}
			return got[0]
		}
		state := func() (state string) {
			if err := s.db.QueryRow(t.Context(), `SELECT state FROM emails WHERE id = ?`, n.id).Scan(&state); err != nil {
				t.Fatal(err)
			}
			return state
		}
		slow, next := claim(at), claim(at.Add(time.Minute))
		slow.state = parked
		if err := s.settle(t.Context(), slow, at); err != nil || state() != string(waiting) {
			t.Errorf("parked by who lost it: %s, %v", state(), err)
		}
		slow.state = sent
		if err := s.settle(t.Context(), slow, at); err != nil || state() != string(sent) {
			t.Errorf("sent by who lost it: %s, %v", state(), err)
		}
		next.state = parked
		if err := s.settle(t.Context(), next, at); err != nil || state() != string(sent) {
			t.Errorf("parked after it was sent: %s, %v", state(), err)
		}
	})
}

func TestParkedEmailsAreTriedAgain(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *feeds) {
		n := s.tell(t, "ada", notificationv1.Kind_ORDER_CONFIRMED, "o1", 0)
		if _, err := s.retry(t.Context(), n.id, at); !warrentest.Refused(err, notificationv1.Reason_EMAIL_NOT_PARKED) {
			t.Errorf("retry what waits: %v", err)
		}
		if _, err := s.retry(t.Context(), "nosuch", at); !warrentest.Refused(err, notificationv1.Reason_EMAIL_NOT_FOUND) {
			t.Errorf("retry nothing: %v", err)
		}
		got, err := s.claim(t.Context(), at, time.Minute, 1)
		if err != nil || len(got) != 1 {
			t.Fatal(got, err)
		}
		got[0].state, got[0].problem = parked, "refused"
		if err := s.settle(t.Context(), got[0], at); err != nil {
			t.Fatal(err)
		}
		list, err := s.emails(t.Context(), parked, nil, 10)
		if err != nil || len(list) != 1 || list[0].problem != "refused" {
			t.Fatalf("%+v, %v", list, err)
		}
		last := list[0].place()
		if more, err := s.emails(t.Context(), parked, &last, 10); err != nil || len(more) != 0 {
			t.Errorf("after the last: %+v, %v", more, err)
		}
		if e, err := s.retry(t.Context(), n.id, at.Add(time.Hour)); err != nil || e.state != waiting || e.attempts != 0 {
			t.Errorf("%+v, %v", e, err)
		}
		if again, err := s.claim(t.Context(), at.Add(time.Hour), time.Minute, 1); err != nil || len(again) != 1 || again[0].attempts != 1 {
			t.Errorf("%+v, %v", again, err)
		}
	})
}

func TestContacts(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *feeds) {
		if _, _, known, err := s.contact(t.Context(), "ada"); known || err != nil {
			t.Errorf("known before: %v", err)
		}
		s.tell(t, "ada", notificationv1.Kind_ORDER_CONFIRMED, "o1", 0)
		if _, err := s.claim(t.Context(), at, time.Hour, 1); err != nil { // it waits an hour
			t.Fatal(err)
		}
		for _, address := range []string{"old@example.com", "ada@example.com"} {
			err := s.db.InTx(t.Context(), func(ctx context.Context, tx *store.Tx) error { return meet(ctx, tx, "ada", address, "Ada", at) })
			if err != nil {
				t.Fatal(err)
			}
		}
		address, name, known, err := s.contact(t.Context(), "ada")
		if err != nil || !known || address != "ada@example.com" || name != "Ada" {
			t.Errorf("%s, %s, %v, %v", address, name, known, err)
		}
		if next, there, err := s.due(t.Context()); err != nil || !there || !next.Equal(at) {
			t.Errorf("what waited for the address is due at %s, %v, %v", next, there, err)
		}
	})
}

func TestInboxAndCleaning(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *feeds) {
		n := s.tell(t, "ada", notificationv1.Kind_ORDER_CONFIRMED, "o1", 0)
		for range 2 {
			err := inbox{db: s.db, user: "ada"}.send(t.Context(), mail.Message{ID: n.id, Subject: n.title, Text: n.text, HTML: "<p>", Date: at})
			if err != nil {
				t.Fatal(err)
			}
		}
		if got := count(t, s, `SELECT COUNT(*) FROM inbox WHERE user_id = 'ada'`); got != 1 {
			t.Errorf("%d in the inbox", got)
		}
		if err := s.clean(t.Context(), at); err != nil || count(t, s, `SELECT COUNT(*) FROM inbox`) != 1 {
			t.Errorf("cleaned too early: %v", err)
		}
		if err := s.clean(t.Context(), at.Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		if n, i, e := count(t, s, `SELECT COUNT(*) FROM notifications`), count(t, s, `SELECT COUNT(*) FROM inbox`),
			count(t, s, `SELECT COUNT(*) FROM emails`); n != 0 || i != 0 || e != 1 {
			t.Errorf("%d notifications and %d in the inbox are left; %d e-mails wait", n, i, e)
		}
	})
}
