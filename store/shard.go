package store

import "context"

// Current returns the transaction of this database that the context belongs to,
// or nil. It is for those who must know, such as a set of databases of which a
// transaction has one; everybody else joins by [DB.InTx], or is refused.
func (db *DB) Current(ctx context.Context) *Tx {
	tx, _ := ctx.Value(txKey{db}).(*Tx)
	return tx
}
