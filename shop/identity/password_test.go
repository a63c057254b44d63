package main

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gowarren/warren/rpc"
	identityv1 "github.com/gowarren/warren/shop/api/shop/identity/v1"
)

func TestPasswordsAreHashed(t *testing.T) {
	h := newHasher(1, testSettings(t))
	hash, err := h.seal(t.Context(), password)
	if err != nil || !strings.HasPrefix(hash, "$argon2id$v=19$m=8192,t=1,p=1$") || strings.Contains(hash, password) || len(hash) > 200 {
		t.Fatalf("got %s, %v", hash, err)
	}
	if again, err := h.seal(t.Context(), password); err != nil || again == hash {
		t.Errorf("the same password has the same hash twice: %v", err)
	}
	for given, want := range map[string]bool{password: true, password + " ": false, "": false, strings.ToUpper(password): false} {
		if right, stale, err := h.check(t.Context(), hash, given); right != want || stale || err != nil {
			t.Errorf("%q: right %v, stale %v, %v", given, right, stale, err)
		}
	}
}

func TestAKnownHashIsUnderstood(t *testing.T) {
	// Made by the reference implementation: argon2 somesalt -id -t 2 -k 65536 -p 1.
	const reference = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	h := newHasher(1, testSettings(t))
	right, stale, err := h.check(t.Context(), reference, "password")
	if !right || !stale || err != nil {
		t.Errorf("right %v, stale %v, %v", right, stale, err)
	}
}

func TestAPasswordIsTheSameHoweverItIsTyped(t *testing.T) {
	h := newHasher(1, testSettings(t))
	hash, err := h.seal(t.Context(), "pässwörtlich")
	if err != nil {
		t.Fatal(err)
	}
	if right, _, err := h.check(t.Context(), hash, "pa\u0308sswo\u0308rtlich"); !right || err != nil {
		t.Errorf("decomposed: %v, %v", right, err)
	}
}

func TestHashesOfNobody(t *testing.T) {
	h := newHasher(1, testSettings(t))
	for _, given := range []string{"", password} {
		if right, stale, err := h.check(t.Context(), "", given); right || stale || err != nil {
			t.Errorf("%q: right %v, stale %v, %v", given, right, stale, err)
		}
	}
	if n := h.computed.Load(); n != 2 {
		t.Errorf("%d hashes were computed; want 2", n)
	}
}

func TestDamagedHashes(t *testing.T) {
	h := newHasher(1, testSettings(t))
	good, err := h.seal(t.Context(), password)
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{
		"x", "$argon2i$v=19$m=8192,t=1,p=1$c29tZXNhbHQ$AAAA", strings.Replace(good, "v=19", "v=16", 1), strings.Replace(good, "m=8192", "m=4294967295", 1),
		strings.Replace(good, "t=1", "t=0", 1), strings.Replace(good, "p=1", "p=0", 1), good + "$x", good[:len(good)-20] + "====", good[:60],
	} {
		if right, _, err := h.check(t.Context(), bad, password); right || !errors.Is(err, errBadHash) {
			t.Errorf("%s: right %v, %v", bad, right, err)
		}
	}
}

func FuzzParseSealed(f *testing.F) {
	f.Add("$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parseSealed(text)
		if err == nil && (s.memory > 1<<20 || s.time > 100 || s.threads == 0) {
			t.Errorf("%q: %+v", text, s.cost)
		}
	})
}

// Many passwords at once: two are hashed, three wait, the rest is sent away
// before it costs anything.
func TestHashingIsBounded(t *testing.T) {
	settings := testSettings(t, "identity.password.queue", "3")
	synctest.Test(t, func(t *testing.T) {
		h := newHasher(2, settings)
		for range 2 { // all cores are taken
			if err := h.enter(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		ended := make(chan error, 5)
		ctx, leave := context.WithCancel(t.Context())
		for range 3 {
			go func() {
				_, err := h.seal(ctx, password)
				ended <- err
			}()
		}
		synctest.Wait()
		for range 20 {
			_, err := h.seal(t.Context(), password)
			if !errors.Is(err, rpc.Reason(identityv1.Reason_BUSY)) || rpc.FromError(err).RetryAfter != time.Second {
				t.Fatalf("got %v", err)
			}
		}
		if n := h.waiting.Load(); n != 3 {
			t.Errorf("%d wait; want 3", n)
		}
		leave() // who waits can give up
		for range 3 {
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
		}
		if h.waiting.Load() != 0 || h.computed.Load() != 0 {
			t.Errorf("%d wait, %d computed", h.waiting.Load(), h.computed.Load())
		}
		h.slots.Release(1)
		if _, err := h.seal(t.Context(), password); err != nil {
			t.Errorf("with a free core: %v", err)
		}
	})
}

func TestHashingIsMeasured(t *testing.T) {
	h, metrics := newHasher(1, testSettings(t)), prometheus.NewRegistry()
	if err := h.measure(metrics); err != nil {
		t.Fatal(err)
	}
	if _, err := h.seal(t.Context(), password); err != nil {
		t.Fatal(err)
	}
	families, err := metrics.Gather()
	if err != nil || len(families) != 2 || families[0].GetMetric()[0].GetCounter().GetValue() != 1 {
		t.Errorf("got %v, %v", families, err)
	}
	if err := h.measure(metrics); err == nil {
		t.Error("registered twice")
	}
}
