package node

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
)

// No hook keeps the process from its end, or another hook from its turn.
func TestCloseIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &Node{}
		leave := make(chan struct{})
		ran := false
		n.OnClose(func(context.Context) error { ran = true; return errors.New("its own error") })
		n.OnClose(func(context.Context) error { panic("a bug") })
		n.OnClose(func(context.Context) error { <-leave; return nil })
		err := n.Finish()
		if !ran || err == nil {
			t.Fatalf("the first hook had its turn: %v; %v", ran, err)
		}
		for _, want := range []string{"did not return", "panic at the end: a bug", "its own error"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q is not told in: %v", want, err)
			}
		}
		close(leave)
	})
}
