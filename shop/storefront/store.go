package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"time"

	"github.com/gowarren/warren/store"
)

//go:embed migrations/*.sql
var migrations embed.FS

// sessions are the sessions in the database.
type sessions struct {
	db   *store.DB
	keep func() time.Duration
	now  func() time.Time
}

// read fills a session with what is kept of it, if anything is.
func (s *sessions) read(ctx context.Context, one *session) error {
	var sealed string
	var version int64
	err := s.db.QueryRow(ctx, `SELECT version, content FROM sessions WHERE id = ? AND expire_time > ?`, one.id(), s.now()).Scan(&version, &sealed)
	if errors.Is(err, store.ErrNoRows) {
		one.version, one.kept = 0, kept{}
		return nil
	}
	if err != nil {
		return fmt.Errorf("read session: %w", err)
	}
	content, err := one.open(sealed)
	if err != nil {
		return err
	}
	one.version, one.kept = version, content
	return nil
}

// saves is how often a change begins again because another request of the same
// visitor was faster.
const saves = 10

// save changes what is kept, on top of what others have changed meanwhile.
func (s *sessions) save(ctx context.Context, one *session, change func(*kept)) error {
	for range saves {
		next := one.kept
		change(&next)
		done, err := s.write(ctx, one, next)
		if err != nil {
			return fmt.Errorf("save session: %w", err)
		}
		if done {
			one.version, one.kept = one.version+1, next
			return nil
		}
		if err := s.read(ctx, one); err != nil {
			return err
		}
	}
	return errors.New("save session: others always were faster")
}

func (s *sessions) write(ctx context.Context, one *session, next kept) (done bool, err error) {
	sealed, err := one.seal(next)
	if err != nil {
		return false, err
	}
	now := s.now()
	if one.version == 0 {
		_, err = s.db.Exec(ctx, `INSERT INTO sessions (id, version, content, lease_time, expire_time) VALUES (?, 1, ?, ?, ?)`,
			one.id(), sealed, now, now.Add(s.keep()))
		if errors.Is(err, store.ErrConflict) {
			return s.replace(ctx, one, sealed, now)
		}
		return err == nil, err
	}
	n, err := s.db.Exec(ctx, `UPDATE sessions SET version = ?, content = ?, expire_time = ? WHERE id = ? AND version = ?`,
		one.version+1, sealed, now.Add(s.keep()), one.id(), one.version)
	return n == 1, err
}

// replace puts content in the place of a session that has ended, and was not
// removed yet. If another request was faster, it is there already.
func (s *sessions) replace(ctx context.Context, one *session, sealed string, now time.Time) (done bool, err error) {
	n, err := s.db.Exec(ctx, `UPDATE sessions SET version = 1, content = ?, lease_time = ?, expire_time = ? WHERE id = ? AND expire_time <= ?`,
		sealed, now, now.Add(s.keep()), one.id(), now)
	return n == 1, err
}

// renew begins the time anew for which a session is kept, once half of it is over.
// What others change at the same moment stands.
func (s *sessions) renew(ctx context.Context, one *session) (done bool, err error) {
	now := s.now()
	if one.version == 0 || now.Sub(one.Renewed) < s.keep()/2 {
		return false, nil
	}
	next := one.kept
	next.Renewed = now
	if done, err = s.write(ctx, one, next); err != nil {
		return false, fmt.Errorf("renew session: %w", err)
	}
	if done {
		one.version, one.kept = one.version+1, next
	}
	return done, nil
}

// lease is how long the right to renew tokens lasts: longer than that takes.
const lease = 10 * time.Second

// claim takes the right to renew the tokens of the session as it was read.
func (s *sessions) claim(ctx context.Context, one *session) (mine bool, err error) {
	now := s.now()
	n, err := s.db.Exec(ctx, `UPDATE sessions SET lease_time = ? WHERE id = ? AND version = ? AND lease_time <= ?`,
		now.Add(lease), one.id(), one.version, now)
	if err != nil {
		return false, fmt.Errorf("claim session: %w", err)
	}
	return n == 1, nil
}

// release gives the right back. Other changes of the session leave it to its
// holder: two who renew would end the user's session.
func (s *sessions) release(ctx context.Context, one *session) error {
	_, err := s.db.Exec(ctx, `UPDATE sessions SET lease_time = ? WHERE id = ?`, s.now(), one.id())
	if err != nil {
		return fmt.Errorf("release session: %w", err)
	}
	return nil
}

// remove forgets a session.
func (s *sessions) remove(ctx context.Context, one *session) error {
	if _, err := s.db.Exec(ctx, `DELETE FROM sessions WHERE id = ?`, one.id()); err != nil {
		return fmt.Errorf("remove session: %w", err)
	}
	return nil
}

// cleanPeriod is how often sessions that have ended are removed.
const cleanPeriod = 10 * time.Minute

// clean removes sessions that have ended, until its context does.
func (s *sessions) clean(ctx context.Context) error {
	tick := time.NewTicker(cleanPeriod)
	defer tick.Stop()
	for {
		if _, err := s.db.Exec(ctx, `DELETE FROM sessions WHERE expire_time <= ?`, s.now()); err != nil {
			return fmt.Errorf("remove old sessions: %w", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}
