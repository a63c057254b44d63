package main

import (
	"context"
	"fmt"
	"time"

	"github.com/gowarren/warren/store"
)

// attempt counts one more sign-in of an account, or of a door to it, before
// anything is checked, so that many at the same moment count as well. It returns how many there were
// since the window began, and when the window ends.
func (s *users) attempt(ctx context.Context, account string, now time.Time, window time.Duration) (tries int64, ends time.Time, err error) {
	oldest := now.Add(-window)
	err = s.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		// MySQL assigns from left to right: the window's beginning comes last.
		_, err := tx.Exec(ctx, `INSERT INTO attempts (account, tries, window_time) VALUES (?, 1, ?)
			ON CONFLICT (account) DO UPDATE SET
				tries = CASE WHEN attempts.window_time <= ? THEN 1 ELSE attempts.tries + 1 END,
				window_time = CASE WHEN attempts.window_time <= ? THEN excluded.window_time ELSE attempts.window_time END`,
			account, now, oldest, oldest)
		if err != nil {
			return err
		}
		var began time.Time
		if err := tx.QueryRow(ctx, `SELECT tries, window_time FROM attempts WHERE account = ?`, account).Scan(&tries, &began); err != nil {
			return err
		}
		ends = began.Add(window)
		return nil
	})
	if err != nil {
		return 0, time.Time{}, fmt.Errorf("count sign-in: %w", err)
	}
	return tries, ends, nil
}

// forgive takes back one attempt that was not the caller's fault.
func (s *users) forgive(ctx context.Context, account, door string) error {
	_, err := s.db.Exec(ctx, `UPDATE attempts SET tries = tries - 1 WHERE account IN (?, ?) AND tries > 0`, account, door)
	return err
}

// succeeded forgets the attempts through a door. Of the account's it takes back
// this one only: the owner's success must not clear a guesser's count.
func (s *users) succeeded(ctx context.Context, account, door string) error {
	_, err := s.db.Exec(ctx, `DELETE FROM attempts WHERE account = ?`, door)
	if err == nil {
		_, err = s.db.Exec(ctx, `UPDATE attempts SET tries = tries - 1 WHERE account = ? AND tries > 0`, account)
	}
	if err != nil {
		return fmt.Errorf("forget sign-ins: %w", err)
	}
	return nil
}
