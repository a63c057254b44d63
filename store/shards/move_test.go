package shards_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gowarren/warren/store"
	"github.com/gowarren/warren/store/shards"
	"github.com/gowarren/warren/store/storetest"
)

const (
	roleVariable = "WARREN_TEST_SHARDS"
	urlsVariable = "WARREN_TEST_SHARDS_URLS"
	toVariable   = "WARREN_TEST_SHARDS_TO"
)

// fenceTime is short, as tests wait for it, and long enough for a mover that lives on
// a machine with much else to do.
const fenceTime = 2 * time.Second

// child is a process that moves shard 0 and dies where its role says.
func child(role string) int {
	opts := options()
	opts.FenceTime = fenceTime
	shards.Failpoint(&opts, func(at string) {
		if at == role {
			fmt.Println("reached", at)
			// Until it is killed: it has no chance to tidy up.
			select {}
		}
	})
	s, err := shards.Open(context.Background(), strings.Split(os.Getenv(urlsVariable), " "), opts)
	if err == nil {
		err = s.Move(context.Background(), 0, os.Getenv(toVariable), nil)
	}
	fmt.Println("ended", err)
	return 0
}

// traffic is customers who write orders, change and delete them, and read them:
// each knows what it must find.
type traffic struct {
	t      *testing.T
	stop   atomic.Bool
	wait   sync.WaitGroup
	done   atomic.Int64
	mu     sync.Mutex
	orders map[string]expected
}

type expected struct {
	shard  int
	amount int64
	lines  int
}

func startTraffic(t *testing.T, all []*shards.Shards, shard, customers int) *traffic {
	tr := &traffic{t: t, orders: map[string]expected{}}
	for c := range customers {
		tr.wait.Go(func() { tr.customer(all[c%len(all)], shard, c) })
	}
	return tr
}

func (tr *traffic) customer(s *shards.Shards, shard, c int) {
	ctx, random := tr.t.Context(), rand.New(rand.NewPCG(uint64(c), 1))
	own := map[string]expected{}
	var ids []string
	for n := 0; !tr.stop.Load(); n++ {
		var err error
		switch at := random.IntN(10); {
		case at < 3 || len(ids) == 0:
			id, e := fmt.Sprintf("%s-%d", shards.NewID(shard, time.Now()), n), expected{shard, int64(n), random.IntN(4)}
			if err = place(ctx, s, shard, id, e.amount, e.lines); err == nil {
				own[id] = e
				ids = append(ids, id)
			}
		case at < 6:
			id := ids[random.IntN(len(ids))]
			e := own[id]
			e.amount++
			err = s.InTx(ctx, shard, func(ctx context.Context, tx *store.Tx) error {
				touched, err := tx.Exec(ctx, `UPDATE orders SET amount = amount + 1, paid = TRUE, note = ? WHERE id = ?`, "nöte", id)
				if err == nil && touched != 1 {
					err = fmt.Errorf("order %s is not there to be changed", id)
				}
				return err
			})
			own[id] = e
		case at < 7:
			at := random.IntN(len(ids))
			id := ids[at]
			err = s.InTx(ctx, shard, func(ctx context.Context, tx *store.Tx) error {
				if _, err := tx.Exec(ctx, `DELETE FROM order_lines WHERE order_id = ?`, id); err != nil {
					return err
				}
				touched, err := tx.Exec(ctx, `DELETE FROM orders WHERE id = ?`, id)
				if err == nil && touched != 1 {
					err = fmt.Errorf("order %s is not there to be deleted", id)
				}
				return err
			})
			delete(own, id)
			ids = append(ids[:at], ids[at+1:]...)
		default:
			id := ids[random.IntN(len(ids))]
			var opts []store.TxOption
			if at == 9 {
				opts = append(opts, store.ReadOnly)
			}
			var a int64
			var l int
			if a, l, err = amount(ctx, s, shard, id, opts...); err == nil && (a != own[id].amount || l != own[id].lines) {
				err = fmt.Errorf("order %s has amount %d and %d lines, not %v", id, a, l, own[id])
			}
		}
		if err != nil {
			tr.t.Errorf("customer %d: %v", c, err)
			return
		}
		tr.done.Add(1)
		pause(tr.t) // or they would saturate two cores
	}
	tr.mu.Lock()
	defer tr.mu.Unlock()
	maps.Copy(tr.orders, own)
}

// until waits for so many more operations.
func (tr *traffic) until(more int64) {
	for want := tr.done.Load() + more; tr.done.Load() < want && !tr.t.Failed(); {
		pause(tr.t)
	}
}

func pause(t *testing.T) {
	timer := time.NewTimer(time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
	}
}

// end stops the customers, and looks for what they wrote: all of it, once.
func (tr *traffic) end(s *shards.Shards, shard int, at, notAt string) {
	tr.stop.Store(true)
	tr.wait.Wait()
	lines := 0
	for id, e := range tr.orders {
		a, l, err := amount(tr.t.Context(), s, shard, id)
		if err != nil || a != e.amount || l != e.lines {
			tr.t.Errorf("order %s: amount %d, %d lines, %v; want %v", id, a, l, err, e)
		}
		lines += e.lines
	}
	if o, l := rowsIn(tr.t, at, shard); o != len(tr.orders) || l != lines {
		tr.t.Errorf("the owner has %d orders with %d lines instead of %d with %d", o, l, len(tr.orders), lines)
	}
	if o, l := rowsIn(tr.t, notAt, shard); o != 0 || l != 0 {
		tr.t.Errorf("the other database has %d orders and %d lines of the shard", o, l)
	}
}

// A shard goes there and back while customers of two processes use it.
func TestMoveUnderTraffic(t *testing.T) {
	each(t, func(t *testing.T, urls []string) {
		const shard = 0
		one, two := open(t, options(), urls...), open(t, options(), urls...)
		for n := range 3000 {
			if n%500 == 0 {
				continue
			}
			if err := place(t.Context(), one, 4, id(4, n), 1, 0); err != nil { // another shard, which stays
				t.Fatal(err)
			}
			if n == 200 && !strings.HasPrefix(urls[0], "sqlite:") {
				break
			}
		}
		tr := startTraffic(t, []*shards.Shards{one, two}, shard, 8)
		tr.until(500)
		for round := range 4 {
			to := urls[1-round%2]
			var last shards.Progress
			began, before := time.Now(), tr.done.Load()
			if err := one.Move(t.Context(), shard, to, func(p shards.Progress) { last = p }); err != nil {
				t.Fatal(err)
			}
			t.Logf("moved %d rows, %d changes, fenced %v, in %v, beside %d operations", last.Copied, last.Changed, last.Fenced, time.Since(began), tr.done.Load()-before)
			tr.until(200)
		}
		tr.end(two, shard, urls[0], urls[1])
	})
}

// The mover is killed at every step: the shard stays usable, and the next one
// completes what it began.
func TestMoverIsKilled(t *testing.T) {
	each(t, func(t *testing.T, urls []string) {
		for _, at := range []string{"copy", "fenced", "complete", "decided", "promoted", "retired"} {
			t.Run(at, func(t *testing.T) {
				const shard = 0
				opts := options()
				opts.FenceTime = fenceTime
				one, two := open(t, opts, urls...), open(t, opts, urls...)
				to := other(t, one, shard, urls)
				from := urls[0]
				if to == from {
					from = urls[1]
				}
				tr := startTraffic(t, []*shards.Shards{one, two}, shard, 4)
				tr.until(200)
				killAt(t, at, urls, to)
				tr.until(200) // the customers go on
				if err := two.Move(t.Context(), shard, to, nil); err != nil {
					t.Fatal(err)
				}
				tr.until(50)
				tr.end(one, shard, to, from)
				deleteAll(t, one, tr)
			})
		}
	})
}

func deleteAll(t *testing.T, s *shards.Shards, tr *traffic) {
	t.Helper()
	for id, e := range tr.orders {
		err := s.InTx(t.Context(), e.shard, func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.Exec(ctx, `DELETE FROM orders WHERE id = ?`, id)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func killAt(t *testing.T, at string, urls []string, to string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), roleVariable+"="+at, urlsVariable+"="+strings.Join(urls, " "), toVariable+"="+to)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := make([]byte, 200)
	n, err := out.Read(said)
	if err != nil && !errors.Is(err, io.EOF) || !strings.HasPrefix(string(said[:n]), "reached "+at) {
		t.Errorf("the mover said %q, %v", said[:n], err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = cmd.Wait() // it was killed: that's no news
}

func TestAbort(t *testing.T) {
	each(t, func(t *testing.T, urls []string) {
		opts := options()
		ctx, cancel := context.WithCancel(t.Context())
		shards.Failpoint(&opts, func(at string) {
			if at == "copy" {
				cancel()
			}
		})
		one, two := open(t, opts, urls...), open(t, options(), urls...)
		tr := startTraffic(t, []*shards.Shards{two}, 0, 2)
		tr.until(100)
		if err := one.Move(ctx, 0, urls[1], nil); !errors.Is(err, context.Canceled) {
			t.Errorf("a move that is cancelled: %v", err)
		}
		if p := placement(t, two, 0); p.MovingTo == "" {
			t.Errorf("%+v", p)
		}
		if err := two.Abort(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		tr.until(100)
		if p := placement(t, two, 0); p.MovingTo != "" || p.LeftBehind != "" {
			t.Errorf("%+v", p)
		}
		tr.end(two, 0, urls[0], urls[1])
	})
}

// What no trigger sees, such as what a cascade deletes on MariaDB, is found when both
// sides are compared, and mended before the shard is handed over.
func TestUnseenChangesAreFound(t *testing.T) {
	each(t, func(t *testing.T, urls []string) {
		opts := options()
		opts.FullCheck = 1 // so that it is compared before, too
		var once sync.Once
		var s *shards.Shards
		lost := id(0, 1)
		shards.Failpoint(&opts, func(at string) {
			if at == "fenced" {
				once.Do(func() {
					db, err := s.Database(t.Context(), 0)
					if err != nil {
						t.Error(err)
						return
					}
					// As a program would that doesn't ask for the shard.
					for _, q := range []string{`DELETE FROM order_lines WHERE order_id = ? AND number = 1`, `DELETE FROM warren_shard_changes WHERE row_key <> ?`} {
						if _, err := db.Exec(t.Context(), q, lost); err != nil {
							t.Error(err)
						}
					}
				})
			}
		})
		s = open(t, opts, urls...)
		for n := range 20 {
			oid := id(0, n)
			if n == 1 {
				oid = lost
			}
			if err := place(t.Context(), s, 0, oid, 1, 2); err != nil {
				t.Fatal(err)
			}
		}
		var last shards.Progress
		if err := s.Move(t.Context(), 0, urls[1], func(p shards.Progress) { last = p }); err != nil {
			t.Fatal(err)
		}
		if last.Repaired != 1 {
			t.Errorf("%+v", last)
		}
		if o, l := rowsIn(t, urls[1], 0); o != 20 || l != 39 {
			t.Errorf("%d orders, %d lines", o, l)
		}
	})
}

// A shard goes from one kind of database to another, and comes as it went.
func TestMoveToAnotherKind(t *testing.T) {
	urls := []string{storetest.SQLite(t), storetest.PostgreSQL(t), storetest.MySQL(t)}
	one, two := open(t, options(), urls...), open(t, options(), urls...)
	tr := startTraffic(t, []*shards.Shards{one, two}, 0, 4)
	tr.until(200)
	for _, to := range []string{urls[1], urls[2], urls[0], urls[2], urls[1]} {
		if err := one.Move(t.Context(), 0, to, nil); err != nil {
			t.Fatal(err)
		}
		tr.until(50)
	}
	tr.end(two, 0, urls[1], urls[0])
}

// A page over all shards is whole, and has nothing twice, while shards move.
func TestReadingAllWhileOneMoves(t *testing.T) {
	each(t, func(t *testing.T, urls []string) {
		one, two := open(t, options(), urls...), open(t, options(), urls...)
		for n := range 80 {
			if err := place(t.Context(), one, n%8, id(n%8, n), 1, 1); err != nil {
				t.Fatal(err)
			}
		}
		var stop atomic.Bool
		var reads atomic.Int64
		var wait sync.WaitGroup
		for range 3 {
			wait.Go(func() {
				for !stop.Load() {
					var mu sync.Mutex
					byShard := map[int]int{}
					err := two.Each(t.Context(), func(ctx context.Context, tx *store.Tx, of []int) error {
						in, args := shards.In("shard", of)
						var n int
						if err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM orders WHERE `+in, args...).Scan(&n); err != nil {
							return err
						}
						mu.Lock()
						defer mu.Unlock()
						if n != 10*len(of) {
							t.Errorf("shards %v have %d orders", of, n)
						}
						for _, shard := range of {
							byShard[shard]++
						}
						return nil
					})
					if err != nil || len(byShard) != 8 {
						t.Errorf("%v, %v", byShard, err)
						return
					}
					reads.Add(1)
				}
			})
		}
		for range 3 {
			for shard := range 2 {
				if err := one.Move(t.Context(), shard, other(t, one, shard, urls), nil); err != nil {
					t.Error(err)
				}
			}
		}
		stop.Store(true)
		wait.Wait()
		t.Log(reads.Load(), "reads")
	})
}

// Two move the same shard: the later one takes over, the other is told so.
func TestMoveIsTakenOver(t *testing.T) {
	each(t, func(t *testing.T, urls []string) {
		opts := options()
		reached, goOn := make(chan struct{}), make(chan struct{})
		var once sync.Once
		shards.Failpoint(&opts, func(at string) {
			if at == "copy" {
				once.Do(func() {
					close(reached)
					<-goOn
				})
			}
		})
		one, two := open(t, opts, urls...), open(t, options(), urls...)
		tr := startTraffic(t, []*shards.Shards{one, two}, 0, 2)
		tr.until(50)
		first := make(chan error, 1)
		go func() { first <- one.Move(t.Context(), 0, urls[1], nil) }()
		<-reached
		if err := two.Move(t.Context(), 0, urls[1], nil); err != nil {
			t.Error(err)
		}
		close(goOn)
		if err := <-first; !errors.Is(err, shards.ErrSuperseded) {
			t.Errorf("the first mover: %v", err)
		}
		tr.until(50)
		tr.end(one, 0, urls[1], urls[0])
	})
}

// A mover sleeps while the shard is fenced, until it is believed dead; then it wakes up
// and goes on. It must not decide any more.
func TestMoverWakesUpTooLate(t *testing.T) {
	each(t, func(t *testing.T, urls []string) {
		opts := options()
		opts.FenceTime = fenceTime
		two := open(t, opts, urls...)
		slow := opts
		var slept atomic.Int64
		shards.Failpoint(&slow, func(at string) {
			if at == "complete" && slept.Add(1) == 1 {
				for before := placement(t, two, 0).Epoch; placement(t, two, 0).Epoch == before && !t.Failed(); {
					pause(t)
				}
			}
		})
		one := open(t, slow, urls...)
		tr := startTraffic(t, []*shards.Shards{one, two}, 0, 2)
		tr.until(50)
		if err := one.Move(t.Context(), 0, urls[1], nil); err == nil {
			t.Error("a mover whose fence was taken away went on")
		}
		tr.until(50)
		if p := placement(t, two, 0); p.MovingTo == "" {
			t.Errorf("%+v", p)
		}
		if err := two.Move(t.Context(), 0, urls[1], nil); err != nil {
			t.Error(err)
		}
		tr.until(50)
		tr.end(one, 0, urls[1], urls[0])
	})
}
