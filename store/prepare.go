package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"database/sql/driver"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"
)

// The errors of prepared transactions.
var (
	// ErrCannotPrepare says that the database has no prepared transactions, or
	// not as it is set up; the error's text says what to do.
	ErrCannotPrepare = errors.New("database can't prepare transactions")
	// ErrNotPrepared says that no transaction is prepared under the name: there
	// never was one, it has been committed or rolled back, or it was lost.
	ErrNotPrepared = errors.New("no transaction is prepared under this name")
)

// PreparedTx is a transaction that waits for its end.
type PreparedTx struct {
	Name string
	// At is when it was prepared, by the server's clock; zero on MySQL, which
	// doesn't tell.
	At time.Time
}

const (
	// detachTime bounds the wait for a transaction whose connection isn't quite
	// closed yet.
	detachTime = 5 * time.Second
	detachPoll = 5 * time.Millisecond
)

var preparedName = regexp.MustCompile(`^[A-Za-z0-9_.:-]{1,64}$`)

// twoPhase is the SQL of prepared transactions. Names in it are quoted already.
type twoPhase struct {
	begin    func(name string, serializable bool) []string
	prepare  func(name string) []string
	rollback func(name string) []string // before it is prepared

	commitPrepared, rollbackPrepared func(name string) string
	// quoted writes a name as the server knows it.
	quoted func(name string) string
	list   func(ctx context.Context, db *DB) ([]PreparedTx, error)
	// able returns why the server can't, if it can't.
	able func(ctx context.Context, db *DB) error
	// fault tells what the server says about names.
	fault func(error) preparedFault
	// find, when set, returns what a name is called in full, and whether it may
	// be finished from another connection yet.
	find func(ctx context.Context, db *DB, name string) (quoted string, fault preparedFault, err error)
}

type preparedFault int

const (
	preparedOther   preparedFault = iota
	preparedMissing               // nothing of that name
	preparedTaken                 // the name is in use
	preparedBusy                  // somebody else is at it right now
	preparedOff                   // the server is not set up for it
)

// Prepare runs fn as [DB.InTx] does, and leaves its transaction prepared under
// the name: what it did is safe on the server and takes effect with
// [DB.CommitPrepared], or never with [DB.RollbackPrepared], from any process.
// Until then it holds its locks, also when every process dies: who prepares must
// be sure that somebody decides. Functions given to AfterCommit are not called.
//
// The name has up to 64 letters, digits and "_.:-", and belongs to the database.
// Where it is taken the error is [ErrConflict].
func (db *DB) Prepare(ctx context.Context, name string, fn func(ctx context.Context, tx *Tx) error, opts ...TxOption) error {
	if err := db.CanPrepare(ctx); err != nil {
		return err
	}
	if !preparedName.MatchString(name) {
		return fmt.Errorf("prepare transaction: name %q isn't made of up to 64 letters, digits and _.:-", name)
	}
	if slices.Contains(opts, ReadOnly) {
		return errors.New("prepare transaction: one that only reads has nothing to prepare")
	}
	if _, err := db.around(ctx, true); err != nil {
		return err
	}
	return db.inTx(ctx, fn, opts, func(ctx context.Context, opts []TxOption) (transaction, error) {
		return db.beginPreparable(ctx, name, slices.Contains(opts, Serializable))
	})
}

// CanPrepare returns why the database has no prepared transactions, an
// [ErrCannotPrepare], or nil if it has.
func (db *DB) CanPrepare(ctx context.Context) error {
	if err := db.outside(ctx); err != nil {
		return err
	}
	if db.engine.twoPhase == nil {
		return fmt.Errorf("%w: %s has none: use PostgreSQL, MySQL or MariaDB", ErrCannotPrepare, db.Dialect())
	}
	if db.canPrepare.Load() {
		return nil
	}
	if err := db.engine.twoPhase.able(ctx, db); err != nil {
		return err
	}
	db.canPrepare.Store(true)
	return nil
}

// CommitPrepared commits the transaction prepared under the name. Where it is
// gone the error is [ErrNotPrepared].
func (db *DB) CommitPrepared(ctx context.Context, name string) error {
	return db.finish(ctx, name, "commit", func(p *twoPhase, quoted string) string { return p.commitPrepared(quoted) })
}

// RollbackPrepared rolls the transaction prepared under the name back. Where it
// is gone the error is [ErrNotPrepared].
func (db *DB) RollbackPrepared(ctx context.Context, name string) error {
	return db.finish(ctx, name, "roll back", func(p *twoPhase, quoted string) string { return p.rollbackPrepared(quoted) })
}

// Prepared lists the transactions that were prepared here and wait.
func (db *DB) Prepared(ctx context.Context) ([]PreparedTx, error) {
	if err := db.CanPrepare(ctx); err != nil {
		return nil, err
	}
	list, err := db.engine.twoPhase.list(ctx, db)
	if err != nil {
		return nil, fmt.Errorf("list prepared transactions: %w", db.explain(ctx, err))
	}
	return list, nil
}

func (db *DB) finish(ctx context.Context, name, what string, statement func(p *twoPhase, quoted string) string) error {
	if err := db.CanPrepare(ctx); err != nil {
		return err
	}
	if err := db.end(ctx, name, statement); err != nil {
		return fmt.Errorf("%s prepared transaction: %w", what, err)
	}
	return nil
}

func (db *DB) end(ctx context.Context, name string, statement func(p *twoPhase, quoted string) string) error {
	p := db.engine.twoPhase
	if own := db.held.take(name); own != nil {
		return own.finish(ctx, statement(p, own.name))
	}
	for until := time.Now().Add(detachTime); ; {
		quoted, fault, err := p.quoted(name), preparedOther, error(nil)
		if p.find != nil {
			quoted, fault, err = p.find(ctx, db, name)
		}
		if err == nil && fault == preparedOther {
			if _, err = db.write.ExecContext(unprepared(ctx), statement(p, quoted)); err == nil {
				return nil
			}
			fault = p.fault(err)
		}
		switch {
		case fault == preparedMissing:
			return ErrNotPrepared
		case fault != preparedBusy:
			return db.explain(ctx, err)
		case time.Now().After(until) || !pause(ctx, detachPoll):
			return errors.Join(ctx.Err(), &failure{fault: faultBusy, cause: errBusyPrepared})
		}
	}
}

var errBusyPrepared = errors.New("somebody else holds the prepared transaction right now")

// unprepared has a statement sent as it is: the protocol of prepared statements,
// which has nothing to do with prepared transactions, doesn't know these.
func unprepared(ctx context.Context) context.Context {
	return context.WithValue(ctx, scriptKey{}, true)
}

// realm makes names unique on a server with many databases, which has one list
// for all of them.
func realm(database string) string {
	sum := sha256.Sum256([]byte(database))
	return hex.EncodeToString(sum[:8])
}

// preparable is a transaction that ends prepared. It has its connection to
// itself, as the pool's own transactions can't be prepared.
type preparable struct {
	*sql.Conn
	db   *DB
	own  string
	name string // quoted
}

func (db *DB) beginPreparable(ctx context.Context, name string, serializable bool) (*preparable, error) {
	conn, err := db.preparing.Conn(ctx)
	if err != nil {
		return nil, err
	}
	p := &preparable{Conn: conn, db: db, own: name, name: db.engine.twoPhase.quoted(name)}
	if db.holds.Load() {
		if p.name, err = p.named(ctx); err != nil {
			p.drop()
			return nil, err
		}
	}
	for _, statement := range db.engine.twoPhase.begin(p.name, serializable) {
		if _, err := conn.ExecContext(unprepared(ctx), statement); err != nil {
			p.drop()
			return nil, p.explain(err)
		}
	}
	return p, nil
}

// Commit prepares the transaction.
func (p *preparable) Commit() error {
	ctx, cancel := context.WithTimeout(context.Background(), detachTime)
	defer cancel()
	for _, statement := range p.db.engine.twoPhase.prepare(p.name) {
		if _, err := p.ExecContext(unprepared(ctx), statement); err != nil {
			p.drop() // the server rolls back what isn't prepared
			return p.explain(err)
		}
	}
	if p.db.holds.Load() {
		p.db.held.keep(p)
		return nil
	}
	return p.Close()
}

// Rollback ends it for good.
func (p *preparable) Rollback() error {
	ctx, cancel := context.WithTimeout(context.Background(), detachTime)
	defer cancel()
	for _, statement := range p.db.engine.twoPhase.rollback(p.name) {
		if _, err := p.ExecContext(unprepared(ctx), statement); err != nil {
			p.drop()
			return err
		}
	}
	return p.Close()
}

// drop closes the connection for good, and with it what isn't prepared.
func (p *preparable) drop() {
	_ = p.Raw(func(any) error { return driver.ErrBadConn })
	_ = p.Close()
}

func (p *preparable) explain(err error) error {
	switch p.db.engine.twoPhase.fault(err) {
	case preparedTaken:
		return &failure{fault: faultConflict, cause: err}
	case preparedOff:
		p.db.canPrepare.Store(false)
		return fmt.Errorf("%w: %w", ErrCannotPrepare, err)
	}
	return err
}
