package events

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gowarren/warren/events/driver"
	"github.com/gowarren/warren/store"
)

// receive takes charge of a message: when it returns nil, the message is handled,
// or waits in the database, or is a dead letter there, and the broker may forget
// it. While the database is away, the message is held.
func (b *Bus) receive(r *run, s *subscription, m driver.Message) error {
	b.metrics.consumed.WithLabelValues(b.metrics.system, s.topic, s.group).Inc()
	part := "database of " + s.topic
	m = storable(m)
	for backoff := first; ; backoff = min(2*backoff, last) {
		at, err := b.placeOf(r.work, s, m)
		if err == nil {
			err = at.take(r.work, s, m)
		}
		if err == nil {
			b.outage.over(part)
			return nil
		}
		if r.taking.Err() != nil {
			return err
		}
		b.outage.began(part, err)
		if !pause(r.taking, backoff) {
			return err
		}
	}
}

// storable gives a message an id and a key that the tables take: those of another
// publisher may be anything, and a message that cannot be kept would be held for ever,
// and with it all behind it. The checksum of what they don't take still tells
// repetitions, and the order. A message without an id is taken for a new one each time.
func storable(m driver.Message) driver.Message {
	if m.ID == "" {
		m.ID = rand.Text()
	}
	m.ID, m.Key = fitting(m.ID, maxID), fitting(m.Key, maxKey)
	return m
}

func fitting(text string, most int) string {
	if len(text) <= most && utf8.ValidString(text) && !strings.ContainsRune(text, 0) {
		return text
	}
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// take handles a message that has just arrived, or has it fail for the doubt that
// there is about it. Its error is the database's.
func (p choice) take(ctx context.Context, s *subscription, m driver.Message) error {
	ctx, end := s.trace(ctx, p.Bus, m, 1)
	began := time.Now()
	var fresh, parked, called bool
	if handled, err := p.first(ctx, s, m, p.stayed); err != nil || handled {
		end(err)
		if err == nil {
			p.repeated(s, began)
		}
		return err
	}
	failure, err := p.attempt(ctx, func(ctx context.Context, tx *store.Tx) (failure, err error) {
		fresh, parked, called = false, false, false
		if fresh, err = accept(ctx, tx, s.group, m.ID); err != nil || !fresh {
			return nil, err
		}
		if parked, err = s.behind(ctx, tx, m); err != nil {
			return nil, err
		}
		if parked {
			return nil, park(ctx, tx, s, m, 0, time.Now(), "waits for an earlier event with its key")
		}
		called = true
		if p.doubt != nil {
			return p.doubt, nil
		}
		return s.run(ctx, tx, p.Bus, m, 1), nil
	})
	switch {
	case failure == nil && called && keptToItself(err):
		failure = err
	case err != nil && failure == nil:
		end(err)
		return err
	}
	outcome := "done"
	switch {
	case failure != nil:
		outcome, err = p.settle(ctx, s, m, 1, failure, nil)
	case parked:
		outcome = "waits"
		wake(p.waker(s))
	case !fresh:
		end(nil)
		p.repeated(s, began)
		return nil
	}
	end(failure)
	if err == nil {
		p.metrics.handled(s, began, outcome)
	}
	return err
}

// keptToItself tells whether a transaction went wrong by the handler's statements,
// of which the handler said nothing.
func keptToItself(err error) bool { return err != nil && !away(err) }

// repeated counts a message that was dropped because it was handled before.
func (p *place) repeated(s *subscription, began time.Time) {
	p.metrics.duplicates.WithLabelValues(s.topic, s.group).Inc()
	p.metrics.handled(s, began, "duplicate")
}

// attempt runs do in a transaction, and tells what the handler said from what the
// database said.
func (p *place) attempt(ctx context.Context, do func(context.Context, *store.Tx) (failure, err error)) (failure, err error) {
	err = p.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		if failure, err = do(ctx, tx); err != nil {
			failure = nil
			return err
		}
		return failure
	}, store.Joinable)
	if err == nil {
		failure = nil
	}
	return failure, err
}

// away tells that the database would not have taken anything.
func away(err error) bool {
	return errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrBusy) || errors.Is(err, context.Canceled)
}

// settle records a failed attempt: what comes next is in the database before the
// broker, or the row that was tried, is let go. again is that row.
func (p *place) settle(ctx context.Context, s *subscription, m driver.Message, attempt int, failure error, again *waiting) (outcome string, err error) {
	if ctx.Err() != nil {
		return "", ctx.Err() // cut off: not the handler's fault
	}
	letter, buried := errors.AsType[*deadLetter](failure)
	later, postponed := errors.AsType[*retryAfter](failure)
	reason, due := failure.Error(), time.Now()
	switch {
	case errors.Is(failure, Skip):
		outcome = "skipped"
	case buried:
		outcome, reason = "dead", letter.reason
	case postponed:
		outcome, due = "postponed", due.Add(later.pause)
		attempt--
	case attempt >= s.policy.attempts.Get():
		outcome = "dead"
	default:
		outcome, due = "failed", due.Add(s.policy.pause(attempt))
	}
	err = p.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if mine, err := s.claim(ctx, tx, m, again); err != nil || !mine {
			return err
		}
		switch outcome {
		case "skipped":
			return again.remove(ctx, tx)
		case "dead":
			return errors.Join(again.remove(ctx, tx), p.bury(ctx, tx, s.group, s.handler, m, attempt, reason))
		}
		if again != nil {
			return again.postpone(ctx, tx, attempt, due, reason)
		}
		return park(ctx, tx, s, m, attempt, due, reason)
	})
	if err == nil {
		wake(p.waker(s))
		if outcome == "dead" {
			p.opts.Logger.WarnContext(ctx, "event became a dead letter", "topic", s.topic, "group", s.group, "id", m.ID,
				"attempts", attempt, "handler", s.handler, "error", reason)
		} else {
			p.opts.Logger.DebugContext(ctx, "event is not done", "topic", s.topic, "group", s.group, "id", m.ID,
				"attempt", attempt, "outcome", outcome, "error", reason)
		}
	}
	return outcome, err
}

// accept notes that the group has the message; false: it had it before.
func accept(ctx context.Context, tx *store.Tx, group, id string) (bool, error) {
	n, err := tx.Exec(ctx, `INSERT INTO warren_inbox (consumer_group, message_id, received_at) VALUES (?, ?, ?)
		ON CONFLICT (consumer_group, message_id) DO NOTHING`, group, id, time.Now())
	return n > 0, err
}

// claim makes the message this transaction's: by the inbox when it has just
// arrived, by its row when it was tried again.
func (s *subscription) claim(ctx context.Context, tx *store.Tx, m driver.Message, again *waiting) (bool, error) {
	if again == nil {
		return accept(ctx, tx, s.group, m.ID)
	}
	return again.lock(ctx, tx)
}

// behind tells whether an earlier event with the key is still waiting.
func (s *subscription) behind(ctx context.Context, tx *store.Tx, m driver.Message) (bool, error) {
	if m.Key == "" {
		return false, nil
	}
	var n int
	err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM (SELECT seq FROM warren_retries
		WHERE consumer_group = ? AND topic = ? AND event_key = ? LIMIT 1) w`, s.group, m.Topic, m.Key).Scan(&n)
	return n > 0, err
}

func park(ctx context.Context, tx *store.Tx, s *subscription, m driver.Message, attempts int, due time.Time, reason string) error {
	headers, err := json.Marshal(m.Headers)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO warren_retries
		(consumer_group, message_id, topic, event_key, headers, payload, published_at, attempts, due_at, reason)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		s.group, m.ID, m.Topic, m.Key, string(headers), notNil(m.Payload), m.Published, attempts, due, shortened(reason))
	return err
}

// shortened keeps errors readable, and clean of what databases refuse.
func shortened(reason string) string {
	const enough = 4000
	clean := make([]rune, 0, min(len(reason), enough))
	for _, r := range reason {
		if len(clean) == enough {
			clean = append(clean, '…')
			break
		}
		if r != 0 {
			clean = append(clean, r)
		}
	}
	return string(clean)
}
