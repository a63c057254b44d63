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

const topUpColumns = `id, customer_id, state, currency, amount, card_token, card_last_four, decline_reason, attempts, create_time, update_time`

func scanTopUp(scan func(...any) error) (topUp, error) {
	var t topUp
	var state string
	err := scan(&t.id, &t.customer, &state, &t.amount.currency, &t.amount.units, &t.token, &t.lastFour, &t.declined, &t.attempts, &t.created, &t.updated)
	if errors.Is(err, store.ErrNoRows) {
		return topUp{}, errNoTopUp()
	}
	t.state = topUpState(state)
	return t, err
}

func errNoTopUp() error {
	return rpc.Errorf(paymentv1.Reason_TOP_UP_NOT_FOUND, "there is no such top-up")
}

// begin keeps a top-up that is to be charged, and calls charge once it is kept.
func (s *ledger) begin(ctx context.Context, t topUp, charge func()) error {
	err := s.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		wallet, err := openWallet(ctx, tx, t.customer, t.amount.currency)
		if err != nil {
			return err
		}
		// Half is left for what is under way at the same time.
		if wallet.balance > maxWallet/2 {
			return rpc.Errorf(paymentv1.Reason_WALLET_FULL, "the wallet has enough")
		}
		_, err = tx.Exec(ctx, `INSERT INTO top_ups (`+topUpColumns+`, due_time) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?)`,
			t.id, t.customer, string(t.state), t.amount.currency, t.amount.units, t.token, t.lastFour, t.declined, t.created, t.updated, t.created)
		tx.AfterCommit(charge)
		return err
	})
	if err != nil {
		return fmt.Errorf("begin top-up: %w", err)
	}
	return nil
}

// topUp returns a customer's top-up; that of somebody else does not exist.
func (s *ledger) topUp(ctx context.Context, id, customer string) (topUp, error) {
	t, err := scanTopUp(s.db.QueryRow(ctx, `SELECT `+topUpColumns+` FROM top_ups WHERE id = ? AND customer_id = ?`, id, customer).Scan)
	if err != nil {
		return topUp{}, fmt.Errorf("read top-up: %w", err)
	}
	return t, nil
}

// due returns when the next pending top-up is due, if there is one.
func (s *ledger) due(ctx context.Context) (at time.Time, there bool, err error) {
	err = s.db.QueryRow(ctx, `SELECT due_time FROM top_ups WHERE state = ? ORDER BY due_time LIMIT 1`, string(pending)).Scan(&at)
	if errors.Is(err, store.ErrNoRows) {
		return time.Time{}, false, nil
	}
	if err != nil {
		return time.Time{}, false, fmt.Errorf("look for due top-ups: %w", err)
	}
	return at, true, nil
}

// claim takes pending top-ups that are due, for as long as the lease says: if
// this process dies, others take them then.
func (s *ledger) claim(ctx context.Context, now time.Time, lease time.Duration, limit int) ([]topUp, error) {
	var out []topUp
	err := s.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		var err error
		if out, err = dueTopUps(ctx, tx, now, limit); err != nil {
			return err
		}
		for i := range out {
			out[i].attempts++
			_, err := tx.Exec(ctx, `UPDATE top_ups SET attempts = ?, due_time = ? WHERE id = ?`, out[i].attempts, now.Add(lease), out[i].id)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("claim top-ups: %w", err)
	}
	return out, nil
}

func dueTopUps(ctx context.Context, tx *store.Tx, now time.Time, limit int) ([]topUp, error) {
	return store.Collect(ctx, tx, scanTopUp, `SELECT `+topUpColumns+` FROM top_ups WHERE state = ? AND due_time <= ?
		ORDER BY due_time LIMIT ? FOR UPDATE SKIP LOCKED`, string(pending), now, limit)
}

// postpone has the provider asked again later.
func (s *ledger) postpone(ctx context.Context, id string, until time.Time) error {
	_, err := s.db.Exec(ctx, `UPDATE top_ups SET due_time = ? WHERE id = ? AND state = ?`, until, id, string(pending))
	if err != nil {
		return fmt.Errorf("postpone top-up %s: %w", id, err)
	}
	return nil
}

// settle ends a pending top-up, and credits the wallet if the provider has the
// money. It does so once, however often it is told.
func (s *ledger) settle(ctx context.Context, id string, v verdict, now time.Time) error {
	err := s.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		before, err := scanTopUp(tx.QueryRow(ctx, `SELECT `+topUpColumns+` FROM top_ups WHERE id = ? FOR UPDATE`, id).Scan)
		if err != nil {
			return err
		}
		t, postings, err := before.settle(v, now)
		if err != nil || t.state == before.state {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE top_ups SET state = ?, decline_reason = ?, update_time = ? WHERE id = ?`, string(t.state), t.declined, t.updated, id)
		if err != nil {
			return err
		}
		if err := postAll(ctx, tx, postings, now); err != nil {
			return err
		}
		return events.Publish(ctx, tx, t.event())
	})
	if err != nil {
		return fmt.Errorf("settle top-up %s: %w", id, err)
	}
	return nil
}
