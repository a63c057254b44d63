package txn_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"testing"

	"google.golang.org/grpc"

	"github.com/gowarren/warren/txn/internal/fair"
	"github.com/gowarren/warren/txn/txntest"
)

// market is a system: a stall with apples, purses, and one who sells.
type market struct {
	*txntest.World
	stall  *fair.Stall
	purses *fair.Purses
	orders *txntest.Service // who initiates transactions, and has a database for it
	ledger *fair.Ledger     // its database
}

func newMarket(t testing.TB) *market {
	m := &market{}
	m.World = txntest.New(t, func(w *txntest.World) {
		var err error
		check := func(what string) {
			if err != nil {
				t.Fatal(what, err)
			}
		}
		m.stall, err = fair.NewStall(t.Context(), w.Service("stall"), map[string]int64{"apples": 10})
		check("open the stall")
		m.purses, err = fair.NewPurses(t.Context(), w.Service("purses"), map[string]int64{"ada": 100, "eve": 0})
		check("open the purses")
		m.orders = w.Service("orders")
		m.ledger, err = fair.NewLedger(t.Context(), m.orders, map[string]int64{"orders": 1000})
		check("open the orders")
	})
	return m
}

func (m *market) state() string {
	stall, err := m.stall.State(context.Background())
	if err != nil {
		return err.Error()
	}
	purses, err := m.purses.State(context.Background())
	if err != nil {
		return err.Error()
	}
	return stall + purses
}

var _ grpc.ClientConnInterface = (*market)(nil)

// example is what an Example, which is no test, has in place of a testing.T.
type example struct {
	testing.TB
	dir  string
	done []func()
}

func newExample() *example {
	dir, err := os.MkdirTemp("", "txn")
	if err != nil {
		panic(err)
	}
	return &example{dir: dir}
}

func (e *example) Helper()                  {}
func (e *example) Context() context.Context { return context.Background() }
func (e *example) TempDir() string          { return e.dir }
func (e *example) Cleanup(f func())         { e.done = append(e.done, f) }
func (e *example) Fatal(args ...any)        { panic(fmt.Sprint(args...)) }

func (e *example) end() {
	for _, f := range slices.Backward(e.done) {
		f()
	}
	_ = os.RemoveAll(e.dir)
}
