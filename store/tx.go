package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// TxOption changes what a transaction is.
type TxOption int

// The options of InTx.
const (
	// Serializable makes transactions have the effect of running one after the
	// other. SQLite always does.
	Serializable TxOption = iota + 1
	// ReadOnly gives a transaction that reads one state of the database, and on
	// SQLite doesn't wait for the writer.
	ReadOnly
	// Joinable has everything that is done with the context of the transaction
	// take part in it, instead of being refused: see [DB.InTx].
	Joinable
)

const (
	maxAttempts  = 10
	firstBackoff = 4 * time.Millisecond
	maxBackoff   = 400 * time.Millisecond
)

// txKey finds in a context the transaction that it belongs to. It has the
// database in it, so that two databases can be used together.
type txKey struct{ db *DB }

// Tx is a transaction. It belongs to the function that got it, and to one
// goroutine at a time.
//
// After a statement went wrong the transaction can only be rolled back: that is
// how PostgreSQL has it, so it is so everywhere.
type Tx struct {
	db  *DB
	tx  transaction
	ctx context.Context
	has []TxOption
	// mu: those who join may, by mistake, be several at once.
	mu  sync.Mutex
	err error // the first that went wrong
	// doomed is what the first that joined, and went wrong, returned.
	doomed error
	// wants is what one that joined needs the transaction to be; 0: nothing.
	wants TxOption
	// reading are the rows that are read right now.
	reading *Rows
	// after is run once the transaction is committed.
	after []func()
}

// transaction is a *sql.Tx, or one that can be prepared.
type transaction interface {
	runner
	Commit() error
	Rollback() error
}

// InTx runs fn in a transaction: committed when fn returns nil, rolled back when
// it returns an error or panics. When the database itself rolled it back (a
// deadlock, a serialization failure) or was lost before the commit, fn is run
// again from its start, at most ten times with growing pauses: what fn does
// besides using tx must bear repetition. The context that fn gets is for tx and
// for other services; a second transaction in it is refused with [ErrNested].
// (With the context from outside it would, on SQLite, wait for the first.)
//
// A [Joinable] transaction is joined instead: with the context that its fn gets,
// InTx runs its function within that transaction, and so do Query and Exec. All
// of it is committed at the end, or nothing: a function that joined and returned
// an error leaves its transaction to be rolled back, whatever is made of the
// error. AfterCommit waits for that end too. Writing to another database with that
// context is refused with [ErrElsewhere], as it would not be undone with it. The
// transaction belongs to one goroutine at a time still, and rows are closed before
// the next statement.
//
// An error that is [ErrUnavailable] and says "commit" leaves open whether the
// transaction took place.
func (db *DB) InTx(ctx context.Context, fn func(ctx context.Context, tx *Tx) error, opts ...TxOption) error {
	around, err := db.around(ctx, !slices.Contains(opts, ReadOnly))
	if err != nil {
		return err
	}
	if around != nil {
		return around.join(ctx, fn, opts)
	}
	return db.inTx(ctx, fn, opts, db.begin)
}

// beginner begins a transaction.
type beginner func(context.Context, []TxOption) (transaction, error)

func (db *DB) inTx(ctx context.Context, fn func(context.Context, *Tx) error, opts []TxOption, begin beginner) error {
	ctx, span := db.tracer().Start(ctx, "transaction", clientKind)
	var last *Tx
	again := func(fault) bool { return last != nil && last.repeatable() }
	err := db.repeat(ctx, maxAttempts, again, func() (err error) {
		last, err = db.attempt(ctx, fn, opts, begin)
		if last.wants != 0 { // not by the fault of anybody, and once only
			opts = append(opts[:len(opts):len(opts)], last.wants)
			last, err = db.attempt(ctx, fn, opts, begin)
		}
		return err
	})
	db.endTx(span, err)
	return err
}

// repeat runs do until it succeeds, its fault is none of those to repeat, or the
// attempts are used up.
func (db *DB) repeat(ctx context.Context, attempts int, again func(fault) bool, do func() error) error {
	backoff := firstBackoff
	for attempt := 1; ; attempt++ {
		err := do()
		if err == nil || ctx.Err() != nil || !again(db.faultOf(err)) {
			return err
		}
		if attempt >= attempts {
			return fmt.Errorf("given up after %d attempts: %w", attempt, err)
		}
		db.metrics.repeated(db.faultOf(err))
		if !pause(ctx, backoff) {
			return errors.Join(ctx.Err(), err)
		}
		backoff = min(2*backoff, maxBackoff)
	}
}

// pause waits for up to d, chosen by chance so that rivals don't meet again.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d/8 + rand.N(d))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// attempt runs fn once. The Tx is returned for what it knows about its end.
func (db *DB) attempt(ctx context.Context, fn func(context.Context, *Tx) error, opts []TxOption, begin beginner) (_ *Tx, err error) {
	tx := &Tx{db: db, ctx: ctx, has: opts}
	if tx.tx, err = begin(ctx, opts); err != nil {
		tx.note(db.explain(ctx, err))
		return tx, fmt.Errorf("begin transaction: %w", tx.err)
	}
	returned := false
	defer func() {
		if !returned { // fn panicked, or ended its goroutine
			_ = tx.tx.Rollback()
		}
	}()
	err = fn(tx.within(ctx), tx)
	returned = true
	if err == nil {
		err = tx.spoilt()
	}
	if err != nil {
		// What the rollback says adds nothing: the connection is dropped if it
		// isn't clean, and the server rolls back what nobody commits.
		_ = tx.tx.Rollback()
		return tx, err
	}
	if err := tx.tx.Commit(); err != nil {
		return tx, tx.committed(err)
	}
	if _, waits := tx.tx.(*preparable); waits {
		return tx, nil
	}
	for _, f := range tx.after {
		f()
	}
	return tx, nil
}

func (db *DB) begin(ctx context.Context, opts []TxOption) (transaction, error) { //nolint:ireturn // a beginner, one of two
	pool, how := db.isolation(opts)
	return pool.BeginTx(ctx, how)
}

func (db *DB) isolation(opts []TxOption) (*sql.DB, *sql.TxOptions) {
	how := &sql.TxOptions{}
	for _, o := range opts {
		switch o {
		case Serializable:
			how.Isolation = sql.LevelSerializable
		case ReadOnly:
			how.ReadOnly = true
		}
	}
	if db.engine.dialect == SQLite {
		how.Isolation = sql.LevelDefault // it knows one only, the strictest
		if how.ReadOnly {
			return db.read, how
		}
		return db.write, how
	}
	if how.ReadOnly && how.Isolation == sql.LevelDefault {
		how.Isolation = sql.LevelRepeatableRead
	}
	return db.write, how
}

// committed says what a commit that went wrong means.
func (tx *Tx) committed(err error) error {
	what := "commit transaction"
	if _, prepared := tx.tx.(*preparable); prepared {
		what = "prepare transaction"
	}
	explained := tx.db.explain(tx.ctx, err)
	if tx.db.faultOf(explained) == faultContention {
		tx.note(explained) // surely rolled back
		return fmt.Errorf("%s: %w", what, explained)
	}
	if tx.db.faultOf(explained) == faultLost {
		return fmt.Errorf("%s, outcome unknown: %w", what, explained)
	}
	return fmt.Errorf("%s: %w", what, explained)
}

// note keeps the first error: nothing good comes after it.
func (tx *Tx) note(err error) {
	tx.mu.Lock()
	defer tx.mu.Unlock()
	tx.keep(err)
}

func (tx *Tx) keep(err error) {
	if tx.err == nil {
		tx.err = err
	}
}

// repeatable tells whether the transaction surely didn't take place and may go
// better next time. It goes by what the database said, not by what fn made of it.
func (tx *Tx) repeatable() bool {
	if tx.err == nil {
		return false
	}
	f := tx.db.faultOf(tx.err)
	return f == faultContention || f == faultLost
}

// ready tells whether the next statement may be sent. Reading rows and sending
// another statement at once works on SQLite only, so nowhere.
func (tx *Tx) ready() error {
	if tx.err != nil {
		return fmt.Errorf("transaction is over since: %w", tx.err)
	}
	if tx.reading != nil && !tx.reading.call.ended {
		return fmt.Errorf("rows of %q are still being read: close them before the next statement", tx.reading.call.statement.summary())
	}
	return nil
}

// Query reads rows, which must be closed before the next statement.
func (tx *Tx) Query(ctx context.Context, query string, args ...any) (*Rows, error) {
	tx.mu.Lock()
	defer tx.mu.Unlock()
	if err := tx.ready(); err != nil {
		return nil, err
	}
	rows, err := tx.db.query(ctx, tx.tx, query, args)
	if err != nil {
		tx.keep(err)
		return nil, err
	}
	rows.call.tx = tx
	tx.reading = rows
	return rows, nil
}

// QueryRow reads one row; what went wrong is told by its Scan.
func (tx *Tx) QueryRow(ctx context.Context, query string, args ...any) *Row {
	rows, err := tx.Query(ctx, query, args...)
	return &Row{rows: rows, err: err}
}

// Exec runs a statement that writes and returns how many rows it touched.
func (tx *Tx) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	tx.mu.Lock()
	defer tx.mu.Unlock()
	if err := tx.ready(); err != nil {
		return 0, err
	}
	touched, err := tx.db.exec(ctx, tx.tx, query, args)
	if err != nil {
		tx.keep(err)
	}
	return touched, err
}

// AfterCommit has f called once the transaction is committed, before InTx
// returns: to wake somebody, say. It is not called when the outcome of the
// commit is unknown, so nothing may depend on it.
func (tx *Tx) AfterCommit(f func()) {
	tx.mu.Lock()
	defer tx.mu.Unlock()
	tx.after = append(tx.after, f)
}

// Attached returns what was attached to the transaction's database.
func (tx *Tx) Attached(key any) any { return tx.db.Attached(key) }

// Dialect returns the SQL that the transaction's database speaks.
func (tx *Tx) Dialect() Dialect { return tx.db.Dialect() }
