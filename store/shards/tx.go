package shards

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/gowarren/warren/internal/inshard"
	"github.com/gowarren/warren/store"
)

// A shard's state in a database that has it, or had it.
const (
	stateOwned     = "owned"
	stateFenced    = "fenced" // by a mover, for a moment
	stateReceiving = "receiving"
	stateGone      = "gone"
)

const (
	firstWait = 2 * time.Millisecond
	maxWait   = 50 * time.Millisecond
	// patience bounds how long a transaction looks for its shard, in fences: one
	// whose mover died is taken away after one.
	patience = 4
)

// absent says why a database may not work on a shard right now.
type absent struct {
	shard int
	state string // "" where the database never had it
	epoch int64  // of the state, or of the fence
	wait  bool   // somebody wants the row of the shard: it is a fence to be
}

func (a *absent) Error() string {
	switch {
	case a.wait:
		return fmt.Sprintf("shard %d is about to be fenced", a.shard)
	case a.state == "":
		return fmt.Sprintf("shard %d was never here", a.shard)
	}
	return fmt.Sprintf("shard %d is %s here", a.shard, a.state)
}

func (a *absent) reason() string {
	if a.wait || a.state == stateFenced {
		return stateFenced
	}
	return "moved"
}

// txShard finds in a context the shard of the transaction that it belongs to.
type txShard struct{ s *Shards }

// InTx runs fn in a transaction of the shard, as [store.DB.InTx] does. It is run
// where the shard is: when that turns out to be elsewhere, before fn is run, the map
// is read again. While a shard is fenced by its move, InTx waits; with
// [store.ReadOnly] it doesn't, but may run fn again when the move took place just then.
//
// In a [store.Joinable] transaction of the shard's database fn joins that. Within
// transactions of another shard, or of another of the databases, the error is
// [ErrCrossShard]; it is [ErrMoved] when the shard has left the transaction's
// database, so that the whole transaction is to be begun again.
func (s *Shards) InTx(ctx context.Context, shard int, fn func(ctx context.Context, tx *store.Tx) error, opts ...store.TxOption) error {
	in, inShard := ctx.Value(txShard{s}).(int)
	if inShard && in != shard {
		return fmt.Errorf("%w: it is in shard %d, not %d", ErrCrossShard, in, shard)
	}
	if m := s.around(ctx); m != nil {
		if inShard { // which is held already
			return m.db.InTx(ctx, fn, opts...)
		}
		return s.joined(ctx, m, shard, fn, opts)
	}
	if slices.Contains(opts, store.ReadOnly) {
		return s.find(ctx, shard, func(m *member) error { return s.read(ctx, m, shard, fn, opts) })
	}
	return s.find(ctx, shard, func(m *member) error {
		return m.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
			if err := owns(ctx, tx, shard, false); err != nil {
				return err
			}
			return fn(s.within(ctx, shard), tx)
		}, opts...)
	})
}

// read runs fn in a transaction that reads. What is fenced is there as it was, and
// nobody changes it, unless its move is decided. So if that is not the case
// afterwards, what was read is right.
func (s *Shards) read(ctx context.Context, m *member, shard int, fn func(context.Context, *store.Tx) error, opts []store.TxOption) error {
	var fenced *absent
	err := m.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		fenced = nil
		err := owns(ctx, tx, shard, true)
		if away, is := errors.AsType[*absent](err); is && away.state == stateFenced {
			fenced, err = away, nil
		}
		if err != nil {
			return err
		}
		return fn(s.within(ctx, shard), tx)
	}, opts...)
	if fenced == nil {
		return err
	}
	if err := s.reload(ctx); err != nil {
		return err
	}
	p, unknown := s.place(shard)
	if unknown != nil || p.member != m.id {
		return fenced // gone meanwhile
	}
	return err
}

// within is the context of a transaction of the shard.
func (s *Shards) within(ctx context.Context, shard int) context.Context {
	return inshard.With(context.WithValue(ctx, txShard{s}, shard), shard)
}

// around returns the database whose transaction the context belongs to, or nil.
func (s *Shards) around(ctx context.Context) *member {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, m := range s.members {
		if m.db.Current(ctx) != nil {
			return m
		}
	}
	return nil
}

// joined takes part in a transaction that somebody else has begun, and that can't
// be begun again here.
func (s *Shards) joined(ctx context.Context, m *member, shard int, fn func(context.Context, *store.Tx) error, opts []store.TxOption) error {
	p, err := s.place(shard)
	if err != nil {
		return err
	}
	if p.member != m.id {
		return fmt.Errorf("%w: shard %d is in another database than the transaction", ErrCrossShard, shard)
	}
	var away *absent
	err = m.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		// It may write later, so nothing less than holding the shard does.
		err := owns(ctx, tx, shard, false)
		if errors.As(err, &away) {
			return fmt.Errorf("shard %d: %w", shard, ErrMoved)
		}
		if err != nil {
			return err
		}
		return fn(s.within(ctx, shard), tx)
	}, opts...)
	if away != nil {
		s.metrics.repeats.WithLabelValues("joined").Inc()
		// For whoever comes next; this one is told to come back in any case.
		_ = s.reload(context.WithoutCancel(ctx))
	}
	return err
}

// owns makes sure that the database owns the shard until the transaction ends.
func owns(ctx context.Context, tx *store.Tx, shard int, readOnly bool) error {
	a := &absent{shard: shard}
	var fences int
	query := `SELECT o.state, o.epoch, (SELECT COUNT(*) FROM warren_shard_fences f WHERE f.shard = o.shard)
		FROM warren_shard_owners o WHERE o.shard = ?`
	if !readOnly {
		query += holding(tx.Dialect())
	}
	err := tx.QueryRow(ctx, query, shard).Scan(&a.state, &a.epoch, &fences)
	if err != nil && !errors.Is(err, store.ErrNoRows) {
		return fmt.Errorf("look whether shard %d is here: %w", shard, err)
	}
	if err == nil && a.state == stateOwned && (fences == 0 || readOnly) {
		return nil
	}
	a.wait = a.state == stateOwned
	return a
}

// holding is what has a row stay as it is while many transactions look at it.
func holding(d store.Dialect) string {
	switch d {
	case store.PostgreSQL:
		return " FOR SHARE OF o"
	case store.MySQL:
		return " LOCK IN SHARE MODE"
	}
	return "" // the transaction is alone
}

// find calls do with the database that has the shard, and again when it wasn't
// there: do has done nothing then.
func (s *Shards) find(ctx context.Context, shard int, do func(*member) error) error {
	began := time.Now()
	var fence watch
	for wait := firstWait; ; wait = min(2*wait, maxWait) {
		p, m, err := s.where(ctx, shard)
		if err != nil {
			return err
		}
		err = do(m)
		a, away := errors.AsType[*absent](err)
		if !away {
			return err
		}
		s.metrics.repeats.WithLabelValues(a.reason()).Inc()
		if time.Since(began) > patience*s.opts.FenceTime {
			return fmt.Errorf("%w: %w", ErrMoved, err)
		}
		if err := s.resolve(ctx, shard, p, m, a, &fence); err != nil {
			return err
		}
		if a.reason() == stateFenced && !sleep(ctx, wait) {
			return errors.Join(ctx.Err(), err)
		}
	}
}

// watch tells, by this process's own clock, how long a fence has been seen.
type watch struct {
	member string
	epoch  int64
	since  time.Time
}

func (w *watch) seen(m *member, a *absent) time.Duration {
	if w.member != m.id || w.epoch != a.epoch || w.since.IsZero() {
		*w = watch{member: m.id, epoch: a.epoch, since: time.Now()}
	}
	return time.Since(w.since)
}

// resolve does what lets the shard be found: it reads the map again, and ends what
// somebody who died has begun.
func (s *Shards) resolve(ctx context.Context, shard int, was place, m *member, a *absent, fence *watch) error {
	if err := s.reload(ctx); err != nil {
		return err
	}
	now, err := s.place(shard)
	if err != nil {
		return err
	}
	if now.member != m.id {
		return nil // it is elsewhere: that's all
	}
	if now.epoch > a.epoch {
		// The map has decided, and nobody told the database.
		return s.promote(ctx, m, shard, now.epoch)
	}
	if a.reason() == stateFenced && fence.seen(m, a) > s.opts.FenceTime {
		s.opts.Logger.WarnContext(ctx, "the fence of a shard is too old and is taken away", "shard", shard, "database", m.db.Name(), "epoch", a.epoch)
		return s.unfence(ctx, m, shard, now)
	}
	if a.reason() != stateFenced && was == now {
		// The map and the database contradict each other, at one epoch.
		return fmt.Errorf("shard %d: the map says database %s, where it is %q: %w", shard, m.id, a.state, ErrMoved)
	}
	return nil
}

// promote has a database own what the map says that it owns, as of an epoch.
func (s *Shards) promote(ctx context.Context, m *member, shard int, epoch int64) error {
	err := m.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO warren_shard_owners (shard, state, epoch, capture) VALUES (?, ?, 0, FALSE)
			ON CONFLICT (shard) DO NOTHING`, shard, stateGone)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE warren_shard_owners SET state = ?, epoch = ? WHERE shard = ? AND epoch < ?`, stateOwned, epoch, shard, epoch)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `DELETE FROM warren_shard_fences WHERE shard = ? AND epoch < ?`, shard, epoch)
		return err
	})
	if err != nil {
		return fmt.Errorf("give shard %d to database %s: %w", shard, m.id, err)
	}
	return nil
}

// unfence takes the shard back from a mover that died. The map comes first: from
// then on the mover, should it be alive, can't switch any more.
func (s *Shards) unfence(ctx context.Context, m *member, shard int, now place) error {
	_, err := s.home.db.Exec(ctx, `UPDATE warren_shard_map SET epoch = epoch + 1 WHERE shard = ? AND epoch = ? AND member = ?`,
		shard, now.epoch, m.id)
	if err != nil {
		return fmt.Errorf("take away the fence of shard %d: %w", shard, err)
	}
	return s.reload(ctx) // who sees the new epoch promotes
}

// sleep waits for about d, by chance, so that those who wait come one by one.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d/2 + rand.N(d))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
