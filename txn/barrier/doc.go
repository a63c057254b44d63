// Package barrier makes a service a safe participant of distributed transactions:
// what a saga, a TCC or a two-phase commit asks of it takes effect once, however
// often, late, or out of order it is asked.
//
// A coordinator says with each call which branch of which transaction it is. The
// [Barrier] stands before the handlers, opens the service's database transaction
// that the handler joins ([store.Joinable]), and notes in it, with two inserts,
// what is being done:
//
//   - the same call again is answered with the first answer;
//   - a compensation, or a cancel, of what never took place does nothing, and
//     bars the way to what it would have undone, should that still arrive;
//   - an action and its compensation that meet wait for one another on the row
//     that both want: either both took place or neither.
//
// Note, work, and answer are one commit, so a handler that uses its database as
// any other handler does needs no line for this.
package barrier
