package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// joinedKey finds in a context the joinable transaction that it belongs to, of
// whatever database.
type joinedKey struct{}

// around returns the transaction of this database that the context belongs to,
// to be joined; nil when there is none. One that is not joinable is an error, and
// so is writing elsewhere than in one that is.
func (db *DB) around(ctx context.Context, writes bool) (*Tx, error) {
	tx, _ := ctx.Value(txKey{db}).(*Tx)
	if tx != nil && !tx.is(Joinable) {
		return nil, fmt.Errorf("database %q: %w", db.name, ErrNested)
	}
	if other, _ := ctx.Value(joinedKey{}).(*Tx); tx == nil && other != nil && writes {
		return nil, fmt.Errorf("write to database %q in a transaction of %q: %w", db.name, other.db.name, ErrElsewhere)
	}
	return tx, nil
}

// within returns the context of what is done in the transaction.
func (tx *Tx) within(ctx context.Context) context.Context {
	ctx = context.WithValue(ctx, txKey{tx.db}, tx)
	if tx.is(Joinable) {
		ctx = context.WithValue(ctx, joinedKey{}, tx)
	}
	return ctx
}

func (tx *Tx) is(o TxOption) bool { return slices.Contains(tx.has, o) }

// outside refuses what can't be part of the transaction around it.
func (db *DB) outside(ctx context.Context) error {
	if ctx.Value(txKey{db}) != nil {
		return fmt.Errorf("database %q: %w", db.name, ErrNested)
	}
	return nil
}

// errStricter ends a function that the transaction around it doesn't do for; that
// one is begun again as the function needs it.
var errStricter = errors.New("the transaction is begun again as a serializable one")

// join runs fn as a part of the transaction. It is never repeated alone: what the
// database undid, it undid for all.
func (tx *Tx) join(ctx context.Context, fn func(context.Context, *Tx) error, opts []TxOption) (err error) {
	if slices.Contains(opts, Serializable) && !tx.is(Serializable) && tx.db.Dialect() != SQLite {
		tx.mu.Lock()
		tx.wants = Serializable
		tx.mu.Unlock()
		tx.doom(errStricter)
		return errStricter
	}
	if err := tx.spoilt(); err != nil {
		return fmt.Errorf("transaction is over since: %w", err)
	}
	if err := fn(ctx, tx); err != nil {
		tx.doom(err)
		return err
	}
	return tx.spoilt()
}

// doom has the transaction rolled back, because of what somebody who joined said.
func (tx *Tx) doom(err error) {
	tx.mu.Lock()
	defer tx.mu.Unlock()
	if tx.doomed == nil {
		tx.doomed = err
	}
}

// spoilt returns why the transaction can't be committed, or nil.
func (tx *Tx) spoilt() error {
	tx.mu.Lock()
	defer tx.mu.Unlock()
	if tx.err != nil {
		return tx.err
	}
	return tx.doomed
}
