package supervisor

import (
	"errors"
	"net"
	"syscall"
	"testing"
)

func TestListenNear(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	at := taken.Addr().String()
	if _, _, err := listenNear(at, true); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("who insists gets %v", err)
	}
	l, elsewhere, err := listenNear(at, false)
	if err != nil || !errors.Is(elsewhere, syscall.EADDRINUSE) {
		t.Fatalf("got %v, %v", elsewhere, err)
	}
	defer l.Close()
	if l.Addr().String() == at {
		t.Error("it listens where somebody else does")
	}
	free, elsewhere, err := listenNear("127.0.0.1:0", false)
	if err != nil || elsewhere != nil {
		t.Fatalf("got %v, %v", elsewhere, err)
	}
	_ = free.Close() // nobody uses it
}
