package main

import (
	"context"
	"fmt"
	"time"

	"github.com/gowarren/warren/store"
)

// rotateKeys returns the keys there are, after making the one that is due and
// removing those that are outdated. Instances do so one at a time, and so agree.
func (s *users) rotateKeys(ctx context.Context, now time.Time, age time.Duration) (keySet, error) {
	keys, err := readKeys(ctx, s.db, ``)
	if err != nil {
		return nil, err
	}
	if _, due := keys.successor(now, age); !due && len(keys.outdated(now)) == 0 {
		return keys, nil
	}
	err = s.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := locked(ctx, tx, "signing keys"); err != nil {
			return err
		}
		if keys, err = readKeys(ctx, tx, ` FOR UPDATE`); err != nil {
			return err
		}
		for _, id := range keys.outdated(now) {
			if _, err := tx.Exec(ctx, `DELETE FROM signing_keys WHERE id = ?`, id); err != nil {
				return err
			}
		}
		active, due := keys.successor(now, age)
		if !due {
			return nil
		}
		return addKey(ctx, tx, now, active)
	})
	if err != nil {
		return nil, fmt.Errorf("rotate signing keys: %w", err)
	}
	return readKeys(ctx, s.db, ``)
}

func addKey(ctx context.Context, tx *store.Tx, now, active time.Time) error {
	k, err := newSigningKey(now, active)
	if err != nil {
		return err
	}
	text, err := k.text()
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO signing_keys (id, private_key, create_time, active_time) VALUES (?, ?, ?, ?)`, k.id, text, k.created, k.active)
	return err
}

func readKeys(ctx context.Context, q store.Querier, lock string) (keySet, error) {
	rows, err := q.Query(ctx, `SELECT id, private_key, create_time, active_time FROM signing_keys ORDER BY active_time, id`+lock)
	if err != nil {
		return nil, fmt.Errorf("read signing keys: %w", err)
	}
	defer rows.Close()
	var out keySet
	for rows.Next() {
		var k signingKey
		var text string
		if err := rows.Scan(&k.id, &text, &k.created, &k.active); err != nil {
			return nil, fmt.Errorf("read signing keys: %w", err)
		}
		if k.private, err = parsePrivate(text); err != nil {
			return nil, fmt.Errorf("read signing key %s: %w", k.id, err)
		}
		out = append(out, k)
	}
	return out, rows.Err()
}
