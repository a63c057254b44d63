package main

import (
	"context"
	"fmt"

	"github.com/gowarren/warren/store"
)

// position is how far a check of the books has come: first the accounts, then
// the transactions, each by id.
type position struct {
	Transactions bool   `json:"t"`
	After        string `json:"a"`
}

// finding is what a page of a check found.
type finding struct {
	accounts, transactions int64
	problems               []string
	next                   *position
}

func (f *finding) wrongf(format string, args ...any) {
	f.problems = append(f.problems, fmt.Sprintf(format, args...))
}

// verify checks the books from a position on, at one moment of them. It reads
// what was written, and believes none of the rules that wrote it.
func (s *ledger) verify(ctx context.Context, at position, limit int) (finding, error) {
	var f finding
	err := s.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		f = finding{}
		if at.Transactions {
			return verifyTransactions(ctx, tx, &f, at.After, limit)
		}
		if at.After == "" {
			if err := verifyTotals(ctx, tx, &f); err != nil {
				return err
			}
		}
		return verifyAccounts(ctx, tx, &f, at.After, limit)
	}, store.ReadOnly)
	if err != nil {
		return finding{}, fmt.Errorf("verify ledger: %w", err)
	}
	return f, nil
}

// verifyTotals checks that over all accounts as much was credited as debited,
// and that nothing went back beyond what came.
func verifyTotals(ctx context.Context, tx *store.Tx, f *finding) error {
	return each(ctx, tx, func(scan func(...any) error) error {
		var currency string
		var total int64
		if err := scan(&currency, &total); err != nil {
			return err
		}
		f.wrongf("over all accounts in %s the balances sum up to %d instead of nothing", currency, total)
		return nil
	}, `SELECT currency, SUM(balance) FROM accounts GROUP BY currency HAVING SUM(balance) <> 0`)
}

// verifyAccounts checks that each account is what its entries say, and that
// what is held is what the payments under way say.
func verifyAccounts(ctx context.Context, tx *store.Tx, f *finding, after string, limit int) error {
	last := ""
	err := each(ctx, tx, func(scan func(...any) error) error {
		var a account
		var kind string
		var entries, highest, total, held int64
		if err := scan(&a.id, &kind, &a.currency, &a.balance, &a.entries, &entries, &highest, &total, &held); err != nil {
			return err
		}
		f.accounts++
		last = a.id
		if entries != a.entries || highest != a.entries {
			f.wrongf("account %s has %d entries, the last of number %d, instead of %d", a.id, entries, highest, a.entries)
		}
		if total != a.balance {
			f.wrongf("account %s holds %d; its entries sum up to %d", a.id, a.balance, total)
		}
		if a.balance < 0 && accountKind(kind) != cardsAccount {
			f.wrongf("account %s is below zero: %d", a.id, a.balance)
		}
		if accountKind(kind) == heldAccount && held != a.balance {
			f.wrongf("account %s holds %d; the payments under way are of %d", a.id, a.balance, held)
		}
		return nil
	}, `SELECT a.id, a.kind, a.currency, a.balance, a.entries,
			(SELECT COUNT(*) FROM entries e WHERE e.account_id = a.id),
			(SELECT COALESCE(MAX(seq), 0) FROM entries e WHERE e.account_id = a.id),
			(SELECT COALESCE(SUM(amount), 0) FROM entries e WHERE e.account_id = a.id),
			(SELECT COALESCE(SUM(amount), 0) FROM payments p
				WHERE a.kind = 'held' AND p.customer_id = SUBSTR(a.id, 6) AND p.state = 'held')
		FROM accounts a WHERE a.id > ? ORDER BY a.id LIMIT ?`, after, limit)
	f.next = &position{After: last}
	if f.accounts < int64(limit) {
		f.next = &position{Transactions: true}
	}
	return err
}

// verifyTransactions checks that each transaction credits what it debits.
func verifyTransactions(ctx context.Context, tx *store.Tx, f *finding, after string, limit int) error {
	last := ""
	err := each(ctx, tx, func(scan func(...any) error) error {
		var entries, total int64
		if err := scan(&last, &entries, &total); err != nil {
			return err
		}
		f.transactions++
		if total != 0 || entries < 2 {
			f.wrongf("transaction %s has %d entries that sum up to %d", last, entries, total)
		}
		return nil
	}, `SELECT t.id, (SELECT COUNT(*) FROM entries e WHERE e.transaction_id = t.id),
			(SELECT COALESCE(SUM(amount), 0) FROM entries e WHERE e.transaction_id = t.id)
		FROM transactions t WHERE t.id > ? ORDER BY t.id LIMIT ?`, after, limit)
	if f.transactions == int64(limit) {
		f.next = &position{Transactions: true, After: last}
	}
	return err
}

func each(ctx context.Context, tx *store.Tx, row func(scan func(...any) error) error, query string, args ...any) error {
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}
