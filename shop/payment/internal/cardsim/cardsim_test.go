package cardsim

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/store"
	"github.com/gowarren/warren/store/storetest"
)

var at = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// simulated is a simulator with a clock that the test turns.
type simulated struct {
	*Simulator
	now      atomic.Int64
	reported []string
	refuse   bool
}

func simulate(t *testing.T, address string, values ...config.FileEntry) *simulated {
	t.Helper()
	db, err := store.Open(t.Context(), address, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	if err := Migrate(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	from, err := config.New(config.Options{File: config.FileLayer{Entries: values}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(from.Close)
	s := &simulated{}
	s.now.Store(at.UnixMicro())
	s.Simulator = New(Options{
		DB: db, Settings: from, Now: func() time.Time { return time.UnixMicro(s.now.Load()) },
		Report: func(_ context.Context, charge string) error {
			if s.refuse {
				return errors.New("the merchant is away")
			}
			s.reported = append(s.reported, charge)
			return nil
		},
	})
	return s
}

func (s *simulated) pay(t *testing.T, number, charge string) (Result, error) {
	t.Helper()
	token, err := s.Tokenize(t.Context(), Card{Number: number, CVV: "123"})
	if err != nil {
		t.Fatal(err)
	}
	return s.Charge(t.Context(), charge, token, 100, "GBP")
}

func TestCharges(t *testing.T) {
	storetest.Each(t, func(t *testing.T, address string) {
		s := simulate(t, address)
		if _, err := s.Find(t.Context(), "c0"); !errors.Is(err, ErrNoCharge) {
			t.Errorf("find what was never charged: %v", err)
		}
		if r, err := s.Charge(t.Context(), "c0", "no token", 100, "GBP"); err != nil || r.Status != Declined {
			t.Errorf("charge an unknown token: %v, %v", r, err)
		}
		token, err := s.Tokenize(t.Context(), Card{Number: "4242424242424242"})
		if err != nil {
			t.Fatal(err)
		}
		for range 3 { // one charge
			if r, err := s.Charge(t.Context(), "c1", token, 100, "GBP"); err != nil || r.Status != Approved {
				t.Errorf("good card: %v, %v", r, err)
			}
		}
		if r, err := s.pay(t, "4000000000009995", "c2"); err != nil || r.Status != Declined || r.Reason != "insufficient funds" {
			t.Errorf("declined card: %v, %v", r, err)
		}
		if r, err := s.pay(t, "4000000000000119", "c3"); err == nil {
			t.Errorf("the answer is not lost: %v", r)
		}
		if r, err := s.Find(t.Context(), "c3"); err != nil || r.Status != Approved {
			t.Errorf("after the answer was lost: %v, %v", r, err)
		}
		if units, err := s.Charged(t.Context(), "GBP"); err != nil || units != 200 {
			t.Errorf("charged %d, %v", units, err)
		}
	})
}

func TestALostRequestArrivesTheSecondTime(t *testing.T) {
	s := simulate(t, storetest.SQLite(t))
	token, err := s.Tokenize(t.Context(), Card{Number: "4000000000000341"})
	if err != nil {
		t.Fatal(err)
	}
	if r, err := s.Charge(t.Context(), "c1", token, 100, "GBP"); err == nil {
		t.Errorf("the request was not lost: %v", r)
	}
	if _, err := s.Find(t.Context(), "c1"); !errors.Is(err, ErrNoCharge) {
		t.Errorf("a lost request was made: %v", err)
	}
	if r, err := s.Charge(t.Context(), "c1", token, 100, "GBP"); err != nil || r.Status != Approved {
		t.Errorf("the second request: %v, %v", r, err)
	}
}

func TestLateOutcomesAreReported(t *testing.T) {
	storetest.Each(t, func(t *testing.T, address string) {
		s := simulate(t, address)
		if r, err := s.pay(t, "4000000000000077", "late"); err != nil || r.Status != Processing {
			t.Fatalf("too early: %v, %v", r, err)
		}
		if _, err := s.pay(t, "4000000000003220", "thrice"); err != nil {
			t.Fatal(err)
		}
		s.refuse = true
		if err := s.Report(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.refuse = false
		if err := s.Report(t.Context()); err != nil || len(s.reported) != 0 {
			t.Errorf("reported before the pause was over: %v, %v", s.reported, err)
		}
		s.now.Add(int64(3 * time.Second / time.Microsecond))
		for range 5 {
			if err := s.Report(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if got := fmt.Sprint(s.reported); len(s.reported) != 4 {
			t.Errorf("reported %s", got)
		}
		if r, err := s.Find(t.Context(), "late"); err != nil || r.Status != Approved {
			t.Errorf("late: %v, %v", r, err)
		}
	})
}

func TestMishapsBySetting(t *testing.T) {
	s := simulate(t, storetest.SQLite(t),
		config.FileEntry{Name: "payment.simulator.declines", Value: "1"},
		config.FileEntry{Name: "payment.simulator.unknown", Value: "1"},
		config.FileEntry{Name: "payment.simulator.duplicates", Value: "1"})
	if r, err := s.pay(t, "4242424242424242", "c1"); err == nil {
		t.Errorf("the answer is not lost: %v", r)
	}
	if r, err := s.Find(t.Context(), "c1"); err != nil || r.Status != Declined {
		t.Errorf("not declined: %v, %v", r, err)
	}
	for range 3 {
		if err := s.Report(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.reported) != 2 {
		t.Errorf("reported %v", s.reported)
	}
}

func TestSlowAnswersAreCharged(t *testing.T) {
	s := simulate(t, storetest.SQLite(t), config.FileEntry{Name: "payment.simulator.slowness", Value: "1m"})
	token, err := s.Tokenize(t.Context(), Card{Number: "4242424242424242"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if r, err := s.Charge(ctx, "c1", token, 100, "GBP"); err == nil {
		t.Errorf("not slow: %v", r)
	}
	if r, err := s.Find(t.Context(), "c1"); err != nil || r.Status != Approved {
		t.Errorf("what was slow: %v, %v", r, err)
	}
}

func TestCardsAreNotShown(t *testing.T) {
	c := Card{Number: "4242424242424242", CVV: "987"}
	for _, text := range []string{fmt.Sprint(c), fmt.Sprintf("%+v", c), fmt.Sprintf("%#v", c), c.LogValue().String(), fmt.Sprintf("%s %v", c, &c)} {
		for _, secret := range []string{c.Number, c.CVV} {
			if len(text) == 0 || strings.Contains(text, secret) {
				t.Errorf("%q shows the card", text)
			}
		}
	}
}
