package main

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	paymentv1 "github.com/gowarren/warren/shop/api/shop/payment/v1"
	"github.com/gowarren/warren/store"
	"github.com/gowarren/warren/warrentest"
)

func TestMoneyOfAnOrder(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *ledger) {
		ctx := t.Context()
		s.fill(t, "ada", gbp(1000))
		s.has(t, "ada", 1000, 0)
		for range 2 { // the second time nothing more
			if err := s.hold(ctx, "p1", "ada", gbp(600), at); err != nil {
				t.Fatal(err)
			}
			s.has(t, "ada", 400, 600)
		}
		part := gbp(450)
		for range 2 {
			if got, err := s.capture(ctx, "p1", &part, at); err != nil || got != part {
				t.Fatal(got, err)
			}
			s.has(t, "ada", 550, 0)
		}
		fifty := gbp(50)
		for range 2 {
			if got, err := s.refund(ctx, "r1", "p1", &fifty, at); err != nil || got != fifty {
				t.Fatal(got, err)
			}
			s.has(t, "ada", 600, 0)
		}
		if got, err := s.refund(ctx, "r2", "p1", nil, at); err != nil || got != gbp(400) {
			t.Fatal(got, err)
		}
		s.has(t, "ada", 1000, 0)
		if _, err := s.refund(ctx, "r3", "p1", nil, at); !warrentest.Refused(err, paymentv1.Reason_AMOUNT_TOO_LARGE) {
			t.Errorf("refund of what is gone: %v", err)
		}
		if n := s.published(t, "shop.payment.v1.PaymentCaptured"); n != 1 {
			t.Errorf("%d captures published", n)
		}
		if n := s.published(t, "shop.payment.v1.PaymentRefunded"); n != 2 {
			t.Errorf("%d refunds published", n)
		}
	})
}

func TestVoid(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *ledger) {
		ctx := t.Context()
		s.fill(t, "ada", gbp(100))
		if err := s.void(ctx, "p1", at); !warrentest.Refused(err, paymentv1.Reason_PAYMENT_NOT_FOUND) {
			t.Errorf("void what was never held: %v", err)
		}
		if err := s.hold(ctx, "p1", "ada", gbp(100), at); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := s.void(ctx, "p1", at); err != nil {
				t.Fatal(err)
			}
			s.has(t, "ada", 100, 0)
		}
		if err := s.hold(ctx, "p1", "ada", gbp(100), at); !warrentest.Refused(err, paymentv1.Reason_PAYMENT_VOIDED) {
			t.Errorf("hold again after void: %v", err)
		}
		if _, err := s.capture(ctx, "p1", nil, at); !warrentest.Refused(err, paymentv1.Reason_PAYMENT_VOIDED) {
			t.Errorf("capture after void: %v", err)
		}
		if _, err := s.refund(ctx, "r1", "p1", nil, at); !warrentest.Refused(err, paymentv1.Reason_PAYMENT_NOT_CAPTURED) {
			t.Errorf("refund after void: %v", err)
		}
	})
}

func TestWalletsOfOneCurrency(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *ledger) {
		ctx := t.Context()
		if err := s.hold(ctx, "p0", "bob", gbp(1), at); !warrentest.Refused(err, paymentv1.Reason_INSUFFICIENT_FUNDS) {
			t.Errorf("hold without a wallet: %v", err)
		}
		s.fill(t, "ada", gbp(100))
		if err := s.begin(ctx, newTopUp("ada", money{5, "EUR"}, "t", "4242", at), func() {}); !warrentest.Refused(err, paymentv1.Reason_OTHER_CURRENCY) {
			t.Errorf("top up in another currency: %v", err)
		}
		if err := s.hold(ctx, "p1", "ada", money{5, "EUR"}, at); !warrentest.Refused(err, paymentv1.Reason_OTHER_CURRENCY) {
			t.Errorf("hold in another currency: %v", err)
		}
		if err := s.hold(ctx, "p2", "ada", gbp(101), at); !warrentest.Refused(err, paymentv1.Reason_INSUFFICIENT_FUNDS) {
			t.Errorf("hold more than there is: %v", err)
		}
		if _, err := s.payment(ctx, "p2"); !warrentest.Refused(err, paymentv1.Reason_PAYMENT_NOT_FOUND) {
			t.Errorf("a refused payment is kept: %v", err)
		}
	})
}

// TestManyHoldsOfOneWallet: there is money for ten of forty.
func TestManyHoldsOfOneWallet(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *ledger) {
		s.fill(t, "ada", gbp(109))
		n := won(t, atOnce(40, func(i int) error {
			return s.hold(context.WithoutCancel(t.Context()), fmt.Sprint("p", i), "ada", gbp(10), at)
		}), func(err error) bool { return warrentest.Refused(err, paymentv1.Reason_INSUFFICIENT_FUNDS) })
		if n != 10 {
			t.Errorf("%d holds of ten succeeded", n)
		}
		s.has(t, "ada", 9, 100)
	})
}

// TestOnePaymentManyTimes has every step of one payment done at the same moment
// by many: each takes place once, or is refused for good.
func TestOnePaymentManyTimes(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *ledger) {
		ctx := t.Context()
		s.fill(t, "ada", gbp(1000))
		never := func(error) bool { return false }
		won(t, atOnce(8, func(int) error { return s.hold(ctx, "p1", "ada", gbp(500), at) }), never)
		s.has(t, "ada", 500, 500)
		errs := atOnce(8, func(i int) error {
			if i%2 == 0 {
				return s.void(ctx, "p1", at)
			}
			_, err := s.capture(ctx, "p1", nil, at)
			return err
		})
		if n := won(t, errs, func(err error) bool {
			return warrentest.Refused(err, paymentv1.Reason_PAYMENT_CAPTURED) || warrentest.Refused(err, paymentv1.Reason_PAYMENT_VOIDED)
		}); n != 4 {
			t.Errorf("%d of 8 voids and captures succeeded; want all of one kind", n)
		}
		if err := s.hold(ctx, "p2", "ada", gbp(500), at); err != nil {
			t.Fatal(err)
		}
		won(t, atOnce(8, func(int) error { _, err := s.capture(ctx, "p2", nil, at); return err }), never)
		hundred := gbp(100)
		if n := won(t, atOnce(12, func(i int) error {
			_, err := s.refund(ctx, fmt.Sprint("r", i), "p2", &hundred, at)
			return err
		}), func(err error) bool { return warrentest.Refused(err, paymentv1.Reason_AMOUNT_TOO_LARGE) }); n != 5 {
			t.Errorf("%d refunds of 100 out of 500", n)
		}
		if n := won(t, atOnce(8, func(int) error { _, err := s.refund(ctx, "r0", "p1", nil, at); return err }),
			func(err error) bool {
				return warrentest.Refused(err, paymentv1.Reason_PAYMENT_EXISTS) || warrentest.Refused(err, paymentv1.Reason_PAYMENT_NOT_CAPTURED)
			}); n > 8 {
			t.Errorf("%d refunds", n)
		}
	})
}

// TestMovementsAcrossWallets mixes everything, so that locks meet in all orders.
func TestMovementsAcrossWallets(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *ledger) {
		ctx := t.Context()
		for i := range 4 {
			s.fill(t, fmt.Sprint("c", i), gbp(1000))
		}
		part := gbp(7)
		won(t, atOnce(32, func(i int) error {
			id, customer := fmt.Sprint("p", i), fmt.Sprint("c", i%4)
			if err := s.hold(ctx, id, customer, gbp(20), at); err != nil {
				return err
			}
			if i%3 == 0 {
				return s.void(ctx, id, at)
			}
			if _, err := s.capture(ctx, id, &part, at); err != nil {
				return err
			}
			_, err := s.refund(ctx, "r"+id, id, nil, at)
			return err
		}), func(error) bool { return false })
		for i := range 4 {
			s.has(t, fmt.Sprint("c", i), 1000, 0)
		}
	})
}

func TestTopUpCreditsOnce(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *ledger) {
		ctx := t.Context()
		top := newTopUp("ada", gbp(100), "token", "4242", at)
		if err := s.begin(ctx, top, func() {}); err != nil {
			t.Fatal(err)
		}
		s.has(t, "ada", 0, 0)
		won(t, atOnce(8, func(int) error { return s.settle(ctx, top.id, verdict{approved: true}, at) }), func(error) bool { return false })
		s.has(t, "ada", 100, 0)
		if err := s.settle(ctx, top.id, verdict{reason: "declined"}, at); err == nil {
			t.Error("declined after it was confirmed")
		}
		if n := s.published(t, "shop.payment.v1.WalletToppedUp"); n != 1 {
			t.Errorf("%d top-ups published", n)
		}
		if _, err := s.topUp(ctx, top.id, "bob"); !warrentest.Refused(err, paymentv1.Reason_TOP_UP_NOT_FOUND) {
			t.Errorf("top-up of somebody else: %v", err)
		}
		if got, err := s.topUp(ctx, top.id, "ada"); err != nil || got.state != confirmed || got.amount != gbp(100) {
			t.Errorf("own top-up: %+v, %v", got, err)
		}
		if err := s.settle(ctx, "nosuch", verdict{}, at); !warrentest.Refused(err, paymentv1.Reason_TOP_UP_NOT_FOUND) {
			t.Errorf("settle what is not there: %v", err)
		}
	})
}

func TestClaimsAreOfOne(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *ledger) {
		ctx := t.Context()
		const all = 20
		for range all {
			if err := s.begin(ctx, newTopUp("ada", gbp(1), "token", "4242", at), func() {}); err != nil {
				t.Fatal(err)
			}
		}
		seen := make([][]topUp, 4)
		won(t, atOnce(len(seen), func(i int) error {
			for {
				got, err := s.claim(ctx, at, time.Minute, 3)
				if err != nil {
					return err
				}
				if seen[i] = append(seen[i], got...); len(got) == 0 {
					return nil
				}
			}
		}), func(error) bool { return false })
		once := map[string]bool{}
		for _, part := range seen {
			for _, top := range part {
				if once[top.id] {
					t.Errorf("top-up %s was claimed twice", top.id)
				}
				once[top.id] = true
			}
		}
		// Somebody may have been looking at a row that another one skipped.
		rest, err := s.claim(ctx, at, time.Minute, all)
		if err != nil {
			t.Fatal(err)
		}
		if len(once)+len(rest) != all {
			t.Errorf("%d of %d were claimed", len(once)+len(rest), all)
		}
		if again, err := s.claim(ctx, at.Add(time.Minute), time.Minute, all); err != nil || len(again) != all || again[0].attempts != 2 {
			t.Errorf("after the lease: %d, %v", len(again), err)
		}
		next, there, err := s.due(ctx)
		if err != nil || !there || !next.Equal(at.Add(2*time.Minute)) {
			t.Errorf("due next: %s, %v, %v", next, there, err)
		}
	})
}

func TestEntriesArePaged(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *ledger) {
		ctx := t.Context()
		s.fill(t, "ada", gbp(100))
		for i := range 5 {
			if err := s.hold(ctx, fmt.Sprint("p", i), "ada", gbp(10), at); err != nil {
				t.Fatal(err)
			}
		}
		var got []entry
		for before := int64(0); ; {
			page, err := s.entries(ctx, walletOf("ada", "").id, before, 4)
			if err != nil {
				t.Fatal(err)
			}
			if got = append(got, page...); len(page) < 4 {
				break
			}
			before = page[len(page)-1].seq
		}
		if len(got) != 6 {
			t.Fatalf("%d entries", len(got))
		}
		for i, e := range got {
			if e.seq != int64(6-i) {
				t.Errorf("entry %d has number %d", i, e.seq)
			}
		}
		if last := got[5]; last.kind != "TOP_UP" || last.amount != gbp(100) || last.balance != gbp(100) {
			t.Errorf("the first entry: %+v", last)
		}
		if first := got[0]; first.kind != "HOLD" || first.reference != "p4" || first.amount != gbp(-10) || first.balance != gbp(50) || !first.created.Equal(at) {
			t.Errorf("the last entry: %+v", first)
		}
	})
}

// TestVerifyFinds breaks the books in every way and looks whether it is found.
func TestVerifyFinds(t *testing.T) {
	for name, test := range map[string]struct{ statement, says string }{
		"a balance":        {`UPDATE accounts SET balance = balance + 1 WHERE id = 'wallet/ada'`, "its entries sum up to"},
		"the total":        {`UPDATE accounts SET balance = balance + 1 WHERE id = 'wallet/ada'`, "over all accounts in GBP"},
		"an entry":         {`UPDATE entries SET amount = amount + 1 WHERE account_id = 'wallet/ada' AND seq = 1`, "transaction TOP_UP/"},
		"a missing entry":  {`DELETE FROM entries WHERE account_id = 'held/ada' AND seq = 1`, "has 1 entries that sum up to -40"},
		"a gap":            {`DELETE FROM entries WHERE account_id = 'held/ada' AND seq = 1`, "account held/ada has 0 entries"},
		"a forgotten hold": {`UPDATE payments SET state = 'voided' WHERE id = 'p1'`, "the payments under way are of 0"},
	} {
		t.Run(name, func(t *testing.T) {
			eachBroken(t, func(t *testing.T, s *ledger) {
				s.fill(t, "ada", gbp(100))
				if err := s.hold(t.Context(), "p1", "ada", gbp(40), at); err != nil {
					t.Fatal(err)
				}
				if found := s.problems(t, 2); len(found) > 0 {
					t.Fatalf("good books: %q", found)
				}
				if n, err := s.db.Exec(t.Context(), test.statement); err != nil || n != 1 {
					t.Fatal(n, err)
				}
				if found := strings.Join(s.problems(t, 2), "\n"); !strings.Contains(found, test.says) {
					t.Errorf("found %q; want %q", found, test.says)
				}
			})
		})
	}
}

// TestTheDatabaseRefuses what the program would have to be wrong to write.
func TestTheDatabaseRefuses(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *ledger) {
		s.fill(t, "ada", gbp(100))
		if err := s.hold(t.Context(), "p1", "ada", gbp(40), at); err != nil {
			t.Fatal(err)
		}
		for _, statement := range []string{
			`UPDATE accounts SET balance = -1 WHERE id = 'wallet/ada'`,
			`UPDATE payments SET captured = amount + 1 WHERE id = 'p1'`,
			`UPDATE payments SET refunded = 1 WHERE id = 'p1'`,
		} {
			if _, err := s.db.Exec(t.Context(), statement); err == nil {
				t.Errorf("%s: nobody minded", statement)
			}
		}
		twice := func(ctx context.Context, tx *store.Tx) error {
			return post(ctx, tx, payment{id: "p1", customer: "ada", currency: "GBP", amount: 40}.holding(), at)
		}
		if err := s.db.InTx(t.Context(), twice); err == nil {
			t.Error("one hold was posted twice")
		}
	})
}
