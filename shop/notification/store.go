package main

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/gowarren/warren/rpc"
	notificationv1 "github.com/gowarren/warren/shop/api/shop/notification/v1"
	"github.com/gowarren/warren/store"
)

//go:embed migrations/*.sql
var migrations embed.FS

// feeds are what users were told, and the e-mails to them.
type feeds struct{ db *store.DB }

func newFeeds(db *store.DB) *feeds { return &feeds{db: db} }

// tell adds a notification and its e-mail, and calls mail once they are kept. A
// second time it does nothing.
func tell(ctx context.Context, tx *store.Tx, n notification, mail func()) error {
	about, err := json.Marshal(n.facts)
	if err != nil {
		return err
	}
	added, err := tx.Exec(ctx, `INSERT INTO notifications (id, user_id, kind, order_id, title, body, create_time) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO NOTHING`, n.id, n.user, n.kind.String(), n.facts.Order, n.title, n.text, n.created)
	if err != nil {
		return fmt.Errorf("keep notification: %w", err)
	}
	if added == 0 {
		return nil
	}
	_, err = tx.Exec(ctx, `INSERT INTO emails (`+emailColumns+`, due_time) VALUES (?, ?, ?, ?, ?, 0, '', ?, ?, ?)`,
		n.id, n.user, n.kind.String(), string(about), string(waiting), n.created, n.created, n.created)
	if err != nil {
		return fmt.Errorf("keep e-mail: %w", err)
	}
	tx.AfterCommit(mail)
	return nil
}

// meet notes where e-mails to a user go, and has those sent that waited for it.
func meet(ctx context.Context, tx *store.Tx, user, address, name string, now time.Time) error {
	_, err := tx.Exec(ctx, `INSERT INTO contacts (user_id, email, display_name) VALUES (?, ?, ?)
		ON CONFLICT (user_id) DO UPDATE SET email = excluded.email, display_name = excluded.display_name`, user, address, name)
	if err == nil {
		_, err = tx.Exec(ctx, `UPDATE emails SET due_time = ? WHERE user_id = ? AND state = ?`, now, user, string(waiting))
	}
	if err != nil {
		return fmt.Errorf("keep contact: %w", err)
	}
	return nil
}

const columns = `id, user_id, kind, order_id, title, body, read_time, create_time`

func scanNotification(scan func(...any) error) (notification, error) {
	var n notification
	var kind string
	var read *time.Time
	err := scan(&n.id, &n.user, &kind, &n.facts.Order, &n.title, &n.text, &read, &n.created)
	if errors.Is(err, store.ErrNoRows) {
		return notification{}, rpc.Errorf(notificationv1.Reason_NOTIFICATION_NOT_FOUND, "there is no such notification")
	}
	n.kind, n.read = notificationv1.Kind(notificationv1.Kind_value[kind]), read != nil
	return n, err
}

// place is where a page ends.
type place struct {
	Created int64  `json:"t"` // microseconds
	ID      string `json:"i"`
}

func (n notification) place() place { return place{n.created.UnixMicro(), n.id} }
func (e email) place() place        { return place{e.created.UnixMicro(), e.id} }

// list returns what a user was told before a place, the latest first; nil is for
// the first page.
func (s *feeds) list(ctx context.Context, user string, unread bool, before *place, limit int) ([]notification, error) {
	query, args := `SELECT `+columns+` FROM notifications WHERE user_id = ?`, []any{user}
	if unread {
		query += ` AND read_time IS NULL`
	}
	if before != nil {
		query += ` AND (create_time < ? OR (create_time = ? AND id < ?))`
		args = append(args, before.Created, before.Created, before.ID)
	}
	out, err := store.Collect(ctx, s.db, scanNotification, query+` ORDER BY create_time DESC, id DESC LIMIT ?`, append(args, limit)...)
	if err != nil {
		return nil, fmt.Errorf("list notifications: %w", err)
	}
	return out, nil
}

// markRead notes that a user read something; somebody else's does not exist.
func (s *feeds) markRead(ctx context.Context, user, id string, now time.Time) (notification, error) {
	var n notification
	err := s.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE notifications SET read_time = ? WHERE id = ? AND user_id = ? AND read_time IS NULL`, now, id, user)
		if err != nil {
			return err
		}
		n, err = scanNotification(tx.QueryRow(ctx, `SELECT `+columns+` FROM notifications WHERE id = ? AND user_id = ?`, id, user).Scan)
		return err
	})
	if err != nil {
		return notification{}, fmt.Errorf("mark read: %w", err)
	}
	return n, nil
}

// markAllRead notes that a user read something and all before it.
func (s *feeds) markAllRead(ctx context.Context, user, id string, now time.Time) error {
	err := s.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		n, err := scanNotification(tx.QueryRow(ctx, `SELECT `+columns+` FROM notifications WHERE id = ? AND user_id = ?`, id, user).Scan)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE notifications SET read_time = ? WHERE user_id = ? AND read_time IS NULL
			AND (create_time < ? OR (create_time = ? AND id <= ?))`, now, user, n.created, n.created, n.id)
		return err
	})
	if err != nil {
		return fmt.Errorf("mark all read: %w", err)
	}
	return nil
}

// clean removes what was kept for long enough. E-mails that wait stay.
func (s *feeds) clean(ctx context.Context, before time.Time) error {
	for _, statement := range []string{
		`DELETE FROM notifications WHERE create_time < ?`,
		`DELETE FROM emails WHERE state <> 'waiting' AND create_time < ?`,
		`DELETE FROM inbox WHERE create_time < ?`,
	} {
		if _, err := s.db.Exec(ctx, statement, before); err != nil {
			return fmt.Errorf("clean up: %w", err)
		}
	}
	return nil
}
