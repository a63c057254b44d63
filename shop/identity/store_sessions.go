package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gowarren/warren/rpc"
	identityv1 "github.com/gowarren/warren/shop/api/shop/identity/v1"
	"github.com/gowarren/warren/store"
)

// grant is what opens or continues a session.
type grant struct {
	user    user
	session string
	token   string // the refresh token
	expires time.Time
}

// openSession begins a session of the user.
func (s *users) openSession(ctx context.Context, u user, now time.Time, life time.Duration) (grant, error) {
	token, hash := newRefreshToken()
	g := grant{user: u, session: newID(), token: token, expires: now.Add(life).UTC().Truncate(time.Microsecond)}
	err := s.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO sessions (id, user_id, create_time, expire_time, end_reason) VALUES (?, ?, ?, ?, '')`,
			g.session, u.id, now, g.expires)
		if err != nil {
			return err
		}
		return keepToken(ctx, tx, hash, g)
	})
	if err != nil {
		return grant{}, fmt.Errorf("open session: %w", err)
	}
	return g, nil
}

func keepToken(ctx context.Context, tx *store.Tx, hash string, g grant) error {
	_, err := tx.Exec(ctx, `INSERT INTO refresh_tokens (hash, session_id, expire_time) VALUES (?, ?, ?)`, hash, g.session, g.expires)
	return err
}

// reused says that a refresh token came a second time, and whose session ended
// for it.
type reused struct{ userID, session string }

// Error says what happened.
func (r *reused) Error() string { return "refresh token of session " + r.session + " was used before" }

func badRefreshToken() error {
	return rpc.Errorf(identityv1.Reason_BAD_REFRESH_TOKEN, "the refresh token is unknown or expired, or its session has ended: sign in again")
}

// refresh exchanges a refresh token for the next one. A token that was used
// before ends the session, as two hold it and one of them is a thief; the error
// is then *reused. A session of which most used tokens are remembered ends as
// well: to forget the oldest instead would let a thief refresh until the token
// that its owner still holds is not known to be used any more.
func (s *users) refresh(ctx context.Context, token string, now time.Time, life time.Duration, most int) (grant, error) {
	var g grant
	var ended error // told after the commit: the end of the session stays
	err := s.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		g, ended = grant{}, nil
		t, err := presented(ctx, tx, hashToken(token))
		if err != nil {
			return err
		}
		if t.ended != nil || !t.expires.After(now) {
			return badRefreshToken()
		}
		if t.used != nil {
			ended = &reused{userID: t.user, session: t.session}
			return endSession(ctx, tx, t.session, endedByReuse, now)
		}
		used, err := usedTokens(ctx, tx, t.session)
		if err != nil {
			return err
		}
		if used >= most {
			ended = badRefreshToken()
			return endSession(ctx, tx, t.session, endedByLoop, now)
		}
		g, err = rotate(ctx, tx, t, now, life)
		return err
	})
	if err != nil {
		return grant{}, fmt.Errorf("refresh session: %w", err)
	}
	if ended != nil {
		return grant{}, ended
	}
	return g, nil
}

// refreshToken is a refresh token with its session.
type refreshToken struct {
	hash, session, user string
	expires             time.Time
	used, ended         *time.Time
}

// presented returns a token and locks its session: of two who present tokens
// of one session at the same moment, one is first.
func presented(ctx context.Context, tx *store.Tx, hash string) (refreshToken, error) {
	t := refreshToken{hash: hash}
	steps := []struct {
		query string
		dest  []any
		key   *string
	}{
		{`SELECT session_id FROM refresh_tokens WHERE hash = ?`, []any{&t.session}, &t.hash},
		{`SELECT user_id, end_time FROM sessions WHERE id = ? FOR UPDATE`, []any{&t.user, &t.ended}, &t.session},
		{`SELECT expire_time, use_time FROM refresh_tokens WHERE hash = ? FOR UPDATE`, []any{&t.expires, &t.used}, &t.hash},
	}
	for _, step := range steps {
		err := tx.QueryRow(ctx, step.query, *step.key).Scan(step.dest...)
		if errors.Is(err, store.ErrNoRows) {
			return t, badRefreshToken()
		}
		if err != nil {
			return t, err
		}
	}
	return t, nil
}

// usedTokens returns how many used tokens of a session are remembered.
func usedTokens(ctx context.Context, tx *store.Tx, session string) (n int, err error) {
	err = tx.QueryRow(ctx, `SELECT COUNT(*) FROM refresh_tokens WHERE session_id = ? AND use_time IS NOT NULL`, session).Scan(&n)
	return n, err
}

// rotate uses a token up and makes the next one, for the user as they are now.
func rotate(ctx context.Context, tx *store.Tx, t refreshToken, now time.Time, life time.Duration) (grant, error) {
	if _, err := tx.Exec(ctx, `UPDATE refresh_tokens SET use_time = ? WHERE hash = ?`, now, t.hash); err != nil {
		return grant{}, err
	}
	u, err := scanUser(tx.QueryRow(ctx, `SELECT `+userColumns+` FROM users WHERE id = ?`, t.user).Scan)
	if err != nil {
		return grant{}, err
	}
	token, hash := newRefreshToken()
	g := grant{user: u, session: t.session, token: token, expires: now.Add(life).UTC().Truncate(time.Microsecond)}
	if _, err := tx.Exec(ctx, `UPDATE sessions SET expire_time = ? WHERE id = ?`, g.expires, g.session); err != nil {
		return grant{}, err
	}
	return g, keepToken(ctx, tx, hash, g)
}

func endSession(ctx context.Context, q store.Querier, session, reason string, now time.Time) error {
	_, err := q.Exec(ctx, `UPDATE sessions SET end_time = ?, end_reason = ? WHERE id = ? AND end_time IS NULL`, now, reason, session)
	return err
}

// signOut ends a session of the user; ending it again is no error.
func (s *users) signOut(ctx context.Context, userID, session string, now time.Time) error {
	_, err := s.db.Exec(ctx, `UPDATE sessions SET end_time = ?, end_reason = ? WHERE id = ? AND user_id = ? AND end_time IS NULL`,
		now, endedBySignOut, session, userID)
	if err != nil {
		return fmt.Errorf("end session: %w", err)
	}
	return nil
}

// clean removes what nobody can use any more. A used refresh token stays until
// it would have expired: until then its coming again must be noticed.
func (s *users) clean(ctx context.Context, now time.Time, window time.Duration) error {
	for _, c := range []struct {
		statement string
		before    time.Time
	}{
		{`DELETE FROM refresh_tokens WHERE expire_time < ?`, now},
		{`DELETE FROM sessions WHERE expire_time < ? AND NOT EXISTS (SELECT 1 FROM refresh_tokens WHERE session_id = sessions.id)`, now},
		{`DELETE FROM attempts WHERE window_time < ?`, now.Add(-window)},
	} {
		if _, err := s.db.Exec(ctx, c.statement, c.before); err != nil {
			return fmt.Errorf("clean up: %w", err)
		}
	}
	return nil
}
