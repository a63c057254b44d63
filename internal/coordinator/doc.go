// Package coordinator brings distributed transactions to their end: sagas, TCC
// and two-phase commits, whatever dies meanwhile.
//
// What a transaction has come to is a few rows, and every step of it is written
// before the next one is taken. One goroutine writes, and puts the steps of many
// transactions into one commit of the database, so that the disk is waited for once.
//
// Several coordinators may share a database. Each owns the transactions that it
// took; its beat, a counter in the database, says that it lives. Whose beat
// stands still loses what it owns to the others: they raise the epoch of its
// transactions, and what it still writes, for the epoch before, is refused.
package coordinator
