// Package events carries events between services, by type: publishing
// &orderv1.OrderPlaced{} reaches every service that subscribes to it, once, in
// order per key, whatever dies in between.
//
//	err := db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
//		if err := insertOrder(ctx, tx, order); err != nil {
//			return err
//		}
//		return events.Publish(ctx, tx, &orderv1.OrderPlaced{OrderId: order.id})
//	})
//
//	err := events.Subscribe(app, func(ctx context.Context, tx *store.Tx, e *orderv1.OrderPlaced) error {
//		return reserveStock(ctx, tx, e.OrderId)
//	})
//
// # What is promised
//
// An event is published if and only if the transaction that published it is
// committed: it is a row of that transaction, and a relay carries the row to the
// broker afterwards, for as long as it takes. A handler's writes, through the
// transaction it is given, take place once per event and group: the runtime notes
// the event's id in the same transaction, and drops what it has seen. What a
// handler does besides may happen again.
//
// A type is an event when its contract has the option (warren.v1.event); the
// field that it names as key gives the order. Events of one type and key are
// handled in the order in which they were published, one after the other, by all
// instances of a group together. Events without a key, or with other keys, or of
// other types, wait for nobody.
//
// # Outcomes
//
// A handler returns nil when it is done, [Skip] when the event means nothing to
// it, [DeadLetter] when trying again is pointless, [RetryAfter] when it knows
// when to try again, and any other error, or panics, to be tried again after a
// pause that grows, by chance, up to events.backoff_max. Its writes are rolled back
// in all cases but the first. After events.attempts the event becomes a dead
// letter.
//
// An event that waits to be tried again is kept in the database, not in the
// broker: others go on, except those of its own key, which wait behind it. A dead
// letter leaves its place in the order: those behind it go on without it, and if
// it is replayed it comes last.
//
// # Dead letters
//
// [Bus.Letters] lists, edits, replays and drops them, and says who did so and
// why. An event that the broker refuses, because it is too large say, becomes a
// dead letter of its publisher. Payloads that can't be read become dead letters
// at once; fields that the program doesn't know are kept.
//
// # Retention
//
// What was sent stays in the outbox for events.outbox.keep, longer than a broker
// may lose what it accepted: when a broker was started again, that time is
// published once more. The inbox remembers ids for events.inbox.keep, which has
// to be longer than the broker can deliver a message again. A setting that breaks
// this order is raised, with a warning.
package events
