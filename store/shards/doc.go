// Package shards spreads a service's rows over several databases, so that it can
// grow beyond one, and moves them between databases while they are used.
//
// Rows belong to one of a fixed number of shards (64, unless said otherwise when the
// first database is set up, and for ever). [Shards.Of] tells the shard of a key,
// such as a customer's id; ids made by [NewID] carry their shard in them. So an
// order is found by its customer and by its own id, without a directory:
//
//	shard := all.Of(customerID)
//	order.ID = shards.NewID(shard, time.Now())
//	err := all.InTx(ctx, shard, func(ctx context.Context, tx *store.Tx) error { … })
//
//	shard, err := all.OfID(orderID)
//
// Tables whose rows belong to shards are declared ([Table]): each has a column with
// the number of the row's shard. A transaction is in one shard. [Shards.Each] and
// [Collect] read from all.
//
// # Which database has a shard
//
// The first database is the home: it has the map of shards to databases. Each
// database itself knows which shards it owns, and every transaction asks that
// first, within itself. So a process whose map is out of date gets no wrong answer
// and writes to no wrong place: it reads the map again and repeats, unnoticed.
//
// # Moving
//
// [Shards.Move] copies a shard to another database while it is used: triggers note
// what changes meanwhile, which is copied again until little is left. Then the shard
// is fenced for a moment, the rest is copied, both sides are counted and compared,
// and the map is changed in one step, which is the only moment that decides. The
// mover may die at any time: who finds a fence whose time is over takes it away, and
// calling Move again goes on where it stopped. [Shards.Abort] gives it up.
package shards
