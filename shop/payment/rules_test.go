package main

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	moneyv1 "github.com/gowarren/warren/shop/api/shop/money/v1"
	paymentv1 "github.com/gowarren/warren/shop/api/shop/payment/v1"
	"github.com/gowarren/warren/warrentest"
)

func TestPostingsBalance(t *testing.T) {
	a, b, c := walletOf("a", "GBP"), walletOf("b", "GBP"), walletOf("c", "GBP")
	for name, test := range map[string]struct {
		legs []leg
		good bool
	}{
		"two legs":               {[]leg{{a, -5}, {b, 5}}, true},
		"three legs":             {[]leg{{a, -5}, {b, 3}, {c, 2}}, true},
		"makes money":            {[]leg{{a, -5}, {b, 6}}, false},
		"loses money":            {[]leg{{a, -5}, {b, 4}}, false},
		"one leg":                {[]leg{{a, 5}}, false},
		"no legs":                {nil, false},
		"an entry of nothing":    {[]leg{{a, 0}, {b, 0}}, false},
		"more than can be moved": {[]leg{{a, -maxAmount - 1}, {b, maxAmount + 1}}, false},
		"overflows to nothing":   {[]leg{{a, math.MinInt64}, {b, math.MinInt64}}, false},
		"an account twice":       {[]leg{{a, -5}, {b, 4}, {b, 1}}, false},
	} {
		p := posting{kind: paymentv1.EntryKind_HOLD, reference: "p1", currency: "GBP", legs: test.legs}
		if err := p.check(); (err == nil) != test.good {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAccountsNeverGoBelowZero(t *testing.T) {
	for name, test := range map[string]struct {
		account account
		amount  int64
		reason  paymentv1.Reason // 0: any other error
		good    bool
	}{
		"credit":                      {account{kind: walletAccount, balance: 5}, 5, 0, true},
		"to nothing":                  {account{kind: walletAccount, balance: 5}, -5, 0, true},
		"below nothing":               {account{kind: walletAccount, balance: 5}, -6, paymentv1.Reason_INSUFFICIENT_FUNDS, false},
		"more than a wallet takes":    {account{kind: walletAccount, balance: maxWallet}, 1, paymentv1.Reason_WALLET_FULL, false},
		"other currency":              {account{kind: walletAccount, currency: "EUR", balance: 5}, 1, paymentv1.Reason_OTHER_CURRENCY, false},
		"held below nothing":          {account{kind: heldAccount}, -1, 0, false},
		"sales below nothing":         {account{kind: salesAccount}, -1, 0, false},
		"sales beyond int64":          {account{kind: salesAccount, balance: math.MaxInt64}, 1, 0, false},
		"cards below nothing":         {account{kind: cardsAccount}, -1, 0, true},
		"cards below the least int64": {account{kind: cardsAccount, balance: math.MinInt64}, -1, 0, false},
	} {
		if test.account.currency == "" {
			test.account.currency = "GBP"
		}
		after, err := test.account.apply(test.amount, "GBP")
		if (err == nil) != test.good || test.reason != 0 && !warrentest.Refused(err, test.reason) {
			t.Errorf("%s: %v", name, err)
		}
		if want := test.account.balance + test.amount; test.good && (after.balance != want || after.entries != 1) {
			t.Errorf("%s: balance %d, %d entries", name, after.balance, after.entries)
		}
		if !test.good && after != test.account {
			t.Errorf("%s: a refused movement changed the account", name)
		}
	}
}

func TestPaymentStates(t *testing.T) {
	base := payment{id: "p", customer: "ada", currency: "GBP", amount: 100}
	in := func(s paymentState, captured, refunded int64) payment {
		p := base
		p.state, p.captured, p.refunded = s, captured, refunded
		return p
	}
	eur, twenty, thirty, much := money{20, "EUR"}, gbp(20), gbp(30), gbp(101)
	void := func(p payment) (payment, []posting, error) { return p.void() }
	capture := func(m *money) func(payment) (payment, []posting, error) {
		return func(p payment) (payment, []posting, error) { return p.capture(m) }
	}
	refund := func(m *money) func(payment) (payment, []posting, error) {
		return func(p payment) (payment, []posting, error) {
			p, _, postings, err := p.refund("r", m)
			return p, postings, err
		}
	}
	for name, test := range map[string]struct {
		from     payment
		do       func(payment) (payment, []posting, error)
		to       payment
		postings int
		reason   paymentv1.Reason
	}{
		"void held":                    {in(held, 0, 0), void, in(voided, 0, 0), 1, 0},
		"void twice":                   {in(voided, 0, 0), void, in(voided, 0, 0), 0, 0},
		"void captured":                {in(captured, 100, 0), void, base, 0, paymentv1.Reason_PAYMENT_CAPTURED},
		"capture all":                  {in(held, 0, 0), capture(nil), in(captured, 100, 0), 1, 0},
		"capture all again":            {in(captured, 100, 0), capture(nil), in(captured, 100, 0), 0, 0},
		"capture a part":               {in(held, 0, 0), capture(&twenty), in(captured, 20, 0), 2, 0},
		"capture the part again":       {in(captured, 20, 0), capture(&twenty), in(captured, 20, 0), 0, 0},
		"capture another part":         {in(captured, 20, 0), capture(&thirty), base, 0, paymentv1.Reason_PAYMENT_CAPTURED},
		"capture too much":             {in(held, 0, 0), capture(&much), base, 0, paymentv1.Reason_AMOUNT_TOO_LARGE},
		"capture another currency":     {in(held, 0, 0), capture(&eur), base, 0, paymentv1.Reason_OTHER_CURRENCY},
		"capture voided":               {in(voided, 0, 0), capture(nil), base, 0, paymentv1.Reason_PAYMENT_VOIDED},
		"refund a part":                {in(captured, 100, 0), refund(&twenty), in(captured, 100, 20), 1, 0},
		"refund the rest":              {in(captured, 100, 20), refund(nil), in(captured, 100, 100), 1, 0},
		"refund when nothing is left":  {in(captured, 100, 100), refund(nil), base, 0, paymentv1.Reason_AMOUNT_TOO_LARGE},
		"refund more than is left":     {in(captured, 40, 20), refund(&thirty), base, 0, paymentv1.Reason_AMOUNT_TOO_LARGE},
		"refund another currency":      {in(captured, 40, 0), refund(&eur), base, 0, paymentv1.Reason_OTHER_CURRENCY},
		"refund what was not captured": {in(held, 0, 0), refund(nil), base, 0, paymentv1.Reason_PAYMENT_NOT_CAPTURED},
	} {
		got, postings, err := test.do(test.from)
		if test.reason != 0 {
			if !warrentest.Refused(err, test.reason) {
				t.Errorf("%s: %v; want %s", name, err, test.reason)
			}
			continue
		}
		if err != nil || got != test.to || len(postings) != test.postings {
			t.Errorf("%s: %+v, %d postings, %v", name, got, len(postings), err)
		}
		for _, p := range postings {
			if err := p.check(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func TestHoldAgain(t *testing.T) {
	p := payment{id: "p", customer: "ada", currency: "GBP", amount: 100, state: held}
	other := func(change func(*payment)) payment { q := p; change(&q); return q }
	for name, test := range map[string]struct {
		there  payment
		wanted payment
		reason paymentv1.Reason
	}{
		"the same":       {p, p, 0},
		"captured since": {other(func(q *payment) { q.state = captured }), p, 0},
		"voided since":   {other(func(q *payment) { q.state = voided }), p, paymentv1.Reason_PAYMENT_VOIDED},
		"other customer": {p, other(func(q *payment) { q.customer = "bob" }), paymentv1.Reason_PAYMENT_EXISTS},
		"other amount":   {p, other(func(q *payment) { q.amount++ }), paymentv1.Reason_PAYMENT_EXISTS},
		"other currency": {p, other(func(q *payment) { q.currency = "EUR" }), paymentv1.Reason_PAYMENT_EXISTS},
	} {
		if err := test.there.again(test.wanted); test.reason == 0 && err != nil || test.reason != 0 && !warrentest.Refused(err, test.reason) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTopUpEndsOnce(t *testing.T) {
	begun := newTopUp("ada", gbp(100), "token", "4242", at)
	yes, no := verdict{approved: true}, verdict{reason: "card declined"}
	done, postings, err := begun.settle(yes, at)
	if err != nil || done.state != confirmed || len(postings) != 1 || postings[0].check() != nil {
		t.Fatalf("confirmed: %+v, %v, %v", done, postings, err)
	}
	if _, postings, err := done.settle(yes, at); err != nil || len(postings) != 0 {
		t.Errorf("confirmed twice: %v, %v", postings, err)
	}
	if again, _, err := done.settle(no, at); err == nil || again.state != confirmed {
		t.Errorf("declined after it was confirmed: %v, %v", again.state, err)
	}
	refused, postings, err := begun.settle(no, at)
	if err != nil || refused.state != declined || refused.declined != "card declined" || len(postings) != 0 {
		t.Errorf("declined: %+v, %v, %v", refused, postings, err)
	}
	if again, postings, err := refused.settle(yes, at); err == nil || again.state != declined || len(postings) != 0 {
		t.Errorf("confirmed after it was declined: %v, %v", again.state, err)
	}
}

func TestAmounts(t *testing.T) {
	for name, test := range map[string]struct {
		message *moneyv1.Money
		reason  paymentv1.Reason
	}{
		"good":      {gbp(1).message(), 0},
		"most":      {gbp(maxAmount).message(), 0},
		"nothing":   {gbp(0).message(), paymentv1.Reason_BAD_AMOUNT},
		"less":      {gbp(-1).message(), paymentv1.Reason_BAD_AMOUNT},
		"too much":  {gbp(maxAmount + 1).message(), paymentv1.Reason_BAD_AMOUNT},
		"missing":   {nil, paymentv1.Reason_UNKNOWN_CURRENCY},
		"lowercase": {&moneyv1.Money{CurrencyCode: "gbp", MinorUnits: 1}, paymentv1.Reason_UNKNOWN_CURRENCY},
	} {
		_, err := moneyOf(test.message)
		if test.reason == 0 && err != nil || test.reason != 0 && !warrentest.Refused(err, test.reason) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, pair := range [][2]int64{{math.MaxInt64, 1}, {math.MinInt64, -1}} {
		if _, fits := sum(pair[0], pair[1]); fits {
			t.Errorf("%d and %d have a sum", pair[0], pair[1])
		}
	}
}

func TestCards(t *testing.T) {
	card := func(number string, year, month int32) *paymentv1.Card {
		return &paymentv1.Card{Number: number, ExpiryYear: year, ExpiryMonth: month, Cvv: "123"}
	}
	for name, test := range map[string]struct {
		card *paymentv1.Card
		good bool
	}{
		"good":             {card("4242424242424242", 2030, 1), true},
		"of this month":    {card("4242424242424242", 2026, 3), true},
		"of December":      {card("4242424242424242", 2026, 12), true},
		"of last month":    {card("4242424242424242", 2026, 2), false},
		"a digit is wrong": {card("4242424242424243", 2030, 1), false},
	} {
		err := checkCard(test.card, at)
		if (err == nil) != test.good || err != nil && !warrentest.Refused(err, paymentv1.Reason_BAD_CARD) {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && strings.Contains(err.Error(), test.card.GetNumber()) {
			t.Errorf("%s: the error tells the number", name)
		}
	}
}

func TestPausesGrowToTheMost(t *testing.T) {
	before := time.Duration(0)
	for n := range int64(100) {
		p := pause(n, 500*time.Millisecond, time.Minute)
		if p < before || p > time.Minute {
			t.Fatalf("after %d: %s, before that %s", n, p, before)
		}
		before = p
	}
	if before != time.Minute {
		t.Errorf("the longest pause is %s", before)
	}
	if p := pause(1<<40, time.Hour, time.Minute); p != time.Minute {
		t.Errorf("a first pause beyond the most: %s", p)
	}
}

func TestUnbalancedIsTold(t *testing.T) {
	p := posting{kind: paymentv1.EntryKind_HOLD, reference: "p", legs: []leg{{walletOf("a", "GBP"), 1}, {walletOf("b", "GBP"), 1}}}
	if err := p.check(); !errors.Is(err, errUnbalanced) {
		t.Error(err)
	}
}

func TestAmountsAreToldAsPeopleReadThem(t *testing.T) {
	for m, want := range map[money]string{
		{76500, "GBP"}: "GBP 765.00", {5, "GBP"}: "GBP 0.05", {-5, "EUR"}: "EUR -0.05", {765, "JPY"}: "JPY 765", {1, "KWD"}: "KWD 0.001",
		{math.MinInt64, "GBP"}: "GBP -92233720368547758.08",
	} {
		if got := m.String(); got != want {
			t.Errorf("%d %s is %q, want %q", m.units, m.currency, got, want)
		}
	}
	wallet := account{kind: walletAccount, currency: "GBP", balance: 76_499}
	if _, err := wallet.apply(-76_500, "GBP"); err == nil || !strings.Contains(err.Error(), "less than GBP 765.00") {
		t.Errorf("too little money: %v", err)
	}
}
