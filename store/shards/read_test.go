package shards_test

import (
	"context"
	"testing"
	"time"

	"github.com/gowarren/warren/store"
	"github.com/gowarren/warren/store/shards"
	"github.com/gowarren/warren/store/storetest"
)

// Who only reads does not wait for a fence; and once the move is decided, nobody
// reads what is not so any more, also if he has not heard of it and the database
// that had the shard has not either.
func TestReadsPassTheFence(t *testing.T) {
	each(t, func(t *testing.T, urls []string) {
		writer, late := open(t, options(), urls...), open(t, options(), urls...)
		opts := options()
		order := id(0, 1)
		reads := func(want int64) {
			t.Helper()
			got, lines, err := amount(t.Context(), late, 0, order, store.ReadOnly)
			if err != nil || got != want || lines != 2 {
				t.Errorf("read %d, %d lines, %v; want %d", got, lines, err, want)
			}
		}
		passed := 0
		shards.Failpoint(&opts, func(at string) {
			switch at {
			case "fenced", "complete": // who waited here would wait for himself
				reads(7)
				passed++
			case "decided":
				if err := writer.InTx(t.Context(), 0, func(ctx context.Context, tx *store.Tx) error {
					_, err := tx.Exec(ctx, `UPDATE orders SET amount = 8 WHERE id = ?`, order)
					return err
				}); err != nil {
					t.Error(err)
				}
				reads(8)
				passed++
			}
		})
		mover := open(t, opts, urls...)
		if err := place(t.Context(), writer, 0, order, 7, 2); err != nil {
			t.Fatal(err)
		}
		if err := mover.Move(t.Context(), 0, urls[1], nil); err != nil {
			t.Fatal(err)
		}
		reads(8)
		if p := placement(t, late, 0); passed != 3 || p.Epoch != 3 {
			t.Errorf("%d of 3 checks, %+v", passed, p)
		}
	})
}

// Of three databases two are read at once, and the third when one of them is done.
func TestReadsAreLimited(t *testing.T) {
	opts := options()
	opts.Concurrency = 2
	s := open(t, opts, storetest.SQLite(t), storetest.SQLite(t), storetest.SQLite(t))
	arrived, release, done := make(chan struct{}, 3), make(chan struct{}), make(chan error, 1)
	go func() {
		done <- s.Each(t.Context(), func(context.Context, *store.Tx, []int) error {
			arrived <- struct{}{}
			<-release
			return nil
		})
	}()
	<-arrived
	<-arrived
	select {
	case <-arrived:
		t.Error("three databases are read at once, of at most two")
	case <-time.After(200 * time.Millisecond): // it would have been there by now
	}
	close(release)
	if err := <-done; err != nil {
		t.Error(err)
	}
	<-arrived
}
