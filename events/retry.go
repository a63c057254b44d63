package events

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gowarren/warren/events/driver"
	"github.com/gowarren/warren/store"
)

// waiting is a row of what is to be tried again.
type waiting struct {
	seq      int64
	attempts int
	message  driver.Message
	broken   error
}

// lock takes the row, unless somebody else is at it or has finished it.
func (w *waiting) lock(ctx context.Context, tx *store.Tx) (bool, error) {
	var n int
	err := tx.QueryRow(ctx, `SELECT 1 FROM warren_retries WHERE seq = ? AND attempts = ? FOR UPDATE SKIP LOCKED`, w.seq, w.attempts).Scan(&n)
	if errors.Is(err, store.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// remove ends the waiting; what never waited has no row.
func (w *waiting) remove(ctx context.Context, tx *store.Tx) error {
	if w == nil {
		return nil
	}
	_, err := tx.Exec(ctx, `DELETE FROM warren_retries WHERE seq = ?`, w.seq)
	return err
}

func (w *waiting) postpone(ctx context.Context, tx *store.Tx, attempts int, due time.Time, reason string) error {
	_, err := tx.Exec(ctx, `UPDATE warren_retries SET attempts = ?, due_at = ?, reason = ? WHERE seq = ?`,
		attempts, due, shortened(reason), w.seq)
	return err
}

// retry tries what waits again, when it is due and first of its key.
func (p *place) retry(r *run, s *subscription) {
	select {
	case <-p.tables:
	case <-r.taking.Done():
		return
	}
	part := "retries of " + s.group + " " + s.topic + p.suffix
	free := make(chan struct{}, max(1, s.policy.concurrency.Get()))
	running := &inFlight{rows: map[int64]bool{}}
	var tasks sync.WaitGroup
	defer tasks.Wait()
	for r.taking.Err() == nil {
		next, due, err := p.due(r.taking, s)
		if err != nil {
			p.outage.began(part, err)
			pause(r.taking, last)
			continue
		}
		p.outage.over(part)
		for _, w := range due {
			if !running.add(w.seq) {
				continue
			}
			select {
			case free <- struct{}{}:
			case <-r.taking.Done():
				return
			}
			tasks.Go(func() {
				mine, err := p.tryAgain(r.work, s, w)
				if err != nil && r.work.Err() == nil {
					p.outage.began(part, err)
					pause(r.taking, first)
				}
				<-free
				if err == nil && !mine {
					pause(r.taking, takenPause)
				}
				running.remove(w.seq)
				wake(p.waker(s))
			})
		}
		p.rest(r.taking, s, min(next, jitter(p.limits.poll.Get())))
	}
}

// takenPause is how long a row that another process is trying is let be: it stays
// due until that one is done, however long its handler takes.
const takenPause = 250 * time.Millisecond

// rest waits until the subscription's retries are woken, or for d.
func (p *place) rest(ctx context.Context, s *subscription, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-p.waker(s):
	case <-ctx.Done():
	}
}

// inFlight are the rows that this process is trying.
type inFlight struct {
	mu   sync.Mutex
	rows map[int64]bool
}

func (f *inFlight) add(seq int64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.rows[seq] {
		return false
	}
	f.rows[seq] = true
	return true
}

func (f *inFlight) remove(seq int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.rows, seq)
}

// due reads what can be tried now, and how long it is until something else is due.
func (p *place) due(ctx context.Context, s *subscription) (next time.Duration, due []*waiting, err error) {
	now := time.Now()
	due, err = p.rows(ctx, `r WHERE r.consumer_group = ? AND r.topic = ? AND r.due_at <= ?
		AND (r.event_key = '' OR NOT EXISTS (SELECT 1 FROM warren_retries e WHERE e.consumer_group = r.consumer_group
			AND e.topic = r.topic AND e.event_key = r.event_key AND e.seq < r.seq))
		ORDER BY r.due_at, r.seq LIMIT 100`, s.group, s.topic, now)
	if err != nil {
		return 0, nil, err
	}
	var later *int64
	err = p.db.QueryRow(ctx, `SELECT MIN(due_at) FROM warren_retries WHERE consumer_group = ? AND topic = ? AND due_at > ?`,
		s.group, s.topic, now).Scan(&later)
	if next = time.Hour; later != nil {
		next = max(0, time.Until(time.UnixMicro(*later)))
	}
	return next, due, err
}

// rows reads what waits, by the rest of a query.
func (p *place) rows(ctx context.Context, which string, args ...any) (out []*waiting, err error) {
	rows, err := p.db.Query(ctx, `SELECT seq, attempts, message_id, topic, event_key, headers, payload, published_at FROM warren_retries `+which, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var headers string
		w := &waiting{}
		m := &w.message
		if err := rows.Scan(&w.seq, &w.attempts, &m.ID, &m.Topic, &m.Key, &headers, &m.Payload, &m.Published); err != nil {
			return nil, err
		}
		if err := json.Unmarshal([]byte(headers), &m.Headers); err != nil {
			w.broken = fmt.Errorf("its headers are damaged: %w", err)
		}
		out = append(out, w)
	}
	return out, rows.Err()
}

// tryAgain handles a row that is due; not mine: somebody else is at it, or has
// finished it. Whoever deletes the row has handled it, so two processes that try it
// at once have one effect.
func (p *place) tryAgain(ctx context.Context, s *subscription, w *waiting) (mine bool, err error) {
	at, err := p.placeOf(ctx, s, w.message)
	if err != nil {
		return false, err
	}
	if at.place != p && at.doubt == nil {
		return p.move(ctx, s, w, at.place)
	}
	attempt := w.attempts + 1
	ctx, end := s.trace(ctx, p.Bus, w.message, attempt)
	began := time.Now()
	var called bool
	failure, err := p.attempt(ctx, func(ctx context.Context, tx *store.Tx) (failure, err error) {
		called = false
		if mine, err = w.lock(ctx, tx); err != nil || !mine {
			return nil, err
		}
		if err := w.remove(ctx, tx); err != nil {
			return nil, err
		}
		called = true
		if w.broken != nil {
			return DeadLetter(w.broken.Error()), nil
		}
		if at.doubt != nil {
			return at.doubt, nil
		}
		return s.run(ctx, tx, p.Bus, w.message, attempt), nil
	})
	if failure == nil && called && keptToItself(err) {
		failure = err
	}
	outcome := "done"
	if failure != nil {
		outcome, err = p.settle(ctx, s, w.message, attempt, failure, w)
	}
	end(failure)
	if err == nil && mine {
		p.metrics.handled(s, began, outcome)
	}
	return mine, err
}
