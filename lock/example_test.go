package lock_test

import (
	"context"
	"fmt"

	"github.com/gowarren/warren/lock"
)

// One process at a time closes the books. What it writes carries the token, so
// that the ledger can refuse a holder that woke up too late.
func Example() {
	locks, err := lock.New(newMemory(), lock.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	held, err := locks.Take(ctx, "close-the-books")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer held.Release(ctx)

	working, cancel := held.With(ctx)
	defer cancel()
	fmt.Println(working.Err(), held.Token() > 0)
	// Output: <nil> true
}
