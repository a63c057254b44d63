package main

import (
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	paymentv1 "github.com/gowarren/warren/shop/api/shop/payment/v1"
)

// topUpState is how far a top-up has come: pending, then confirmed or declined
// for ever.
type topUpState string

const (
	pending   topUpState = "pending"
	confirmed topUpState = "confirmed"
	declined  topUpState = "declined"
)

// topUp is money that is to come from a card into a wallet.
type topUp struct {
	id, customer string
	state        topUpState
	amount       money
	token        string // the provider's, for the card
	lastFour     string
	declined     string // why
	attempts     int64
	created      time.Time
	updated      time.Time
}

// newTopUp returns a top-up with an id that nobody can guess. Times are kept to
// the microsecond.
func newTopUp(customer string, amount money, token, lastFour string, now time.Time) topUp {
	now = now.UTC().Truncate(time.Microsecond)
	return topUp{
		id: strings.ToLower(rand.Text()), customer: customer, state: pending, amount: amount,
		token: token, lastFour: lastFour, created: now, updated: now,
	}
}

// verdict is what the provider said for good.
type verdict struct {
	approved bool
	reason   string
}

// settle ends a pending top-up. Nothing is left to do when it had ended so
// before; that it ended otherwise can't be.
func (t topUp) settle(v verdict, now time.Time) (topUp, []posting, error) {
	end := declined
	if v.approved {
		end = confirmed
	}
	if t.state == end {
		return t, nil, nil
	}
	if t.state != pending {
		return t, nil, fmt.Errorf("top-up %s is %s: the provider says it is %s", t.id, t.state, end)
	}
	t.state, t.updated = end, now.UTC().Truncate(time.Microsecond)
	if end == declined {
		t.declined = shorten(v.reason, 100)
		return t, nil, nil
	}
	return t, []posting{moving(paymentv1.EntryKind_TOP_UP, t.id, t.amount,
		striped(cardsAccount, t.amount.currency, t.id), walletOf(t.customer, t.amount.currency))}, nil
}

// pause is how long a top-up waits until the provider is asked again.
func pause(attempts int64, first, most time.Duration) time.Duration {
	for range min(attempts, 20) {
		if first >= most/2 {
			return most
		}
		first *= 2
	}
	return min(first, most)
}

func (t topUp) message() *paymentv1.TopUpAnswer {
	states := map[topUpState]paymentv1.TopUpState{
		pending:   paymentv1.TopUpState_PENDING,
		confirmed: paymentv1.TopUpState_CONFIRMED,
		declined:  paymentv1.TopUpState_DECLINED,
	}
	return &paymentv1.TopUpAnswer{
		TopUpId: t.id, State: states[t.state], Amount: t.amount.message(), CardLastFour: t.lastFour, DeclineReason: t.declined,
		CreateTime: timestamppb.New(t.created), UpdateTime: timestamppb.New(t.updated),
	}
}

// shorten cuts a text to at most so many characters.
func shorten(text string, most int) string {
	n := 0
	for i := range text {
		if n == most {
			return text[:i]
		}
		n++
	}
	return text
}
