// Package txn has several services do one thing: all of it, or in the end
// nothing. The steps are calls by contract, and the coordinator of the system
// carries them through whatever dies in between.
//
//	saga := txn.NewSaga("checkout", txn.ID(order.ID), txn.Lock("order/"+order.ID, time.Second))
//	saga.Step("reserve", inventoryv1.InventoryService_Reserve_FullMethodName, reserve)
//	hold := saga.Step("hold", paymentv1.PaymentService_Hold_FullMethodName, hold)
//	saga.Step("confirm", orderv1.OrderService_Confirm_FullMethodName, confirm, txn.Pivot())
//	saga.Step("capture", paymentv1.PaymentService_Capture_FullMethodName, capture,
//		txn.Bind("payment_id", hold, "payment_id"))
//	_, err := saga.Run(ctx, app)
//
// # Which pattern
//
// A saga ([NewSaga]) does one step after the other and undoes, in reverse, those
// that were done when one fails. Others see its middle: what must not be seen or
// used is reserved instead, or claimed by a [Lock]. [Message] is a saga that
// begins if, and only if, a local database transaction is committed.
//
// A [TCC] tries everything first, in the code of the initiator, and confirms or
// cancels all of it at once. A [TwoPhase] commit does the same with the
// databases' own prepared transactions: its steps need no way back, and hold
// their rows locked until the end.
//
// # What a step does
//
// Its contract names what undoes it (compensate), or confirms and cancels it. A
// participant needs no code for repeated, late or overtaken calls: the barrier
// ([github.com/gowarren/warren/txn/barrier]) in front of its handlers sees to
// them. An error whose code says that trying again is pointless, such as
// FAILED_PRECONDITION, is a failure, and turns the saga back; any other error is
// tried again.
package txn
