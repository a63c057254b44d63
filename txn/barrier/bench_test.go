package barrier_test

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/gowarren/warren/store/storetest"
	"github.com/gowarren/warren/txn/barrier"
	fairv1 "github.com/gowarren/warren/txn/internal/testpb/fair/v1"
)

// What the barrier adds to a call whose handler writes two rows, over a socket:
// the same call without it, with it, and a second time. The rows are others in
// each call, so that the calls don't wait for one another.
func BenchmarkCall(b *testing.B) {
	for name, fresh := range map[string]func(testing.TB) string{
		"sqlite": storetest.SQLite, "sqlite-normal": normal, "postgres": storetest.PostgreSQL, "mysql": storetest.MySQL,
	} {
		for _, how := range []string{"without", "with", "again"} {
			for _, callers := range []int{1, 16} {
				b.Run(fmt.Sprintf("%s/%s/%d", name, how, callers), func(b *testing.B) {
					f := open(b, fresh(b), options{off: how == "without"})
					f.bench(b, how, callers)
				})
			}
		}
	}
}

func normal(t testing.TB) string { return storetest.SQLite(t) + "?synchronous=normal" }

func (f *fair) bench(b *testing.B, how string, callers int) {
	f.hook("Reserve", nil)
	for i := range 64 {
		f.exec(`INSERT INTO stock (goods, free, sold) VALUES (?, 1000000000, 0)`, fmt.Sprint("goods-", i))
	}
	var n atomic.Int64
	call := func(again bool) error {
		i := n.Add(1)
		ctx := f.system(context.Background())
		if how != "without" {
			gid := fmt.Sprint("gid-", i)
			if again {
				gid = "gid-1"
			}
			var err error
			if ctx, err = barrier.Outgoing(ctx, branch(gid, action)); err != nil {
				return err
			}
		}
		_, err := f.stall.Reserve(ctx, &fairv1.ReserveRequest{Id: strconv.FormatInt(i, 10), Goods: fmt.Sprint("goods-", i%64), Quantity: 1})
		return err
	}
	f.must(call(false))
	b.SetParallelism((callers + 1) / 2) // of two processors
	b.ResetTimer()                      // a database of its own takes longer than a call
	if callers == 1 {
		for b.Loop() {
			f.must(call(how == "again"))
		}
		return
	}
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := call(how == "again"); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
