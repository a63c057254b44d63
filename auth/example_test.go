package auth_test

import (
	"fmt"

	"github.com/gowarren/warren/auth"
)

// All processes of a system share a secret; with it each says which service
// it is, and knows which one is calling.
func ExampleServiceKey() {
	secret := []byte("at least thirty-two bytes, from a file")
	caller, err := auth.NewServiceKey(secret)
	if err != nil {
		fmt.Println(err)
		return
	}
	token, err := caller.Sign("order")
	if err != nil {
		fmt.Println(err)
		return
	}
	called, err := auth.NewServiceKey(secret)
	if err != nil {
		fmt.Println(err)
		return
	}
	service, err := called.Verify(token)
	fmt.Println(service, err)
	// Output: order <nil>
}
