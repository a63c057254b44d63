// Package idempotency gives a call that comes twice one effect and one answer.
//
// Where a contract says idempotency_key, the caller names what it wants by a key,
// and may send the same again when it doesn't know what became of it. [Keys]
// stands before the handlers: it claims the key, in a short transaction of the
// service's database, opens the transaction that the handler joins
// ([store.Joinable]), and keeps the answer in the same commit. Then
//
//   - the same key with the same request is answered with the first answer, also
//     when that was an error that would come again (NOT_FOUND, say);
//   - with another request it is refused: IDEMPOTENCY_KEY_REUSED, 422 in HTTP
//     (what the contract calls secret is not compared, as it is not kept);
//   - while the first is being answered it is refused with the time after which
//     to ask again: IDEMPOTENCY_KEY_IN_USE, 409 in HTTP;
//   - when the first one broke off, by an error that may pass or because its
//     process died, the next one is the first again.
//
// Who died holds the key until the deadline of its call is over. Should it be
// alive still, it can commit nothing: the claim is another's by then.
//
// A key belongs to a method and a caller: the user, or the service that calls
// without one. Handlers need no line for this, as long as their effects are in the
// database. What they do elsewhere must bear repetition.
package idempotency
