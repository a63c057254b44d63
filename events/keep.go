package events

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	keepEvery = time.Minute
	lookEvery = 5 * time.Second
	// purgeSize is how many rows one transaction deletes.
	purgeSize = 1000
)

// keep shows how much waits, and deletes what is kept no longer.
func (b *Bus) keep(r *run) {
	for at := 0; ; at++ {
		err := b.look(r.stopping)
		if at%int(keepEvery/lookEvery) == 0 {
			err = errors.Join(err, b.purge(r.stopping))
		}
		if r.stopping.Err() != nil {
			return
		}
		if err != nil {
			b.outage.began("figures", err)
		} else {
			b.outage.over("figures")
		}
		if !pause(r.stopping, lookEvery) {
			return
		}
	}
}

// backlog is what waits in databases: for the broker, to be tried again, and for
// a person.
type backlog struct {
	events           int
	age              time.Duration
	retries, letters map[interest]int
}

// interest is a group's in a topic.
type interest struct{ topic, group string }

// look reads the gauges. They are those of all databases together, and stay as
// they were until all have told.
func (b *Bus) look(ctx context.Context) error {
	w := backlog{retries: map[interest]int{}, letters: map[interest]int{}}
	b.mu.Lock()
	subs := append([]*subscription(nil), b.subs...)
	b.mu.Unlock()
	for _, s := range subs { // nothing is told as 0: an alert on what grows needs where it began
		of := interest{s.topic, s.group}
		w.retries[of], w.letters[of] = 0, 0
	}
	for _, p := range b.all() {
		if !p.prepared() {
			continue
		}
		if err := p.look(ctx, &w); err != nil {
			return err
		}
	}
	b.metrics.waits(w)
	if b.driver.Incarnation() == "" {
		return nil
	}
	for _, s := range subs {
		if lag, err := b.driver.Lag(ctx, s.topic, s.group); err == nil {
			b.metrics.lag.WithLabelValues(s.topic, s.group).Set(float64(lag))
		}
	}
	return nil
}

// look counts what waits in one database.
func (p *place) look(ctx context.Context, w *backlog) error {
	var n int
	var oldest *int64
	err := p.db.QueryRow(ctx, `SELECT COUNT(*), MIN(created_at) FROM warren_outbox WHERE state = 0`).Scan(&n, &oldest)
	if err != nil {
		return err
	}
	w.events += n
	if oldest != nil {
		w.age = max(w.age, time.Since(time.UnixMicro(*oldest)))
	}
	return errors.Join(
		p.count(ctx, `SELECT topic, consumer_group, COUNT(*) FROM warren_retries GROUP BY topic, consumer_group`, w.retries),
		p.count(ctx, `SELECT topic, consumer_group, COUNT(*) FROM warren_dead_letters WHERE state = 'dead' GROUP BY topic, consumer_group`, w.letters),
	)
}

func (p *place) count(ctx context.Context, query string, into map[interest]int) error {
	rows, err := p.db.Query(ctx, query)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var of interest
		var n int
		if err := rows.Scan(&of.topic, &of.group, &n); err != nil {
			return err
		}
		into[of] += n
	}
	return rows.Err()
}

// retention is how long things are kept: what the settings say, or more, where
// they would lose events or let one take effect twice.
func (b *Bus) retention() (outbox, inbox time.Duration, raised bool) {
	outbox, inbox = b.limits.outboxKeep.Get(), b.limits.inboxKeep.Get()
	if least := b.window(); b.can.Unsynced > 0 && outbox < least {
		outbox, raised = least, true
	}
	// What is published once more is as good as replayed by the broker.
	if least := max(b.can.Replay, outbox); inbox < least {
		inbox, raised = least, true
	}
	return outbox, inbox, raised
}

func (b *Bus) purge(ctx context.Context) error {
	outbox, inbox, raised := b.retention()
	b.metrics.raised.Set(0)
	if raised {
		b.metrics.raised.Set(1)
		b.opts.Logger.Warn("the retention of events is too short and was raised", "outbox", outbox, "inbox", inbox,
			"broker_replays", b.can.Replay, "settings", "events.outbox.keep, events.inbox.keep")
	}
	now := time.Now()
	var errs []error
	for _, p := range b.all() {
		if !p.prepared() {
			continue
		}
		errs = append(errs,
			p.purgeOld(ctx, "warren_outbox", "state = 1 AND sent_at", now.Add(-outbox)),
			p.purgeOld(ctx, "warren_inbox", "received_at", now.Add(-inbox)),
			p.purgeOld(ctx, "warren_dead_letters", "state <> 'dead' AND changed_at", now.Add(-b.limits.lettersKeep.Get())),
			p.purgeActions(ctx))
	}
	return errors.Join(errs...)
}

// purgeOld deletes in small transactions. which ends in the column that tells the
// time.
func (p *place) purgeOld(ctx context.Context, table, which string, before time.Time) error {
	column := which
	for i := len(which) - 1; i >= 0 && column == which; i-- {
		if which[i] == ' ' {
			column = which[i+1:]
		}
	}
	for {
		var edge *int64
		err := p.db.QueryRow(ctx, fmt.Sprintf(`SELECT MAX(at) FROM (SELECT %s AS at FROM %s WHERE %s < ? ORDER BY %s LIMIT %d) w`,
			column, table, which, column, purgeSize), before).Scan(&edge)
		if err != nil || edge == nil {
			return err
		}
		if _, err := p.db.Exec(ctx, fmt.Sprintf(`DELETE FROM %s WHERE %s <= ?`, table, which), *edge); err != nil {
			return fmt.Errorf("purge %s: %w", table, err)
		}
	}
}

func (p *place) purgeActions(ctx context.Context) error {
	_, err := p.db.Exec(ctx, `DELETE FROM warren_dead_letter_actions
		WHERE NOT EXISTS (SELECT 1 FROM warren_dead_letters l WHERE l.id = warren_dead_letter_actions.letter_id)`)
	return err
}
