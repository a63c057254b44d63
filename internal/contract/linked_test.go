package contract_test

import (
	"strings"
	"testing"

	_ "github.com/gowarren/warren/api/warren/shards/v1" // linked, as a contract of ours is
	"github.com/gowarren/warren/internal/contract"
)

func TestLinked(t *testing.T) {
	const move = "/warren.shards.v1.ShardService/Move"
	read, err := contract.Linked(move)
	if err != nil || read.Method("Move") == nil || read.Method("Move").FullName != move {
		t.Errorf("got %v, %v", read, err)
	}
	if again, err := contract.Linked("/warren.shards.v1.ShardService/List"); err != nil || again != read {
		t.Errorf("it is read again: %v", err)
	}
	for nobody, says := range map[string]string{
		"": "names no method", "Move": "names no method",
		"/warren.shards.v1.Nobody/Move": "Nobody is not known", "/warren.shards.v1.MoveRequest/Move": "MoveRequest is not known",
	} {
		if read, err := contract.Linked(nobody); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q is %v, %v", nobody, read, err)
		}
	}
}
