package shards

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/gowarren/warren/store"
)

// Action is something that somebody did with a shard.
type Action struct {
	Shard int
	// Name is what was done, such as "move".
	Name string
	// Target is the database's URL that it was done with, if any.
	Target string
	// Author is who did it, and Reason why.
	Author, Reason string
	Time           time.Time
}

// actionsShown is how many actions of a shard are told of.
const actionsShown = 100

// Record keeps what somebody is about to do. What is secret in the target isn't
// kept.
func (s *Shards) Record(ctx context.Context, a Action) error {
	if _, err := s.place(a.Shard); err != nil {
		return err
	}
	if a.Target != "" {
		a.Target = shown(a.Target)
	}
	_, err := s.home.db.Exec(ctx, `INSERT INTO warren_shard_actions (id, shard, action, target, author, reason, acted_at) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		rand.Text(), a.Shard, a.Name, a.Target, a.Author, a.Reason, time.Now())
	if err != nil {
		return fmt.Errorf("record what is done with shard %d: %w", a.Shard, err)
	}
	return nil
}

// Actions returns what was done with a shard last, the last one first.
func (s *Shards) Actions(ctx context.Context, shard int) (out []Action, err error) {
	err = s.home.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		out = nil
		rows, err := tx.Query(ctx, `SELECT shard, action, target, author, reason, acted_at FROM warren_shard_actions
			WHERE shard = ? ORDER BY acted_at DESC, id LIMIT ?`, shard, actionsShown)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var a Action
			if err := rows.Scan(&a.Shard, &a.Name, &a.Target, &a.Author, &a.Reason, &a.Time); err != nil {
				return err
			}
			out = append(out, a)
		}
		return rows.Err()
	}, store.ReadOnly)
	if err != nil {
		return nil, fmt.Errorf("read what was done with shard %d: %w", shard, err)
	}
	return out, nil
}
