package barrier

import (
	"context"
	"errors"
	"fmt"
	"time"

	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
	"github.com/gowarren/warren/store"
)

type keepKey struct{}

// Do runs fn in the caller's transaction, unless the barrier knows better: for
// handlers of methods that are declared Manual, which have several transactions,
// or none that spans all they do. The name says what is done, and the same name
// undoes it: the compensation of what "reserve" did calls Do with "reserve". A
// handler may do several things by several names, in any order.
//
// When fn was run before, or has nothing to undo, Do returns nil without running
// it. An error of Do is returned by the handler as it is: it may be the barrier's
// own. Outside of a distributed transaction Do just runs fn.
func Do(ctx context.Context, tx *store.Tx, name string, fn func(ctx context.Context, tx *store.Tx) error) error {
	b, ok := From(ctx)
	if !ok {
		return fn(ctx, tx)
	}
	if name == "" || len(name) > 100 {
		return fmt.Errorf("barrier of branch %q: name %q isn't of 1 to 100 bytes", b.Name, name)
	}
	keep, ok := ctx.Value(keepKey{}).(time.Duration)
	if !ok {
		return errors.New("barrier: this method isn't declared Manual, so its transaction is the barrier's own already")
	}
	v, err := pass(ctx, tx, b, name, keep)
	if err != nil || v != fresh {
		return err
	}
	return fn(ctx, tx)
}

var (
	// ErrBarred says that a local transaction came too late: the coordinator has
	// asked about it and was told that it did not take place.
	ErrBarred = errors.New("local transaction was given up by its coordinator")
	// ErrDone says that the local transaction of this name took place before.
	ErrDone = errors.New("local transaction took place before")
)

// Local notes, in a local transaction, that it takes place: the branch of the
// transaction gid that is waiting for it. If the coordinator asks about it first,
// it never will: then the error is [ErrBarred].
func Local(ctx context.Context, tx *store.Tx, gid, branch string) error {
	b := Branch{GID: gid, Name: branch, Op: txnv1.Op_OP_ACTION}
	if err := b.check(); err != nil {
		return err
	}
	first, err := insert(ctx, tx, b, opMessage, "", opMessage)
	if err != nil || first {
		return err
	}
	by, _, err := done(ctx, tx, b, opMessage, "")
	switch {
	case err != nil:
		return err
	case by == byRollback:
		return fmt.Errorf("transaction %q: %w", gid, ErrBarred)
	}
	return fmt.Errorf("transaction %q: %w", gid, ErrDone)
}
