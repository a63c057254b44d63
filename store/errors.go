package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"
)

// The errors that callers tell apart, with [errors.Is], on every database.
var (
	// ErrNoRows says that QueryRow found nothing.
	ErrNoRows = sql.ErrNoRows
	// ErrConflict says that a unique key is taken.
	ErrConflict = errors.New("unique key is taken")
	// ErrReference says that a foreign key points to nothing, or that the row to
	// delete is still pointed to.
	ErrReference = errors.New("foreign key is violated")
	// ErrBusy says that others held the data for too long: waiting for a lock, or
	// repeating the transaction, was given up. Nothing was changed.
	ErrBusy error = passing("database is contended")
	// ErrUnavailable says that the database can't be reached, or was lost while
	// it worked: whether it still did what was asked is then unknown.
	ErrUnavailable error = passing("database is unavailable")
	// ErrNested says that a transaction, or a query outside of it, was begun with
	// the context of a transaction of the same database.
	ErrNested = errors.New("already in a transaction of this database: use its Tx")
	// ErrElsewhere says that another database was to be written to within a
	// joinable transaction, which can't span it.
	ErrElsewhere = errors.New("a transaction has one database")
	// ErrMigration says that the schema and the migrations contradict each other,
	// or that a migration is wrong: trying again doesn't help.
	ErrMigration = errors.New("migration is refused")
)

// passing is an error that goes away by itself: rpc tells the caller when to come
// back, instead of hiding it behind a reference to the log.
type passing string

func (p passing) Error() string { return string(p) }

// Unavailable tells package rpc, which knows no databases, what kind of error it
// is.
func (p passing) Unavailable() bool { return true }

// fault is what an error means for whoever gets it.
type fault int

const (
	faultOther      fault = iota
	faultConflict         // unique key
	faultReference        // foreign key
	faultContention       // rolled back by the database; the same again may work
	faultBusy             // waited for a lock in vain
	faultLost             // the connection broke while in use
	faultAway             // no connection could be made
)

// sentinel is the exported error of each fault that has one.
func (f fault) sentinel() error {
	switch f {
	case faultConflict:
		return ErrConflict
	case faultReference:
		return ErrReference
	case faultContention, faultBusy:
		return ErrBusy
	case faultLost, faultAway:
		return ErrUnavailable
	default:
		return nil
	}
}

// failure is an error of a driver under the name that callers know.
type failure struct {
	fault fault
	cause error
}

func (f *failure) Error() string {
	if f.fault == faultConflict {
		// MySQL's text has the value of the key, which may be private.
		return ErrConflict.Error() + constraintName(f.cause)
	}
	return fmt.Sprintf("%v: %v", f.fault.sentinel(), f.cause)
}

func (f *failure) Unwrap() []error { return []error{f.fault.sentinel(), f.cause} }

// explain turns an error of the driver into one of this package.
func (db *DB) explain(ctx context.Context, err error) error {
	if err == nil || errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if known, ok := errors.AsType[*failure](err); ok {
		return known
	}
	ended := ctx.Err()
	if at, ok := ctx.Deadline(); ok && ended == nil && !time.Now().Before(at) {
		ended = context.DeadlineExceeded // sockets, which have the same deadline, may be quicker
	}
	if ended != nil {
		// Drivers call this many things, such as "interrupted" or "broken pipe";
		// database/sql calls it "transaction has already been rolled back".
		if errors.Is(err, ended) {
			return err
		}
		return fmt.Errorf("%w: %w", ended, err)
	}
	if f := db.faultOf(err); f != faultOther {
		return &failure{fault: f, cause: err}
	}
	return err
}

func (db *DB) faultOf(err error) fault {
	if err == nil {
		return faultOther
	}
	if known, ok := errors.AsType[*failure](err); ok {
		return known.fault
	}
	if f := db.engine.fault(err); f != faultOther {
		return f
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		if op.Op == "dial" {
			return faultAway
		}
		return faultLost // whatever the network says of a connection that was there
	}
	for _, lost := range []error{driver.ErrBadConn, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed,
		syscall.ECONNRESET, syscall.EPIPE, syscall.ECONNREFUSED} {
		if errors.Is(err, lost) {
			return faultLost
		}
	}
	return faultOther
}
