package contract_test

import (
	"testing"

	_ "github.com/gowarren/warren/api/warren/shards/v1" // linked, as a contract of ours is
	"github.com/gowarren/warren/internal/contract"
)

func TestLinked(t *testing.T) {
	const move = "/warren.shards.v1.ShardService/Move"
	if read := contract.Linked(move); read == nil || read.Method("Move") == nil || read.Method("Move").FullName != move {
		t.Errorf("got %v", read)
	}
	for _, nobody := range []string{"", "Move", "/warren.shards.v1.Nobody/Move", "/warren.shards.v1.MoveRequest/Move"} {
		if read := contract.Linked(nobody); read != nil {
			t.Errorf("%q is %v", nobody, read)
		}
	}
}
