package main

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gowarren/warren/store/storetest"
)

func eachDatabase(t *testing.T, test func(t *testing.T, s *sessions)) {
	storetest.Each(t, func(t *testing.T, address string) { test(t, openSessions(t, address)) })
}

func TestSessionsAreKept(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *sessions) {
		ctx, one := t.Context(), newSession()
		if err := s.read(ctx, one); err != nil || one.version != 0 {
			t.Fatalf("before: %+v, %v", one, err)
		}
		if err := s.save(ctx, one, func(k *kept) { k.Cart, k.Refresh = "cart-1", "refresh-1" }); err != nil {
			t.Fatal(err)
		}
		again, err := sessionOf(one.cookie())
		if err != nil {
			t.Fatal(err)
		}
		if err := s.read(ctx, again); err != nil || again.Cart != "cart-1" || !again.signedIn() || again.csrf() != one.csrf() {
			t.Errorf("read %+v, %v", again, err)
		}
		if err := s.read(ctx, newSession()); err != nil {
			t.Error(err)
		}
		var sealed string
		if err := s.db.QueryRow(ctx, `SELECT content FROM sessions`).Scan(&sealed); err != nil || strings.Contains(sealed, "refresh") {
			t.Errorf("the database has %q, %v", sealed, err)
		}
		if err := s.remove(ctx, one); err != nil {
			t.Error(err)
		}
		if err := s.read(ctx, again); err != nil || again.signedIn() {
			t.Errorf("removed: %+v, %v", again, err)
		}
	})
}

func TestChangesOfASessionAreNotLost(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *sessions) {
		first := newSession()
		const changes = 5
		var all sync.WaitGroup
		for range changes {
			all.Go(func() {
				one, _ := sessionOf(first.cookie())
				if err := s.read(t.Context(), one); err != nil {
					t.Error(err)
				}
				if err := s.save(t.Context(), one, func(k *kept) { k.Cart += "x" }); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if err := s.read(t.Context(), first); err != nil || first.Cart != strings.Repeat("x", changes) {
			t.Errorf("kept %q, %v", first.Cart, err)
		}
	})
}

func TestOneRenewsAtATime(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *sessions) {
		at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
		s.now = func() time.Time { return at }
		ctx, one := t.Context(), newSession()
		if err := s.save(ctx, one, func(k *kept) { k.Refresh = "r" }); err != nil {
			t.Fatal(err)
		}
		claim := func(want bool) {
			t.Helper()
			if got, err := s.claim(ctx, one); err != nil || got != want {
				t.Errorf("claimed: %v, %v; want %v", got, err, want)
			}
		}
		claim(true)
		claim(false)
		if err := s.save(ctx, one, func(k *kept) { k.Cart = "another request puts something into the cart" }); err != nil {
			t.Fatal(err)
		}
		claim(false)
		at = at.Add(lease)
		claim(true) // who had it died
		if err := s.release(ctx, one); err != nil {
			t.Fatal(err)
		}
		claim(true)
		at = at.Add(2 * time.Hour)
		if err := s.read(ctx, one); err != nil || one.version != 0 {
			t.Errorf("a session that has ended: %+v, %v", one, err)
		}
	})
}

// Who comes back after the end, and before the session was removed, begins anew.
func TestASessionThatHasEndedBeginsAgain(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *sessions) {
		at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
		s.now = func() time.Time { return at }
		ctx, one := t.Context(), newSession()
		if err := s.save(ctx, one, func(k *kept) { k.Cart, k.Refresh = "cart", "r" }); err != nil {
			t.Fatal(err)
		}
		at = at.Add(s.keep())
		again, _ := sessionOf(one.cookie())
		if err := s.read(ctx, again); err != nil {
			t.Fatal(err)
		}
		if err := s.save(ctx, again, func(k *kept) { k.Cart += "new" }); err != nil {
			t.Fatal(err)
		}
		if err := s.read(ctx, one); err != nil || one.Cart != "new" || one.signedIn() || one.version != 1 {
			t.Errorf("kept %+v, %v", one, err)
		}
		late, _ := sessionOf(one.cookie())
		if done, err := s.write(ctx, late, kept{Cart: "of one who thinks that there is none"}); done || err != nil {
			t.Errorf("it was replaced while it was good: %v, %v", done, err)
		}
	})
}

func TestSecretsOpenTheirOwn(t *testing.T) {
	one, other := newSession(), newSession()
	sealed, err := one.seal(kept{Access: "a"})
	if err != nil {
		t.Fatal(err)
	}
	if k, err := one.open(sealed); err != nil || k.Access != "a" {
		t.Errorf("its own: %+v, %v", k, err)
	}
	if k, err := other.open(sealed); err == nil {
		t.Errorf("another's secret opens it: %+v", k)
	}
	for _, bad := range []string{"", "?", "AAAA", sealed[:len(sealed)-4] + "AAAA"} {
		if k, err := one.open(bad); err == nil {
			t.Errorf("%q is opened: %+v", bad, k)
		}
	}
	if one.isCSRF(other.csrf()) || one.isCSRF("") || !one.isCSRF(one.csrf()) {
		t.Error("forms of others are taken, or own ones are not")
	}
	for _, bad := range []string{"", "x", one.cookie() + "AA", "____"} {
		if _, err := sessionOf(bad); err == nil {
			t.Errorf("%q is a session", bad)
		}
	}
}
