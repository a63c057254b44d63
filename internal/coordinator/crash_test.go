package coordinator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
	"github.com/gowarren/warren/store"
	"github.com/gowarren/warren/store/storetest"
)

// stopAt returns a failpoint that holds the coordinator at the n-th time that it
// comes to the point, and a channel that is closed when it is there.
func stopAt(point string, nth int64) (fail func(string) error, there chan struct{}, release func()) {
	there, on := make(chan struct{}), make(chan struct{})
	var count atomic.Int64
	return func(p string) error {
		if p == point && count.Add(1) == nth {
			close(there)
			<-on
			return errors.New("died here")
		}
		return nil
	}, there, sync.OnceFunc(func() { close(on) })
}

// dies runs a saga on a coordinator that dies at the point, and returns one that
// takes over, and how long that took.
func (w *world) dies(saga *txnv1.Saga, point string, nth int64) *node {
	w.Helper()
	fail, there, release := stopAt(point, nth)
	first := w.start(Options{Node: "first", Failpoint: fail})
	_, err := first.Submit(w.Context(), &txnv1.SubmitRequest{Saga: saga})
	if err != nil {
		w.Fatal(err)
	}
	<-there
	go release()
	first.kill()
	return w.start(Options{Node: "second"})
}

func TestA01CrashAfterSavingBeforeTheFirstCall(t *testing.T) {
	each(t, func(w *world) {
		n := w.dies(chain("g", "a", "b"), "before OP_ACTION", 1)
		w.until("the saga to end", func() bool { return w.people.net("g", "b") == 1 })
		n.wants("g", txnv1.State_STATE_SUCCEEDED)
		w.nets("g", 1, "a", "b")
	})
}

func TestA02CrashAfterTheParticipantCommitted(t *testing.T) {
	each(t, func(w *world) {
		n := w.dies(chain("g", "a", "b"), "after OP_ACTION", 1)
		n.wants("g", txnv1.State_STATE_SUCCEEDED)
		w.nets("g", 1, "a", "b")
		if got := w.people.calls("g"); !slices.Equal(got, []string{"a", "a", "b"}) {
			t.Errorf("called %v; want a sent again", got)
		}
	})
}

func TestA03CrashAfterTheLastBranchWasSaved(t *testing.T) {
	each(t, func(w *world) {
		// Created, a done, b done and with it the end: three commits.
		n := w.dies(chain("g", "a", "b"), "commit", 3)
		n.wants("g", txnv1.State_STATE_SUCCEEDED)
		if got := w.people.calls("g"); !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("called %v; want nothing again", got)
		}
	})
}

func TestA04CrashAmidCompensation(t *testing.T) {
	each(t, func(w *world) {
		w.people.on("d", func(context.Context, *txnv1.Branch, []byte) ([]byte, error) { return nil, failure("no") })
		n := w.dies(chain("g", "a", "b", "c", "d"), "after OP_COMPENSATE", 2)
		n.wants("g", txnv1.State_STATE_FAILED)
		w.nets("g", 0, "a", "b", "c", "d")
		got := w.people.calls("g")
		if tail := got[len(got)-4:]; !slices.Equal(tail, []string{"unc", "unb", "unb", "una"}) {
			t.Errorf("called %v", got)
		}
	})
}

func TestA05TwoCoordinatorsWantOneTransaction(t *testing.T) {
	each(t, func(w *world) {
		paused := make(chan struct{})
		called := make(chan struct{})
		var once sync.Once
		w.people.on("b", func(ctx context.Context, b *txnv1.Branch, _ []byte) ([]byte, error) {
			if b.GetEpoch() == 1 {
				once.Do(func() { close(called) })
				select {
				case <-paused:
				case <-ctx.Done():
				}
			}
			return nil, nil
		})
		stopped := func(p string) error {
			if p == "beat" {
				return errors.New("the process is paused")
			}
			return nil
		}
		first := w.start(Options{Node: "first", Failpoint: stopped}, entry("txn.call_timeout", "1m"))
		first.submit(chain("g", "a", "b", "c"))
		<-called
		second := w.start(Options{Node: "second"})
		v := second.wants("g", txnv1.State_STATE_SUCCEEDED)
		if v.GetEpoch() != 2 {
			t.Errorf("epoch %d; want 2", v.GetEpoch())
		}
		close(paused) // the first one goes on, and its write is refused
		w.until("the first coordinator to notice", func() bool { return first.engine.get("g") == nil })
		w.nets("g", 1, "a", "b", "c")
		got, err := first.Get(t.Context(), &txnv1.GetRequest{Gid: "g"})
		if err != nil || got.GetState() != txnv1.State_STATE_SUCCEEDED || got.GetEpoch() != 2 {
			t.Errorf("on disk: %v, %v", got, err)
		}
	})
}

func TestA06CommitThatTookPlaceAndSaysItDidNot(t *testing.T) {
	each(t, func(w *world) {
		var count atomic.Int64
		n := w.start(Options{Failpoint: func(p string) error {
			if p == "commit" && count.Add(1)%3 == 0 {
				return fmt.Errorf("commit: %w", store.ErrUnavailable)
			}
			return nil
		}})
		for i := range 20 {
			gid := fmt.Sprintf("g%d", i)
			for {
				_, err := n.Submit(t.Context(), &txnv1.SubmitRequest{Saga: chain(gid, "a", "b")})
				if err == nil {
					break
				}
				if !errors.Is(err, reason(txnv1.Reason_STORE_UNAVAILABLE)) {
					t.Fatal(err)
				}
			}
		}
		for i := range 20 {
			gid := fmt.Sprintf("g%d", i)
			n.wants(gid, txnv1.State_STATE_SUCCEEDED)
			w.nets(gid, 1, "a", "b")
		}
	})
}

func TestA07DatabaseDownWhileTransactionsRun(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t)+"?busy_timeout=20ms")
	n := w.start(Options{})
	reached, goOn := make(chan struct{}), make(chan struct{})
	w.people.on("a", func(ctx context.Context, b *txnv1.Branch, _ []byte) ([]byte, error) {
		if b.GetGid() == "before" {
			close(reached)
			<-goOn
		}
		return nil, nil
	})
	n.submit(chain("before", "a", "b"))
	<-reached
	locker := w.open("locker")
	err := locker.InTx(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		if _, err := tx.Exec(ctx, `UPDATE warren_txn_node SET beat = beat + 1`); err != nil {
			return err
		}
		close(goOn) // its answer comes, and cannot be written
		_, err := n.Submit(t.Context(), &txnv1.SubmitRequest{Saga: chain("during", "a")})
		if !errors.Is(err, reason(txnv1.Reason_STORE_UNAVAILABLE)) {
			t.Errorf("submit while the database is locked: %v", err)
		}
		w.until("the coordinator to notice", n.engine.away.Load)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	n.wants("before", txnv1.State_STATE_SUCCEEDED)
	if got := w.people.calls("before"); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("called %v; want no answer forgotten", got)
	}
	n.submit(chain("during", "a"))
	n.wants("during", txnv1.State_STATE_SUCCEEDED)
}

func TestA08FailoverThatLostTheLastCommits(t *testing.T) {
	address := storetest.SQLite(t)
	w := newWorld(t, address)
	n := w.start(Options{})
	n.submit(chain("kept", "a"))
	n.wants("kept", txnv1.State_STATE_SUCCEEDED)
	n.drain()
	old := snapshot(t, address)
	n = w.start(Options{})
	n.submit(chain("lost", "a"))
	n.wants("lost", txnv1.State_STATE_SUCCEEDED)
	n.drain()
	after := &world{T: t, address: old, people: w.people}
	n = after.start(Options{})
	if _, err := n.Wait(t.Context(), &txnv1.WaitRequest{Gid: "lost"}); !errors.Is(err, reason(txnv1.Reason_TRANSACTION_NOT_FOUND)) {
		t.Errorf("a transaction that was lost: %v", err)
	}
	n.wants("kept", txnv1.State_STATE_SUCCEEDED)
	n.submit(chain("lost", "a")) // whoever asks again under the same id has it done once
	n.wants("lost", txnv1.State_STATE_SUCCEEDED)
	w.nets("lost", 1, "a")
}

// snapshot copies a database that nobody writes.
func snapshot(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	path := strings.TrimPrefix(u.Opaque+u.Path, "//")
	copied := path + ".old"
	for _, suffix := range []string{"", "-wal"} {
		from, err := os.Open(path + suffix)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		to, err := os.Create(copied + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(to, from); err != nil {
			t.Fatal(err)
		}
		_, _ = from.Close(), to.Close()
	}
	return "sqlite:" + copied
}

func TestA09EndUnderLoadLosesNothing(t *testing.T) {
	each(t, func(w *world) {
		first := w.start(Options{Node: "first"})
		second := w.start(Options{Node: "second"})
		const many = 100
		var all sync.WaitGroup
		for i := range many {
			all.Go(func() {
				gid := fmt.Sprintf("g%d", i)
				for _, n := range []*node{first, second} {
					_, err := n.Submit(t.Context(), &txnv1.SubmitRequest{Saga: chain(gid, "a", "b", "c", "d")})
					if err == nil {
						return
					}
				}
				t.Errorf("nobody takes %s", gid)
			})
			if i == many/2 {
				go first.drain()
			}
		}
		all.Wait()
		first.drain()
		for i := range many {
			gid := fmt.Sprintf("g%d", i)
			second.wants(gid, txnv1.State_STATE_SUCCEEDED)
			if got := w.people.calls(gid); !slices.Equal(got, []string{"a", "b", "c", "d"}) {
				t.Errorf("%s: called %v; want no answer lost", gid, got)
			}
		}
	})
}

func TestA10HungParticipantsHoldUpNobodyElse(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	n := w.start(Options{}, entry("txn.call_timeout", "1m"), entry("txn.participant.concurrency", "10"))
	// healthy runs sagas one after the other, and returns how long the median took.
	healthy := func(name string) time.Duration {
		took := make([]time.Duration, 100)
		for i := range took {
			gid, began := fmt.Sprint(name, i), time.Now()
			n.submit(chain(gid, "a", "b"))
			n.wants(gid, txnv1.State_STATE_SUCCEEDED)
			took[i] = time.Since(began)
		}
		slices.Sort(took)
		return took[len(took)/2]
	}
	alone := healthy("alone")
	hang, reached, release := holding()
	w.people.handlers["/hung.S/a"] = hang
	for i := range 30 {
		saga := chain(fmt.Sprintf("hung%d", i), "a")
		saga.Steps[0].Method = "/hung.S/a"
		n.submit(saga)
	}
	for range 10 { // as many as it gets at once
		<-reached
	}
	beside := healthy("beside")
	t.Logf("a healthy saga took %v alone, %v beside 30 hung ones", alone, beside)
	if beside > 10*max(alone, 5*time.Millisecond) {
		t.Errorf("a healthy saga took %v alone, and %v beside 30 hung ones", alone, beside)
	}
	if len(reached) > 0 {
		t.Error("the hung participant got more calls than it may")
	}
	close(release)
	for i := range 30 {
		n.wants(fmt.Sprintf("hung%d", i), txnv1.State_STATE_SUCCEEDED)
	}
}

func TestA11BacklogIsDrained(t *testing.T) {
	each(t, func(w *world) {
		const many = 3000
		first := w.start(Options{Node: "first", Failpoint: func(p string) error {
			if p == "created" {
				return errors.New("nothing is called yet")
			}
			return nil
		}})
		var all sync.WaitGroup
		for c := range 32 {
			all.Go(func() {
				for i := c; i < many; i += 32 {
					first.submit(chain(fmt.Sprintf("g%d", i), "a", "b"))
				}
			})
		}
		all.Wait()
		first.kill()
		began := time.Now()
		n := w.start(Options{Node: "second"})
		w.until("the backlog to be drained", func() bool {
			w.people.mu.Lock()
			defer w.people.mu.Unlock()
			return len(w.people.effects) == 2*many
		})
		took := time.Since(began)
		t.Logf("%d sagas drained in %v, the time until the first coordinator was taken for dead included", many, took)
		for i := range many {
			n.wants(fmt.Sprintf("g%d", i), txnv1.State_STATE_SUCCEEDED)
		}
	})
}

func TestA12IdsAreWhatTheyAre(t *testing.T) {
	each(t, func(w *world) {
		n := w.start(Options{})
		gids := []string{
			"ord-2", "ord-20", "ord-200", "ORD-2", "größe", "grösse", "groesse", "日本語", "😀", "'; DROP TABLE warren_txn; --",
			"a%b", "a_b", "a b", " a b", "a/b?c=d&e#f", "..", strings.Repeat("x", 128), strings.Repeat("é", 128), "\\", "\"",
		}
		w.people.on("a", func(_ context.Context, b *txnv1.Branch, _ []byte) ([]byte, error) {
			if b.GetGid() == "ord-20" || b.GetGid() == "a%b" {
				return nil, failure("not this one")
			}
			return nil, nil
		})
		for _, gid := range gids {
			n.submit(chain(gid, "a", "ä"))
		}
		for _, gid := range gids {
			state, want := txnv1.State_STATE_SUCCEEDED, 1
			if gid == "ord-20" || gid == "a%b" {
				state, want = txnv1.State_STATE_FAILED, 0
			}
			if v := n.wants(gid, state); v.GetGid() != gid {
				t.Errorf("asked for %q, got %q", gid, v.GetGid())
			}
			w.nets(gid, want, "a", "ä")
		}
		list, err := n.ops.List(cli(t.Context()), &txnv1.ListRequest{GidPrefix: "a_"})
		if err != nil || len(list.GetTransactions()) != 1 {
			t.Errorf("ids that begin with a_: %v, %v", list, err)
		}
	})
}

func TestA13VeryLongFailure(t *testing.T) {
	each(t, func(w *world) {
		n := w.start(Options{})
		w.people.on("b", func(context.Context, *txnv1.Branch, []byte) ([]byte, error) {
			return nil, failure(strings.Repeat("é", 1<<19) + "\x00")
		})
		n.submit(chain("g", "a", "b"))
		v := n.wants("g", txnv1.State_STATE_FAILED)
		w.nets("g", 0, "a", "b")
		if len(v.GetReason()) > maxText+10 {
			t.Errorf("the reason has %d bytes", len(v.GetReason()))
		}
	})
}

func TestA14ClocksThatAreWrong(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	hold := make(chan struct{})
	w.people.on("a", func(ctx context.Context, _ *txnv1.Branch, _ []byte) ([]byte, error) {
		select {
		case <-hold:
		case <-ctx.Done():
		}
		return nil, ctx.Err()
	})
	first := w.start(Options{Node: "first"}, entry("txn.call_timeout", "1m"))
	saga := chain("g", "a")
	saga.Timeout = durationpb.New(time.Hour)
	first.submit(saga)
	var others []*node
	for i, skew := range []time.Duration{30 * time.Second, -30 * time.Second} {
		n := w.start(Options{Node: fmt.Sprintf("skewed%d", i)})
		n.engine.clock.base += skew.Microseconds()
		others = append(others, n)
	}
	// For three times as long as it takes to declare somebody dead, nobody does.
	rounds := time.NewTimer(3 * first.engine.limits.deadAfter())
	<-rounds.C
	if got := w.people.calls("g"); !slices.Equal(got, []string{"a"}) {
		t.Errorf("called %v; want nobody to take it over", got)
	}
	close(hold)
	others[0].wants("g", txnv1.State_STATE_SUCCEEDED)
	// PostgreSQL and MySQL tell the time themselves.
	for _, address := range []string{storetest.PostgreSQL(t), storetest.MySQL(t)} {
		db, err := store.Open(t.Context(), address, store.Options{Name: address[:5]})
		if err != nil {
			t.Fatal(err)
		}
		var c clock
		if err := c.start(t.Context(), db); err != nil || time.Since(time.UnixMicro(c.now())).Abs() > time.Minute {
			t.Errorf("the time of %s is %v, %v", db.Dialect(), time.UnixMicro(c.now()), err)
		}
		_ = db.Close()
	}
}

func TestA15SubmittedTwice(t *testing.T) {
	each(t, func(w *world) {
		n := w.start(Options{})
		other := w.start(Options{})
		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() {
				at := n
				if i%2 == 1 {
					at = other
				}
				if _, err := at.Submit(t.Context(), &txnv1.SubmitRequest{Saga: chain("g", "a", "b")}); err != nil {
					t.Errorf("the same saga again: %v", err)
				}
			})
		}
		all.Wait()
		n.wants("g", txnv1.State_STATE_SUCCEEDED)
		w.nets("g", 1, "a", "b")
		for _, at := range []*node{n, other} {
			if _, err := at.Submit(t.Context(), &txnv1.SubmitRequest{Saga: chain("g", "a", "c")}); !errors.Is(err, reason(txnv1.Reason_TRANSACTION_EXISTS)) {
				t.Errorf("another saga under the same id: %v", err)
			}
		}
	})
}

func TestA16AbortRacesTheEnd(t *testing.T) {
	each(t, func(w *world) {
		n := w.start(Options{})
		for i := range 40 {
			gid := fmt.Sprintf("g%d", i)
			var all sync.WaitGroup
			all.Go(func() { n.submit(chain(gid, "a", "b")) })
			all.Go(func() {
				_, err := n.Abort(t.Context(), &txnv1.AbortRequest{Gid: gid})
				if err != nil && !errors.Is(err, reason(txnv1.Reason_TRANSACTION_COMMITTED)) && !errors.Is(err, reason(txnv1.Reason_TRANSACTION_NOT_FOUND)) {
					t.Error(err)
				}
			})
			all.Wait()
			v := n.end(gid)
			want := 0
			if v.GetState() == txnv1.State_STATE_SUCCEEDED {
				want = 1
			}
			w.nets(gid, want, "a", "b")
		}
		// The time that is up races the last answer.
		for i := range 20 {
			gid := fmt.Sprintf("t%d", i)
			saga := chain(gid, "a", "b")
			saga.Timeout = durationpb.New(time.Duration(i) * time.Millisecond / 2)
			n.submit(saga)
			v := n.end(gid)
			want := 0
			if v.GetState() == txnv1.State_STATE_SUCCEEDED {
				want = 1
			}
			w.nets(gid, want, "a", "b")
		}
	})
}

func TestA17OldAndNewVersionShareRows(t *testing.T) {
	each(t, func(w *world) {
		old := w.start(Options{Node: "old"})
		old.submit(chain("before", "a"))
		old.wants("before", txnv1.State_STATE_SUCCEEDED)
		// A later release adds a column and a table; the one before goes on.
		db := w.open("newer")
		for _, change := range []string{
			`ALTER TABLE warren_txn ADD COLUMN later BIGINT NOT NULL DEFAULT 0`,
			`ALTER TABLE warren_txn_branch ADD COLUMN later VARCHAR(10) NOT NULL DEFAULT 'x'`,
		} {
			if _, err := db.Exec(t.Context(), change); err != nil {
				t.Fatal(err)
			}
		}
		newer := w.start(Options{Node: "newer"})
		for i := range 10 {
			[]*node{old, newer}[i%2].submit(chain(fmt.Sprintf("g%d", i), "a", "b"))
		}
		old.drain()
		newer.submit(chain("after", "a"))
		newer.wants("after", txnv1.State_STATE_SUCCEEDED)
		for i := range 10 {
			newer.wants(fmt.Sprintf("g%d", i), txnv1.State_STATE_SUCCEEDED)
			w.nets(fmt.Sprintf("g%d", i), 1, "a", "b")
		}
	})
}
