package main

import (
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	identityv1 "github.com/gowarren/warren/shop/api/shop/identity/v1"
)

// signedIn makes a session whose access token has ended.
func (s *site) signedIn() *session {
	s.t.Helper()
	one := newSession()
	if err := s.shop.sessions.save(s.t.Context(), one, func(k *kept) { k.Access, k.Refresh, k.Name = "access-0", "refresh-0", "Ada" }); err != nil {
		s.t.Fatal(err)
	}
	return one
}

// Many requests of one visitor find the token ended: it is renewed once, since
// a refresh token that comes twice ends the user's session.
func TestTokensAreRenewedOnce(t *testing.T) {
	s := newSite(t)
	var used atomic.Int64
	s.gateway.do("POST /v1/sessions:refresh", func(*http.Request) (int, any) {
		n := used.Add(1)
		return 200, &identityv1.Session{AccessToken: fmt.Sprint("access-", n), RefreshToken: fmt.Sprint("refresh-", n),
			AccessExpireTime: timestamppb.New(time.Now().Add(time.Hour))}
	})
	first := s.signedIn()
	var all sync.WaitGroup
	for range 12 {
		all.Go(func() {
			one, _ := sessionOf(first.cookie())
			if err := s.shop.sessions.read(t.Context(), one); err != nil {
				t.Error(err)
			}
			if token, err := s.shop.tokens.access(t.Context(), one); err != nil || token != "access-1" {
				t.Errorf("token %q, %v", token, err)
			}
		})
	}
	all.Wait()
	if n := used.Load(); n != 1 {
		t.Errorf("renewed %d times", n)
	}
	if _, last := s.gateway.times("POST", "/v1/sessions:refresh"); decode(t, last.body)["refreshToken"] != "refresh-0" {
		t.Errorf("sent %s", last.body)
	}
}

func TestSessionsThatEndedElsewhere(t *testing.T) {
	s := newSite(t)
	s.gateway.answer("POST /v1/sessions:refresh", 503, refusal("UNAVAILABLE", "away"))
	one := s.signedIn()
	if _, err := s.shop.tokens.access(t.Context(), one); err == nil || errors.Is(err, errSignedOut) {
		t.Errorf("while identity is away: %v", err)
	}
	if !one.signedIn() {
		t.Error("signed out because identity was away")
	}
	s.gateway.answer("POST /v1/sessions:refresh", 401, refusal("REFRESH_TOKEN_REUSED", "it was used"))
	if _, err := s.shop.tokens.access(t.Context(), one); !errors.Is(err, errSignedOut) {
		t.Errorf("when it was ended: %v", err)
	}
	if err := s.shop.sessions.read(t.Context(), one); err != nil || one.signedIn() {
		t.Errorf("still signed in: %+v, %v", one, err)
	}
}
