package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"time"

	"github.com/gowarren/warren/rpc"
	paymentv1 "github.com/gowarren/warren/shop/api/shop/payment/v1"
	"github.com/gowarren/warren/store"
)

//go:embed migrations/*.sql
var migrations embed.FS

// ledger is the books, and what moves money in them.
type ledger struct{ db *store.DB }

func newLedger(db *store.DB) *ledger { return &ledger{db: db} }

// openWallet makes sure that a customer has a wallet of the currency.
func openWallet(ctx context.Context, tx *store.Tx, customer, currency string) (account, error) {
	for _, a := range []account{walletOf(customer, currency), heldOf(customer, currency)} {
		if err := openAccount(ctx, tx, a); err != nil {
			return account{}, err
		}
	}
	wallet, err := readAccount(ctx, tx, walletOf(customer, currency).id, ``)
	if err == nil && wallet.currency != currency {
		err = rpc.Errorf(paymentv1.Reason_OTHER_CURRENCY, "the wallet is in %s, not in %s", wallet.currency, currency)
	}
	return wallet, err
}

func openAccount(ctx context.Context, tx *store.Tx, a account) error {
	_, err := tx.Exec(ctx, `INSERT INTO accounts (id, kind, currency, balance, entries) VALUES (?, ?, ?, 0, 0) ON CONFLICT (id) DO NOTHING`,
		a.id, string(a.kind), a.currency)
	return err
}

func readAccount(ctx context.Context, q store.Querier, id, lock string) (account, error) {
	a, kind := account{id: id}, ""
	err := q.QueryRow(ctx, `SELECT kind, currency, balance, entries FROM accounts WHERE id = ?`+lock, id).Scan(&kind, &a.currency, &a.balance, &a.entries)
	a.kind = accountKind(kind)
	return a, err
}

// locked reads an account that nobody else changes until the transaction ends.
// Those of the shop are opened when they are first needed; a customer without
// a wallet has nothing to give.
func locked(ctx context.Context, tx *store.Tx, wanted account) (account, error) {
	a, err := readAccount(ctx, tx, wanted.id, ` FOR UPDATE`)
	if !errors.Is(err, store.ErrNoRows) {
		return a, err
	}
	if wanted.kind == walletAccount || wanted.kind == heldAccount {
		return a, rpc.Errorf(paymentv1.Reason_INSUFFICIENT_FUNDS, "the customer has no money here yet")
	}
	if err := openAccount(ctx, tx, wanted); err != nil {
		return a, err
	}
	return readAccount(ctx, tx, wanted.id, ` FOR UPDATE`)
}

// post makes a transaction of the ledger. Nothing else writes to accounts,
// transactions or entries.
func post(ctx context.Context, tx *store.Tx, p posting, now time.Time) error {
	if err := p.check(); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `INSERT INTO transactions (id, kind, reference, currency, create_time) VALUES (?, ?, ?, ?, ?)`,
		p.id(), p.kind.String(), p.reference, p.currency, now)
	if err != nil {
		return fmt.Errorf("post %s: %w", p.id(), err)
	}
	for _, l := range p.sorted() {
		if err := enter(ctx, tx, p, l); err != nil {
			return fmt.Errorf("post %s: %w", p.id(), err)
		}
	}
	return nil
}

func enter(ctx context.Context, tx *store.Tx, p posting, l leg) error {
	before, err := locked(ctx, tx, l.account)
	if err != nil {
		return err
	}
	a, err := before.apply(l.amount, p.currency)
	if err != nil {
		return err
	}
	n, err := tx.Exec(ctx, `UPDATE accounts SET balance = ?, entries = ? WHERE id = ? AND entries = ?`, a.balance, a.entries, a.id, before.entries)
	if err != nil {
		return err
	}
	if n != 1 { // the lock says this doesn't happen
		return fmt.Errorf("account %s changed meanwhile", a.id)
	}
	_, err = tx.Exec(ctx, `INSERT INTO entries (account_id, seq, transaction_id, amount, balance) VALUES (?, ?, ?, ?, ?)`,
		a.id, a.entries, p.id(), l.amount, a.balance)
	return err
}

func postAll(ctx context.Context, tx *store.Tx, postings []posting, now time.Time) error {
	for _, p := range postings {
		if err := post(ctx, tx, p, now); err != nil {
			return err
		}
	}
	return nil
}

// wallet returns what a customer has, and what is held of it: nothing of the
// currency given where there is no wallet yet.
func (s *ledger) wallet(ctx context.Context, customer, currency string) (available, set money, err error) {
	available, set = money{0, currency}, money{0, currency}
	err = s.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		for _, part := range []struct {
			id  string
			out *money
		}{{walletOf(customer, currency).id, &available}, {heldOf(customer, currency).id, &set}} {
			a, err := readAccount(ctx, tx, part.id, ``)
			if errors.Is(err, store.ErrNoRows) {
				continue
			}
			if err != nil {
				return err
			}
			*part.out = money{a.balance, a.currency}
		}
		return nil
	}, store.ReadOnly)
	if err != nil {
		return money{}, money{}, fmt.Errorf("read wallet: %w", err)
	}
	return available, set, nil
}

// entry is one movement of an account.
type entry struct {
	seq       int64
	kind      string
	reference string
	amount    money
	balance   money
	created   time.Time
}

// entries returns what moved in an account, the latest first, before an entry;
// 0 is for the first page.
func (s *ledger) entries(ctx context.Context, accountID string, before int64, limit int) ([]entry, error) {
	query, args := `SELECT e.seq, t.kind, t.reference, t.currency, e.amount, e.balance, t.create_time
		FROM entries e JOIN transactions t ON t.id = e.transaction_id WHERE e.account_id = ?`, []any{accountID}
	if before > 0 {
		query += ` AND e.seq < ?`
		args = append(args, before)
	}
	rows, err := s.db.Query(ctx, query+` ORDER BY e.seq DESC LIMIT ?`, append(args, limit)...)
	if err != nil {
		return nil, fmt.Errorf("list entries: %w", err)
	}
	defer rows.Close()
	var out []entry
	for rows.Next() {
		var e entry
		if err := rows.Scan(&e.seq, &e.kind, &e.reference, &e.amount.currency, &e.amount.units, &e.balance.units, &e.created); err != nil {
			return nil, fmt.Errorf("list entries: %w", err)
		}
		e.balance.currency = e.amount.currency
		out = append(out, e)
	}
	return out, rows.Err()
}
