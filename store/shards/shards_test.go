package shards_test

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gowarren/warren/store"
	"github.com/gowarren/warren/store/shards"
	"github.com/gowarren/warren/store/storetest"
)

// The shard of a key is agreed for ever: these numbers never change.
func TestKeysKeepTheirShard(t *testing.T) {
	s := open(t, shards.Options{}, storetest.SQLite(t))
	for key, want := range map[string]int{"": 27, "a": 56, "customer-1": 27, "customer-2": 6, "ü": 26} {
		if got := s.Of(key); got != want {
			t.Errorf("shard of %q is %d, not %d", key, got, want)
		}
	}
	spread := make([]int, s.Count())
	for i := range 64_000 {
		spread[s.Of("customer-"+string(rune('a'+i%26))+time.Duration(i).String())]++
	}
	if least, most := slices.Min(spread), slices.Max(spread); least < 850 || most > 1150 {
		t.Errorf("shards get %d to %d of 1000 keys", least, most)
	}
}

func TestIDsCarryTheirShardAndSortByTime(t *testing.T) {
	s := open(t, shards.Options{}, storetest.SQLite(t))
	at := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	seen := map[string]bool{}
	var before string
	for i := range 1000 {
		id := shards.NewID(i%64, at.Add(time.Duration(i)*time.Millisecond))
		if seen[id] || len(id) != 26 || id <= before || strings.Trim(id, "0123456789abcdefghjkmnpqrstvwxyz") != "" {
			t.Fatalf("id %q after %q", id, before)
		}
		seen[id], before = true, id
		shard, when, err := shards.ParseID(id)
		if err != nil || shard != i%64 || !when.Equal(at.Add(time.Duration(i)*time.Millisecond)) {
			t.Fatalf("id %q carries %d, %v, %v", id, shard, when, err)
		}
		if got, err := s.OfID(id); err != nil || got != shard {
			t.Fatalf("shard of id %q is %d, %v", id, got, err)
		}
	}
	for _, bad := range []string{"", "x", strings.Repeat("u", 26), shards.NewID(64, at)} {
		if _, err := s.OfID(bad); !errors.Is(err, shards.ErrID) {
			t.Errorf("id %q: %v", bad, err)
		}
	}
}

// TestDatabasesAreNumbered: each database gets the next number, once, and keeps it.
// The statements are prepared the first time, and run again from then on.
func TestDatabasesAreNumbered(t *testing.T) {
	each(t, func(t *testing.T, urls []string) {
		s := open(t, options(), urls...)
		for range 2 { // the same again
			for i := range 5 {
				got, err := shards.Number(t.Context(), s, string(rune('a'+i)), "sqlite:nowhere.db")
				if err != nil || got != 2+i { // the second database is 1
					t.Errorf("number of database %d of the others is %d, want %d: %v", i, got, 2+i, err)
				}
			}
		}
	})
}

func TestTransactionsAreInOneShard(t *testing.T) {
	each(t, func(t *testing.T, urls []string) {
		s, ctx := open(t, options(), urls...), t.Context()
		nothing := func(context.Context, *store.Tx) error { return nil }
		for _, other := range []int{1, 2} { // of another database, and of the same
			for _, opts := range [][]store.TxOption{nil, {store.Joinable}} {
				err := s.InTx(ctx, 0, func(ctx context.Context, _ *store.Tx) error { return s.InTx(ctx, other, nothing) }, opts...)
				if !errors.Is(err, shards.ErrCrossShard) {
					t.Errorf("shard %d within shard 0: %v", other, err)
				}
			}
		}
		err := s.InTx(ctx, 0, func(ctx context.Context, _ *store.Tx) error { return s.InTx(ctx, 0, nothing) })
		if !errors.Is(err, store.ErrNested) {
			t.Errorf("nested: %v", err)
		}
		err = s.InTx(ctx, 0, func(ctx context.Context, _ *store.Tx) error { return s.Shard(0).InTx(ctx, nothing) }, store.Joinable)
		if err != nil {
			t.Errorf("joined: %v", err)
		}
		db, err := s.Database(ctx, 1)
		if err != nil {
			t.Fatal(err)
		}
		err = db.InTx(ctx, func(ctx context.Context, _ *store.Tx) error { return s.InTx(ctx, 1, nothing) }, store.Joinable)
		if err != nil {
			t.Errorf("joined a transaction of the database: %v", err)
		}
		if err := s.InTx(ctx, 8, nothing); err == nil {
			t.Error("there is no shard 8")
		}
	})
}

func TestPagesAreMergedInOrder(t *testing.T) {
	each(t, func(t *testing.T, urls []string) {
		s, ctx := open(t, options(), urls...), t.Context()
		var want []string
		for n := range 40 {
			id := id(n%8, n)
			if err := place(ctx, s, n%8, id, 1, 0); err != nil {
				t.Fatal(err)
			}
			want = append(want, id)
		}
		slices.Sort(want)
		var got []string
		for last := ""; ; last = got[len(got)-1] {
			page, err := shards.Collect(ctx, s, 7, cmp.Compare[string], func(ctx context.Context, tx *store.Tx, of []int) (out []string, err error) {
				in, args := shards.In("shard", of)
				rows, err := tx.Query(ctx, `SELECT id FROM orders WHERE `+in+` AND id > ? ORDER BY id LIMIT 7`, append(args, last)...)
				if err != nil {
					return nil, err
				}
				defer func() { _ = rows.Close() }()
				for rows.Next() {
					var id string
					if err := rows.Scan(&id); err != nil {
						return nil, err
					}
					out = append(out, id)
				}
				return out, rows.Err()
			})
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, page...)
			if len(page) < 7 {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("got %d ids\n%v\nwant\n%v", len(got), got, want)
		}
	})
}

func TestDatabasesKnowTheirSet(t *testing.T) {
	one, two, three := storetest.SQLite(t), storetest.SQLite(t), storetest.SQLite(t)
	open(t, options(), one, two)
	if _, err := shards.Open(t.Context(), []string{two, one}, options()); err == nil || !strings.Contains(err.Error(), "not the home") {
		t.Errorf("the home second: %v", err)
	}
	open(t, options(), three)
	if _, err := shards.Open(t.Context(), []string{one, three}, options()); err == nil || !strings.Contains(err.Error(), "another set") {
		t.Errorf("a database of others: %v", err)
	}
	// The home alone is enough: it knows the others.
	s := open(t, options(), one)
	if err := place(t.Context(), s, 1, id(1, 1), 1, 1); err != nil {
		t.Error(err)
	}
}
