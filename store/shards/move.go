package shards

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gowarren/warren/store"
)

// Progress tells how far a move is.
type Progress struct {
	Shard int
	// Phase is what is being done: copy, catch up, compare, switch, clean up, done.
	Phase string
	// Table is being copied, or was last.
	Table string
	// Copied counts the rows copied by all attempts, Changed those that were copied
	// again as they had changed, Repaired those that differed when both sides were
	// compared while changes went on.
	Copied, Changed, Repaired int
	// Fenced is how long the shard was fenced, in the end.
	Fenced time.Duration
}

const (
	chunkSize    = 500 // rows copied in one transaction
	changesSize  = 1000
	maxStalls    = 3
	maxRefusals  = 10
	fewChanges   = 200 // so that the rest can be copied while the shard is fenced
	fenceTries   = 8
	settleTime   = 5 * time.Second
	triggerCount = 3 // of a table
)

// mover moves one shard, as of one epoch: whoever takes over has a later one, and
// all that this one then tries is refused.
type mover struct {
	*Shards
	shard    int
	epoch    int64
	from, to *member
	layouts  []layout
	progress Progress
	tell     func(Progress)
	behind   int // how often in a row there were more changes than in one batch
}

// Move moves a shard to the database at the URL, while it is used. It goes on with a
// move that broke off, or that another process is doing, which then ends with
// [ErrSuperseded]. When it returns nil, the shard is there and nothing of it is left
// behind. After an error the shard is where it was, or there already; calling Move
// again completes it, [Shards.Abort] gives it up. Tell may be nil.
func (s *Shards) Move(ctx context.Context, shard int, address string, tell func(Progress)) error {
	m := &mover{Shards: s, shard: shard, tell: tell, progress: Progress{Shard: shard}}
	err := m.move(ctx, address)
	outcome := "done"
	if err != nil {
		outcome = "error"
		err = fmt.Errorf("move shard %d: %w", shard, err)
	}
	s.metrics.moves.WithLabelValues(outcome).Inc()
	return err
}

func (m *mover) move(ctx context.Context, address string) error {
	if _, err := m.place(m.shard); err != nil {
		return err
	}
	m.opening.Lock()
	to, err := m.admit(ctx, address, false)
	m.opening.Unlock()
	if err != nil {
		return err
	}
	m.to = to
	if err := m.tidy(ctx, m.shard); err != nil {
		return err
	}
	there, err := m.announce(ctx, address)
	if err != nil || there {
		return err
	}
	m.opts.Logger.InfoContext(ctx, "shard is being moved", "shard", m.shard, "from", m.from.db.Name(), "to", m.to.db.Name(), "epoch", m.epoch)
	if err := m.begin(ctx); err != nil {
		return err
	}
	if err := m.copy(ctx); err != nil {
		return err
	}
	if err := m.settle(ctx, m.handOver(ctx)); err != nil {
		return err
	}
	m.say("clean up")
	if err := m.tidy(ctx, m.shard); err != nil {
		return err
	}
	m.say("done")
	m.opts.Logger.InfoContext(ctx, "shard was moved", "shard", m.shard, "from", m.from.db.Name(), "to", m.to.db.Name(),
		"rows", m.progress.Copied, "changed", m.progress.Changed, "fenced", m.progress.Fenced)
	return nil
}

func (m *mover) say(phase string) {
	m.progress.Phase = phase
	if m.tell != nil {
		m.tell(m.progress)
	}
}

// announce writes the move into the map. Earlier movers of the shard end here.
func (m *mover) announce(ctx context.Context, address string) (there bool, err error) {
	var was place
	err = m.home.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		there = false
		if err := remember(ctx, tx, m.to.id, address); err != nil {
			return err
		}
		if was, err = lockPlace(ctx, tx, m.shard); err != nil {
			return err
		}
		switch {
		case was.member == m.to.id:
			there = true
			return nil
		case was.movingTo != "" && was.movingTo != m.to.id:
			return fmt.Errorf("%w: %s", ErrMoving, was.movingTo)
		}
		m.epoch = was.epoch + 1
		_, err := tx.Exec(ctx, `UPDATE warren_shard_map SET epoch = ?, moving_to = ? WHERE shard = ?`, m.epoch, m.to.id, m.shard)
		return err
	})
	if err != nil || there {
		return there, err
	}
	m.from, err = m.member(ctx, was.member)
	return false, err
}

func lockPlace(ctx context.Context, tx *store.Tx, shard int) (p place, err error) {
	err = tx.QueryRow(ctx, `SELECT member, epoch, moving_to, left_behind FROM warren_shard_map WHERE shard = ? FOR UPDATE`, shard).
		Scan(&p.member, &p.epoch, &p.movingTo, &p.leftBehind)
	return p, err
}

// begin has both databases know of the move. From the moment that changes are
// captured, all are.
func (m *mover) begin(ctx context.Context) error {
	for _, t := range m.opts.Tables {
		for _, db := range []*store.DB{m.from.db, m.to.db} {
			if n, err := t.triggers(ctx, db); err != nil || n != triggerCount {
				return errors.Join(err, fmt.Errorf("table %s of database %s has %d of its %d triggers: a migration made it anew",
					t.Name, db.Name(), n, triggerCount))
			}
		}
		l, err := layoutOf(ctx, t, m.from.db, m.to.db)
		if err != nil {
			return err
		}
		m.layouts = append(m.layouts, l)
	}
	// The row is wanted alone, as when it is fenced.
	err := m.intend(ctx)
	if err == nil {
		err = errors.Join(m.promote(ctx, m.from, m.shard, m.epoch), m.lift(context.WithoutCancel(ctx), m.from.db))
	}
	if err != nil {
		return err
	}
	if err := m.receive(ctx); err != nil {
		return err
	}
	var captured bool
	err = m.from.db.QueryRow(ctx, `SELECT capture FROM warren_shard_owners WHERE shard = ?`, m.shard).Scan(&captured)
	if err != nil {
		return err
	}
	var begun int
	err = m.to.db.QueryRow(ctx, `SELECT COUNT(*) FROM warren_shard_progress WHERE shard = ?`, m.shard).Scan(&begun)
	if err != nil || captured && begun == len(m.layouts) {
		return err // one that broke off goes on
	}
	if err := m.capture(ctx); err != nil {
		return err
	}
	return m.wipe(ctx)
}

// receive makes the other database wait for this mover's rows.
func (m *mover) receive(ctx context.Context) error {
	return m.to.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO warren_shard_owners (shard, state, epoch, capture) VALUES (?, ?, 0, FALSE)
			ON CONFLICT (shard) DO NOTHING`, m.shard, stateGone)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE warren_shard_owners SET state = ?, epoch = ?, capture = FALSE WHERE shard = ? AND epoch < ?`,
			stateReceiving, m.epoch, m.shard, m.epoch)
		if err != nil {
			return err
		}
		return m.receiving(ctx, tx)
	})
}

// receiving makes sure, until the transaction ends, that the other database takes
// this mover's rows.
func (m *mover) receiving(ctx context.Context, tx *store.Tx) error {
	var state string
	var epoch int64
	err := tx.QueryRow(ctx, `SELECT state, epoch FROM warren_shard_owners WHERE shard = ? FOR UPDATE`, m.shard).Scan(&state, &epoch)
	if err != nil {
		return err
	}
	if state != stateReceiving || epoch != m.epoch {
		return ErrSuperseded
	}
	return nil
}

// capture has changes noted from now on: the transactions that didn't note theirs
// have ended when it returns.
func (m *mover) capture(ctx context.Context) error {
	return m.persist(ctx, func(ctx context.Context) error {
		return m.alone(ctx, `capture = TRUE`, stateOwned)
	})
}

// persist tries what waits for others' transactions a few times.
func (m *mover) persist(ctx context.Context, do func(context.Context) error) error {
	for try := 1; ; try++ {
		limited, cancel := context.WithTimeout(ctx, m.opts.FenceTime*2/3)
		err := do(limited)
		cancel()
		again := errors.Is(err, context.DeadlineExceeded) || errors.Is(err, store.ErrBusy) || errors.Is(err, ErrDiffers)
		if !again || ctx.Err() != nil || errors.Is(err, errUndecided) {
			return err
		}
		if try == fenceTries {
			return fmt.Errorf("given up after %d attempts: %w", try, err)
		}
		m.opts.Logger.WarnContext(ctx, "a step of moving a shard is tried again", "shard", m.shard, "because", err)
		if !sleep(ctx, m.opts.FenceTime/8*time.Duration(try)) {
			return errors.Join(ctx.Err(), err)
		}
	}
}

// alone changes the row of the shard at its owner, once all transactions that hold it
// have ended. New ones wait meanwhile, or there might be no end of them.
func (m *mover) alone(ctx context.Context, set, state string) (err error) {
	if err := m.intend(ctx); err != nil {
		return err
	}
	err = m.from.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		touched, err := tx.Exec(ctx, `UPDATE warren_shard_owners SET `+set+` WHERE shard = ? AND epoch = ? AND state = ?`, m.shard, m.epoch, state)
		if err == nil && touched != 1 {
			err = ErrSuperseded
		}
		if err != nil {
			return err
		}
		return m.lift(ctx, tx)
	})
	if err == nil {
		return nil
	}
	settle, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTime)
	defer cancel()
	return errors.Join(err, m.lift(settle, m.from.db))
}

// intend has new transactions of the shard wait until lift.
func (m *mover) intend(ctx context.Context) error {
	_, err := m.from.db.Exec(ctx, `INSERT INTO warren_shard_fences (shard, epoch) VALUES (?, ?) ON CONFLICT (shard) DO UPDATE SET epoch = excluded.epoch`,
		m.shard, m.epoch)
	return err
}

func (m *mover) lift(ctx context.Context, q store.Querier) error {
	_, err := q.Exec(ctx, `DELETE FROM warren_shard_fences WHERE shard = ? AND epoch = ?`, m.shard, m.epoch)
	return err
}

// handOver fences the shard, brings the rest over, and changes the map.
func (m *mover) handOver(ctx context.Context) error {
	m.say("switch")
	return m.persist(ctx, func(limited context.Context) error {
		began := time.Now()
		err := m.alone(limited, `state = '`+stateFenced+`'`, stateOwned)
		if err != nil {
			return err
		}
		m.opts.failpoint("fenced")
		err = m.complete(limited)
		if err == nil {
			err = m.decide(limited)
		}
		m.progress.Fenced = time.Since(began)
		m.metrics.fenced.Observe(m.progress.Fenced.Seconds())
		if err == nil || errors.Is(err, errUndecided) {
			return err
		}
		if err := m.giveBack(ctx, err); err != nil {
			return err
		}
		if errors.Is(err, ErrDiffers) {
			// What nobody noted, such as what a cascade deleted.
			return errors.Join(m.reconcile(ctx), err)
		}
		return err
	})
}

// complete copies the rest and compares both sides, in which nothing changes now.
func (m *mover) complete(ctx context.Context) error {
	m.behind = 0 // everybody waits already
	if err := m.catchUp(ctx, 0); err != nil {
		return err
	}
	if err := m.compare(ctx); err != nil {
		return err
	}
	if m.opts.BeforeSwitch != nil {
		if err := m.opts.BeforeSwitch(ctx, m.shard, m.from.db, m.to.db); err != nil {
			return err
		}
	}
	m.opts.failpoint("complete")
	return nil
}

// errUndecided leaves open whether the map was changed. Whoever needs the shard finds
// out.
var errUndecided = errors.New("whether the map was changed is not known")

// settle finds out what became of a decision whose answer was lost.
func (m *mover) settle(ctx context.Context, err error) error {
	if !errors.Is(err, errUndecided) || m.reload(ctx) != nil {
		return err
	}
	p, missing := m.place(m.shard)
	if missing != nil || p.member != m.to.id {
		return err
	}
	if err := m.promote(ctx, m.to, m.shard, p.epoch); err != nil {
		return err
	}
	return m.retire(ctx, m.from, m.shard, p.epoch)
}

// decide changes the map: the one moment before which the shard is here, and after
// which it is there. What follows is only to have it found faster, and anybody does
// it who finds it undone.
func (m *mover) decide(ctx context.Context) error {
	touched, ended := int64(0), false
	err := m.home.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		ended = false
		touched, err = tx.Exec(ctx, `UPDATE warren_shard_map SET member = ?, epoch = epoch + 1, moving_to = '', left_behind = ?
			WHERE shard = ? AND epoch = ? AND member = ?`, m.to.id, m.from.id, m.shard, m.epoch, m.from.id)
		ended = err == nil
		return err
	})
	if err != nil && !ended { // nothing was to be committed
		return fmt.Errorf("change the map: %w", err)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errUndecided, err)
	}
	if touched != 1 {
		return ErrSuperseded
	}
	m.opts.failpoint("decided")
	if err := m.promote(ctx, m.to, m.shard, m.epoch+1); err != nil {
		return errors.Join(errUndecided, err)
	}
	m.opts.failpoint("promoted")
	if err := m.retire(ctx, m.from, m.shard, m.epoch+1); err != nil {
		return errors.Join(errUndecided, err)
	}
	m.opts.failpoint("retired")
	return m.reload(ctx)
}

// giveBack lifts the fence of a move that didn't come to its end.
func (m *mover) giveBack(ctx context.Context, because error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTime)
	defer cancel()
	_, err := m.from.db.Exec(ctx, `UPDATE warren_shard_owners SET state = ? WHERE shard = ? AND epoch = ? AND state = ?`,
		stateOwned, m.shard, m.epoch, stateFenced)
	if err != nil {
		return errors.Join(because, err)
	}
	return nil
}

// retire has a database that lost the shard refuse it.
func (s *Shards) retire(ctx context.Context, from *member, shard int, epoch int64) error {
	_, err := from.db.Exec(ctx, `UPDATE warren_shard_owners SET state = ?, epoch = ?, capture = FALSE WHERE shard = ? AND epoch < ?`,
		stateGone, epoch, shard, epoch)
	if err != nil {
		return fmt.Errorf("take shard %d from database %s: %w", shard, from.id, err)
	}
	return nil
}

// Abort gives up moving a shard, and deletes what was copied. The shard stays where
// it is, and is usable at once. When the move is over already, Abort does nothing but
// delete what it left behind.
func (s *Shards) Abort(ctx context.Context, shard int) error {
	var p place
	err := s.home.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		if p, err = lockPlace(ctx, tx, shard); err != nil || p.movingTo == "" {
			return err
		}
		p.epoch++
		_, err = tx.Exec(ctx, `UPDATE warren_shard_map SET epoch = ?, moving_to = '', left_behind = ? WHERE shard = ?`, p.epoch, p.movingTo, shard)
		return err
	})
	if err == nil && p.movingTo != "" {
		err = s.reclaim(ctx, shard, p)
	}
	if err == nil {
		err = s.tidy(ctx, shard)
	}
	if err != nil {
		return fmt.Errorf("abort move of shard %d: %w", shard, err)
	}
	return nil
}

// reclaim makes the owner usable, and stops it noting changes.
func (s *Shards) reclaim(ctx context.Context, shard int, p place) error {
	owner, err := s.member(ctx, p.member)
	if err != nil {
		return err
	}
	if err := s.promote(ctx, owner, shard, p.epoch); err != nil {
		return err
	}
	return owner.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE warren_shard_owners SET capture = FALSE WHERE shard = ? AND epoch = ?`, shard, p.epoch)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `DELETE FROM warren_shard_changes WHERE shard = ?`, shard)
		return err
	})
}

// tidy deletes what a move left behind: at the database that had the shard, or that
// was to have it.
func (s *Shards) tidy(ctx context.Context, shard int) error {
	if err := s.reload(ctx); err != nil {
		return err
	}
	p, err := s.place(shard)
	if err != nil || p.leftBehind == "" || p.leftBehind == p.member {
		return err
	}
	behind, err := s.member(ctx, p.leftBehind)
	if err != nil {
		return err
	}
	if err := s.retire(ctx, behind, shard, p.epoch); err != nil {
		return err
	}
	gone := func(ctx context.Context, tx *store.Tx) error {
		var state string
		err := tx.QueryRow(ctx, `SELECT state FROM warren_shard_owners WHERE shard = ? FOR UPDATE`, shard).Scan(&state)
		if err == nil && state != stateGone {
			err = ErrSuperseded // it came back meanwhile
		}
		return err
	}
	if err := s.erase(ctx, behind.db, shard, gone); err != nil {
		return fmt.Errorf("delete what shard %d left in database %s: %w", shard, behind.id, err)
	}
	_, err = s.home.db.Exec(ctx, `UPDATE warren_shard_map SET left_behind = '' WHERE shard = ? AND left_behind = ?`, shard, p.leftBehind)
	if err != nil {
		return err
	}
	return s.reload(ctx)
}

// erase deletes a shard's rows, in small transactions that check each time whether
// they still may.
func (s *Shards) erase(ctx context.Context, db *store.DB, shard int, may func(context.Context, *store.Tx) error) error {
	for _, t := range slices.Backward(s.opts.Tables) {
		l, err := layoutOf(ctx, t, db, db)
		if err != nil {
			return err
		}
		for left := chunkSize; left == chunkSize; {
			err := db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
				if err := may(ctx, tx); err != nil {
					return err
				}
				rows, err := l.after(ctx, tx, shard, nil)
				if left = len(rows); err != nil || left == 0 {
					return err
				}
				var keys [][]any
				for _, r := range rows {
					keys = append(keys, l.keyOf(r))
				}
				return l.remove(ctx, tx, shard, keys)
			})
			if err != nil {
				return err
			}
		}
	}
	return db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := may(ctx, tx); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM warren_shard_progress WHERE shard = ?`, shard); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `DELETE FROM warren_shard_changes WHERE shard = ?`, shard)
		return err
	})
}
