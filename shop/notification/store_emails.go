package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/gowarren/warren/rpc"
	notificationv1 "github.com/gowarren/warren/shop/api/shop/notification/v1"
	"github.com/gowarren/warren/shop/notification/internal/mail"
	"github.com/gowarren/warren/store"
)

const emailColumns = `id, user_id, kind, facts, state, attempts, last_error, create_time, update_time`

func scanEmail(scan func(...any) error) (email, error) {
	var e email
	var kind, about, state string
	err := scan(&e.id, &e.user, &kind, &about, &state, &e.attempts, &e.problem, &e.created, &e.updated)
	if errors.Is(err, store.ErrNoRows) {
		return email{}, rpc.Errorf(notificationv1.Reason_EMAIL_NOT_FOUND, "there is no such e-mail")
	}
	if err != nil {
		return email{}, err
	}
	e.kind, e.state = notificationv1.Kind(notificationv1.Kind_value[kind]), emailState(state)
	err = json.Unmarshal([]byte(about), &e.facts)
	return e, err
}

// due returns when the next e-mail is due, if there is one.
func (s *feeds) due(ctx context.Context) (at time.Time, there bool, err error) {
	err = s.db.QueryRow(ctx, `SELECT due_time FROM emails WHERE state = ? ORDER BY due_time LIMIT 1`, string(waiting)).Scan(&at)
	if errors.Is(err, store.ErrNoRows) {
		return time.Time{}, false, nil
	}
	if err != nil {
		return time.Time{}, false, fmt.Errorf("look for due e-mails: %w", err)
	}
	return at, true, nil
}

// claim takes e-mails that are due, for as long as the lease says: if this
// process dies, others take them then.
func (s *feeds) claim(ctx context.Context, now time.Time, lease time.Duration, limit int) ([]email, error) {
	var out []email
	err := s.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		out, err = store.Collect(ctx, tx, scanEmail, `SELECT `+emailColumns+` FROM emails WHERE state = ? AND due_time <= ?
			ORDER BY due_time LIMIT ? FOR UPDATE SKIP LOCKED`, string(waiting), now, limit)
		if err != nil {
			return err
		}
		for i := range out {
			out[i].attempts++
			_, err := tx.Exec(ctx, `UPDATE emails SET attempts = ?, due_time = ? WHERE id = ?`, out[i].attempts, now.Add(lease), out[i].id)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("claim e-mails: %w", err)
	}
	return out, nil
}

// settle keeps what became of an attempt, unless the e-mail was claimed again
// meanwhile. One that was sent stays so, whoever says otherwise.
func (s *feeds) settle(ctx context.Context, e email, due time.Time) error {
	query, args := `UPDATE emails SET state = ?, last_error = ?, update_time = ?, due_time = ? WHERE id = ? AND state = ?`,
		[]any{string(e.state), e.problem, e.updated, due, e.id, string(waiting)}
	if e.state != sent {
		query += ` AND attempts = ?`
		args = append(args, e.attempts)
	}
	if _, err := s.db.Exec(ctx, query, args...); err != nil {
		return fmt.Errorf("settle e-mail %s: %w", e.id, err)
	}
	return nil
}

// contact returns where e-mails to a user go, if that is known.
func (s *feeds) contact(ctx context.Context, user string) (address, name string, known bool, err error) {
	err = s.db.QueryRow(ctx, `SELECT email, display_name FROM contacts WHERE user_id = ?`, user).Scan(&address, &name)
	if errors.Is(err, store.ErrNoRows) {
		return "", "", false, nil
	}
	if err != nil {
		return "", "", false, fmt.Errorf("read contact: %w", err)
	}
	return address, name, true, nil
}

// emails returns those of a state before a place, the latest first; nil is for
// the first page.
func (s *feeds) emails(ctx context.Context, state emailState, before *place, limit int) ([]email, error) {
	query, args := `SELECT `+emailColumns+` FROM emails WHERE state = ?`, []any{string(state)}
	if before != nil {
		query += ` AND (create_time < ? OR (create_time = ? AND id < ?))`
		args = append(args, before.Created, before.Created, before.ID)
	}
	list, err := store.Collect(ctx, s.db, scanEmail, query+` ORDER BY create_time DESC, id DESC LIMIT ?`, append(args, limit)...)
	if err != nil {
		return nil, fmt.Errorf("list e-mails: %w", err)
	}
	return list, nil
}

// retry has a parked e-mail tried again, with all attempts before it.
func (s *feeds) retry(ctx context.Context, id string, now time.Time) (email, error) {
	var e email
	err := s.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		e, err = scanEmail(tx.QueryRow(ctx, `SELECT `+emailColumns+` FROM emails WHERE id = ? FOR UPDATE`, id).Scan)
		if err != nil {
			return err
		}
		if e.state != parked {
			return rpc.Errorf(notificationv1.Reason_EMAIL_NOT_PARKED, "the e-mail is %s", e.state)
		}
		e.state, e.attempts, e.updated = waiting, 0, now.UTC().Truncate(time.Microsecond)
		_, err = tx.Exec(ctx, `UPDATE emails SET state = ?, attempts = 0, due_time = ?, update_time = ? WHERE id = ?`, string(e.state), now, e.updated, id)
		return err
	})
	if err != nil {
		return email{}, fmt.Errorf("retry e-mail: %w", err)
	}
	return e, nil
}

// inbox keeps e-mails while there is no mail server.
type inbox struct {
	db   *store.DB
	user string
}

// send keeps an e-mail, once.
func (i inbox) send(ctx context.Context, m mail.Message) error {
	_, err := i.db.Exec(ctx, `INSERT INTO inbox (id, user_id, subject, body, html, create_time) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`,
		m.ID, i.user, shorten(m.Subject, 300), m.Text, m.HTML, m.Date)
	if err != nil {
		return fmt.Errorf("keep e-mail in the inbox: %w", err)
	}
	return nil
}
