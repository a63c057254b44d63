package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gowarren/warren/events"
	"github.com/gowarren/warren/rpc"
	paymentv1 "github.com/gowarren/warren/shop/api/shop/payment/v1"
	"github.com/gowarren/warren/store"
)

const paymentColumns = `id, customer_id, state, currency, amount, captured, refunded, create_time, update_time`

func readPayment(ctx context.Context, q store.Querier, id, lock string) (payment, error) {
	var p payment
	var state string
	err := q.QueryRow(ctx, `SELECT `+paymentColumns+` FROM payments WHERE id = ?`+lock, id).
		Scan(&p.id, &p.customer, &state, &p.currency, &p.amount, &p.captured, &p.refunded, &p.created, &p.updated)
	if errors.Is(err, store.ErrNoRows) {
		return payment{}, rpc.Errorf(paymentv1.Reason_PAYMENT_NOT_FOUND, "there is no payment %s", id)
	}
	p.state = paymentState(state)
	return p, err
}

func (s *ledger) payment(ctx context.Context, id string) (payment, error) {
	p, err := readPayment(ctx, s.db, id, ``)
	if err != nil {
		return payment{}, fmt.Errorf("read payment %s: %w", id, err)
	}
	return p, nil
}

// hold sets an amount of a wallet aside. A second time it does nothing more.
func (s *ledger) hold(ctx context.Context, id, customer string, amount money, now time.Time) error {
	now = now.UTC().Truncate(time.Microsecond)
	wanted := payment{id: id, customer: customer, state: held, currency: amount.currency, amount: amount.units, created: now, updated: now}
	err := s.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		// Of two at the same moment the second waits here for the first.
		n, err := tx.Exec(ctx, `INSERT INTO payments (`+paymentColumns+`) VALUES (?, ?, ?, ?, ?, 0, 0, ?, ?) ON CONFLICT (id) DO NOTHING`,
			wanted.id, wanted.customer, string(wanted.state), wanted.currency, wanted.amount, wanted.created, wanted.updated)
		if err != nil {
			return err
		}
		if n == 0 {
			there, err := readPayment(ctx, tx, id, ` FOR UPDATE`)
			if err != nil {
				return err
			}
			return there.again(wanted)
		}
		return post(ctx, tx, wanted.holding(), now)
	})
	if err != nil {
		return fmt.Errorf("hold for payment %s: %w", id, err)
	}
	return nil
}

// void gives back what is held.
func (s *ledger) void(ctx context.Context, id string, now time.Time) error {
	err := s.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		p, err := readPayment(ctx, tx, id, ` FOR UPDATE`)
		if err != nil {
			return err
		}
		p, postings, err := p.void()
		if err != nil {
			return err
		}
		return savePayment(ctx, tx, p, postings, now)
	})
	if err != nil {
		return fmt.Errorf("void payment %s: %w", id, err)
	}
	return nil
}

// capture takes an amount of what is held, nil for all, and returns it.
func (s *ledger) capture(ctx context.Context, id string, amount *money, now time.Time) (money, error) {
	var out money
	err := s.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		p, err := readPayment(ctx, tx, id, ` FOR UPDATE`)
		if err != nil {
			return err
		}
		p, postings, err := p.capture(amount)
		if err != nil {
			return err
		}
		if out = p.money(p.captured); len(postings) == 0 {
			return nil
		}
		if err := savePayment(ctx, tx, p, postings, now); err != nil {
			return err
		}
		return events.Publish(ctx, tx, &paymentv1.PaymentCaptured{PaymentId: id, CustomerId: p.customer, Amount: out.message()})
	})
	if err != nil {
		return money{}, fmt.Errorf("capture payment %s: %w", id, err)
	}
	return out, nil
}

// refund gives back an amount of what was captured, nil for all that is left,
// and returns it. A second time it does nothing more.
func (s *ledger) refund(ctx context.Context, id, paymentID string, wanted *money, now time.Time) (money, error) {
	var out money
	err := s.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		p, err := readPayment(ctx, tx, paymentID, ` FOR UPDATE`)
		if err != nil {
			return err
		}
		there, again, err := refunded(ctx, tx, id, p)
		if err != nil {
			return err
		}
		if again && (wanted == nil || *wanted == there) {
			out = there
			return nil
		}
		if again {
			return rpc.Errorf(paymentv1.Reason_PAYMENT_EXISTS, "refund %s was of %s", id, there)
		}
		var postings []posting
		if p, out, postings, err = p.refund(id, wanted); err != nil {
			return err
		}
		return saveRefund(ctx, tx, id, p, out, postings, now)
	})
	if errors.Is(err, store.ErrConflict) { // of another payment, at the same moment
		err = rpc.Errorf(paymentv1.Reason_PAYMENT_EXISTS, "there is another refund %s", id)
	}
	if err != nil {
		return money{}, fmt.Errorf("refund payment %s: %w", paymentID, err)
	}
	return out, nil
}

// refunded returns the refund of that id, if there is one.
func refunded(ctx context.Context, tx *store.Tx, id string, p payment) (amount money, there bool, err error) {
	of := ""
	err = tx.QueryRow(ctx, `SELECT payment_id, amount FROM refunds WHERE id = ?`, id).Scan(&of, &amount.units)
	if errors.Is(err, store.ErrNoRows) {
		return money{}, false, nil
	}
	if err == nil && of != p.id {
		err = rpc.Errorf(paymentv1.Reason_PAYMENT_EXISTS, "refund %s is of another payment", id)
	}
	amount.currency = p.currency
	return amount, true, err
}

func saveRefund(ctx context.Context, tx *store.Tx, id string, p payment, amount money, postings []posting, now time.Time) error {
	_, err := tx.Exec(ctx, `INSERT INTO refunds (id, payment_id, amount, create_time) VALUES (?, ?, ?, ?)`, id, p.id, amount.units, now)
	if err != nil {
		return err
	}
	if err := savePayment(ctx, tx, p, postings, now); err != nil {
		return err
	}
	return events.Publish(ctx, tx, &paymentv1.PaymentRefunded{PaymentId: p.id, CustomerId: p.customer, Amount: amount.message(), RefundId: id})
}

// savePayment writes a payment that moved on, and what that moves. Nothing is
// written where nothing moves.
func savePayment(ctx context.Context, tx *store.Tx, p payment, postings []posting, now time.Time) error {
	if len(postings) == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, `UPDATE payments SET state = ?, captured = ?, refunded = ?, update_time = ? WHERE id = ?`,
		string(p.state), p.captured, p.refunded, now, p.id)
	if err != nil {
		return err
	}
	return postAll(ctx, tx, postings, now)
}
