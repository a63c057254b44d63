package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gowarren/warren/cache"
	"github.com/gowarren/warren/rpc"
	catalogv1 "github.com/gowarren/warren/shop/api/shop/catalog/v1"
	"github.com/gowarren/warren/store"
	"github.com/gowarren/warren/store/storetest"
)

var at = time.Date(2010, 12, 1, 8, 26, 0, 123456789, time.UTC)

func TestProductsAreKept(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *products) {
		ctx := t.Context()
		p := mug("85123A")
		p.name, p.description = "Müg 👩‍🍳 \\ 100% 'x'", "one\ntwo"
		made, err := s.create(ctx, p, at)
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.get(ctx, "85123A")
		if err != nil || got != made {
			t.Errorf("got %+v, %v; want %+v", got, err, made)
		}
		if got.version != 1 || !got.created.Equal(at.Truncate(time.Microsecond)) || got.created != got.updated {
			t.Errorf("got %+v", got)
		}
		if _, err := s.create(ctx, p, at); !errors.Is(err, rpc.Reason(catalogv1.Reason_PRODUCT_EXISTS)) {
			t.Errorf("create again: %v", err)
		}
		if _, err := s.get(ctx, "none"); !errors.Is(err, errNoProduct) || !errors.Is(err, cache.ErrNotFound) {
			t.Errorf("get what is not there: %v", err)
		}
	})
}

func rename(name string) func(product) (product, error) {
	return func(p product) (product, error) { p.name = name; return p, nil }
}

func TestUpdatesNeedTheVersionThatWasRead(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *products) {
		ctx := t.Context()
		made, err := s.create(ctx, mug("A1"), at)
		if err != nil {
			t.Fatal(err)
		}
		later := at.Add(time.Hour)
		got, err := s.update(ctx, "A1", 1, later, rename("new"))
		if err != nil || got.version != 2 || got.name != "new" || got.created != made.created || !got.updated.Equal(later.Truncate(time.Microsecond)) {
			t.Errorf("got %+v, %v", got, err)
		}
		if kept, err := s.get(ctx, "A1"); err != nil || kept != got {
			t.Errorf("kept %+v, %v", kept, err)
		}
		_, err = s.update(ctx, "A1", 1, later, rename("late"))
		if !errors.Is(err, rpc.Reason(catalogv1.Reason_VERSION_CONFLICT)) || rpc.FromError(err).Metadata["version"] != "2" {
			t.Errorf("update of an old version: %v", err)
		}
		if _, err := s.update(ctx, "A2", 1, later, rename("x")); !errors.Is(err, errNoProduct) {
			t.Errorf("update of nothing: %v", err)
		}
		if err := s.remove(ctx, "A1", 1); !errors.Is(err, rpc.Reason(catalogv1.Reason_VERSION_CONFLICT)) {
			t.Errorf("delete of an old version: %v", err)
		}
		if err := s.remove(ctx, "A1", 2); err != nil {
			t.Error(err)
		}
		if err := s.remove(ctx, "A1", 0); !errors.Is(err, errNoProduct) {
			t.Errorf("delete of nothing: %v", err)
		}
	})
}

func TestAVersionNumberNeverMeansTwoProducts(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *products) {
		ctx := t.Context()
		if _, err := s.create(ctx, mug("A1"), at); err != nil {
			t.Fatal(err)
		}
		if _, err := s.update(ctx, "A1", 1, at, rename("new")); err != nil {
			t.Fatal(err)
		}
		if err := s.remove(ctx, "A1", 2); err != nil {
			t.Fatal(err)
		}
		again, err := s.create(ctx, mug("A1"), at)
		if err != nil || again.version != 3 {
			t.Fatalf("it came back as %+v, %v", again, err)
		}
		if kept, err := s.get(ctx, "A1"); err != nil || kept != again {
			t.Errorf("kept %+v, %v", kept, err)
		}
		if _, err := s.update(ctx, "A1", 1, at, rename("late")); !errors.Is(err, rpc.Reason(catalogv1.Reason_VERSION_CONFLICT)) {
			t.Errorf("an update of the product before: %v", err)
		}
		if err := s.remove(ctx, "A1", 0); err != nil {
			t.Fatal(err)
		}
		if done, err := s.apply(ctx, []product{mug("A1"), mug("A2")}, at); err != nil || !slices.Equal(done, []change{created, created}) {
			t.Fatalf("imported %v, %v", done, err)
		}
		if kept, err := s.get(ctx, "A1"); err != nil || kept.version != 4 {
			t.Errorf("an import brought back %+v, %v", kept, err)
		}
	})
}

func TestVersionsDifferHoweverFastAProductComesAndGoes(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *products) {
		var mu sync.Mutex
		seen := map[int64]bool{}
		errs := atOnce(8, func(int) error {
			for range 10 {
				p, err := s.create(t.Context(), mug("A1"), at)
				if err == nil {
					mu.Lock()
					if seen[p.version] {
						t.Errorf("version %d was made twice", p.version)
					}
					seen[p.version] = true
					mu.Unlock()
				} else if !errors.Is(err, rpc.Reason(catalogv1.Reason_PRODUCT_EXISTS)) {
					return err
				}
				if err := s.remove(t.Context(), "A1", 0); err != nil && !errors.Is(err, errNoProduct) {
					return err
				}
			}
			return nil
		})
		if err := errors.Join(errs...); err != nil || len(seen) < 10 {
			t.Errorf("%d versions; %v", len(seen), err)
		}
	})
}

func TestOfUpdatesAtOnceOneWins(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *products) {
		if _, err := s.create(t.Context(), mug("A1"), at); err != nil {
			t.Fatal(err)
		}
		errs := atOnce(8, func(n int) error {
			_, err := s.update(t.Context(), "A1", 1, at, rename(fmt.Sprint("by ", n)))
			return err
		})
		var won int
		for _, err := range errs {
			if err == nil {
				won++
			} else if !errors.Is(err, rpc.Reason(catalogv1.Reason_VERSION_CONFLICT)) {
				t.Error(err)
			}
		}
		if got, err := s.get(t.Context(), "A1"); won != 1 || err != nil || got.version != 2 {
			t.Errorf("%d won; version %d, %v", won, got.version, err)
		}
	})
}

// atOnce runs f so many times at the same moment and returns the errors.
func atOnce(n int, f func(int) error) []error {
	errs := make([]error, n)
	start := make(chan struct{})
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			<-start
			errs[i] = f(i)
		})
	}
	close(start)
	all.Wait()
	return errs
}

func TestListsAreFilteredAndOrdered(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *products) {
		for i, sku := range []string{"B2", "A1", "C-3", "A.2"} {
			p := mug(sku)
			p.price.units = int64(100 * (i + 1))
			if i%2 == 1 {
				p.category = "Täschchen"
			}
			if _, err := s.create(t.Context(), p, at); err != nil {
				t.Fatal(err)
			}
		}
		n := func(units int64) *int64 { return &units }
		for _, c := range []struct {
			filter filter
			after  string
			limit  int
			want   string
		}{
			{filter{}, "", 10, "A.2 A1 B2 C-3"},
			{filter{}, "A.2", 2, "A1 B2"},
			{filter{}, "Z", 2, ""},
			{filter{category: "Täschchen"}, "", 10, "A.2 A1"},
			{filter{category: "täschchen"}, "", 10, ""},
			{filter{category: "x' OR '1'='1"}, "", 10, ""},
			{filter{min: n(200)}, "", 10, "A.2 A1 C-3"},
			{filter{min: n(200), max: n(300)}, "", 10, "A1 C-3"},
			{filter{category: "Kitchen and Table", max: n(100)}, "", 10, "B2"},
			{filter{min: n(300), max: n(200)}, "", 10, ""},
			{filter{sort: catalogv1.Sort_BY_PRICE}, "", 10, "B2 A1 C-3 A.2"},
			{filter{sort: catalogv1.Sort_BY_PRICE}, "200\nA1", 1, "C-3"},
			{filter{sort: catalogv1.Sort_BY_PRICE}, "200\nA0", 1, "A1"},
			{filter{sort: catalogv1.Sort_BY_PRICE_DOWN}, "", 10, "A.2 C-3 A1 B2"},
			{filter{sort: catalogv1.Sort_BY_PRICE_DOWN, min: n(200)}, "300\nC-3", 10, "A1"},
			{filter{sort: catalogv1.Sort_BY_NAME}, "", 10, "A.2 A1 B2 C-3"},
			{filter{sort: catalogv1.Sort_BY_NAME}, mug("A1").searchName() + "\nA1", 10, "B2 C-3"},
		} {
			got, err := s.list(t.Context(), c.filter, c.after, c.limit)
			if skus := skusOf(got); err != nil || skus != c.want {
				t.Errorf("%+v after %q: got %q, %v; want %q", c.filter, c.after, skus, err, c.want)
			}
		}
		all, err := s.categories(t.Context())
		if err != nil || len(all) != 2 || all[0] != (category{"Kitchen and Table", 2}) || all[1] != (category{"Täschchen", 2}) {
			t.Errorf("categories: %v, %v", all, err)
		}
	})
}

func skusOf(list []product) string {
	var out []string
	for _, p := range list {
		out = append(out, p.sku)
	}
	return strings.Join(out, " ")
}

func TestSearch(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *products) {
		for sku, text := range map[string][2]string{
			"A1": {"Red Tea Mug", ""}, "A2": {"Teapot", "goes with the red mug"}, "A3": {"Café Crème Cup", "100%"},
			"RED": {"Blue Box", ""}, "B1": {"Steak Knife", ""}, "B2": {"_x_", "a\\b"},
		} {
			p := mug(sku)
			p.name, p.description, p.category = text[0], text[1], "Things"
			if _, err := s.create(t.Context(), p, at); err != nil {
				t.Fatal(err)
			}
		}
		for query, want := range map[string]string{
			"tea":          "A1 A2 B1", // a word, the beginning of one, a part of one
			"red":          "RED A1 A2",
			"RED mug":      "A1 A2",
			"mug red red":  "A1 A2",
			"cafe":         "A3",
			"CAFÉ creme":   "A3",
			"100%":         "A3",
			"a1":           "A1",
			"things knife": "B1",
			"nothing":      "",
			"%":            "",
			"_":            "",
			"'; --":        "",
			"x":            "RED B2", // in the middle of "box"
		} {
			got, err := s.search(t.Context(), query, nil, 10)
			if err != nil {
				t.Errorf("%s: %v", query, err)
			}
			// The order among equals is that of the codes, so compare as it is.
			if skus := skusOfFound(got); skus != want && query != "x" || query == "x" && len(got) != 2 {
				t.Errorf("%s: got %q; want %q", query, skus, want)
			}
		}
	})
}

func skusOfFound(list []found) string {
	var out []product
	for _, f := range list {
		out = append(out, f.product)
	}
	return skusOf(out)
}

func TestSearchPagesMissNothing(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *products) {
		for i, p := range numbered(25) {
			p.name = []string{"tea", "teapot", "steam"}[i%3]
			if _, err := s.create(t.Context(), p, at); err != nil {
				t.Fatal(err)
			}
		}
		var after *position
		seen, last := map[string]bool{}, int64(1<<40)
		for {
			page, err := s.search(t.Context(), "tea", after, 4)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			for _, f := range page {
				if seen[f.sku] || f.score > last {
					t.Errorf("%s comes again, or too late", f.sku)
				}
				seen[f.sku], last = true, f.score
			}
			after = &position{Score: last, SKU: page[len(page)-1].sku}
		}
		if len(seen) != 25 {
			t.Errorf("found %d of 25", len(seen))
		}
	})
}

func TestQueriesMayHoldAnything(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *products) {
		if _, err := s.create(t.Context(), mug("A1"), at); err != nil {
			t.Fatal(err)
		}
		for _, query := range []string{"mug\x00", "mug % _ \\ ' \"", "mug\U0001F600", "\u200dmug"} {
			if got, err := s.search(t.Context(), query, nil, 5); err != nil || len(got) != 1 {
				t.Errorf("%q: got %v, %v", query, skusOfFound(got), err)
			}
		}
	})
}

func TestLongQueriesAreSearchedFor(t *testing.T) {
	s := opened(t, storetest.SQLite(t))
	var query strings.Builder
	for n := range 100 {
		fmt.Fprintf(&query, "%c%d ", 'a'+n%26, n)
	}
	if got, err := s.search(t.Context(), query.String(), &position{}, 10); err != nil || len(got) != 0 {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestImportsSayWhatTheyDid(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *products) {
		kept := mug("A1")
		kept.category, kept.description = "Staff Choice", "best"
		if _, err := s.create(t.Context(), kept, at); err != nil {
			t.Fatal(err)
		}
		row := func(sku, name string) product { return product{sku: sku, name: name, price: price{255, "GBP"}} }
		batch := []product{row("A2", "Tea Mug"), row("A1", "Mug A1")}
		done, err := s.apply(t.Context(), batch, at)
		if err != nil || done[0] != created || done[1] != unchanged {
			t.Fatalf("first: %v, %v", done, err)
		}
		batch[0].name = "Tea Cup"
		done, err = s.apply(t.Context(), batch, at)
		if err != nil || done[0] != updated || done[1] != unchanged {
			t.Errorf("second: %v, %v", done, err)
		}
		got, err := s.get(t.Context(), "A2")
		if err != nil || got.version != 2 || got.name != "Tea Cup" || got.category != "Kitchen and Table" {
			t.Errorf("got %+v, %v", got, err)
		}
	})
}

func TestImportsAtOnce(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *products) {
		batch := numbered(40)
		var total [3]int
		var mu sync.Mutex
		errs := atOnce(4, func(n int) error {
			mine := append([]product(nil), batch...)
			if n%2 == 1 { // in the other order
				for i, j := 0, len(mine)-1; i < j; i, j = i+1, j-1 {
					mine[i], mine[j] = mine[j], mine[i]
				}
			}
			done, err := s.apply(t.Context(), mine, at)
			mu.Lock()
			defer mu.Unlock()
			for _, what := range done {
				total[what]++
			}
			return err
		})
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
		if total != [3]int{unchanged: 120, created: 40, updated: 0} {
			t.Errorf("unchanged, created, updated: %v", total)
		}
	})
}

func TestInstancesThatStartTogetherSeedOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, address string) {
		instances := []*products{opened(t, address), opened(t, address), opened(t, address)}
		var filled int
		var mu sync.Mutex
		log := slog.New(slogFunc(func(r slog.Record) {
			if r.Level == slog.LevelInfo {
				mu.Lock()
				defer mu.Unlock()
				filled++
			}
		}))
		errs := atOnce(len(instances), func(n int) error { return seed(t.Context(), instances[n], at, log) })
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
		if filled != 1 {
			t.Errorf("%d instances filled the catalogue", filled)
		}
		for query, want := range map[string]int64{
			`SELECT COUNT(*) FROM products`:                            1455,
			`SELECT COUNT(*) FROM seed_refusals`:                       1398,
			`SELECT refused FROM seeds WHERE name = 'online_retail'`:   1398,
			`SELECT rows_read FROM seeds WHERE name = 'online_retail'`: 4688,
		} {
			var got int64
			if err := instances[0].db.QueryRow(t.Context(), query).Scan(&got); err != nil || got != want {
				t.Errorf("%s: got %d, %v; want %d", query, got, err, want)
			}
		}
	})
}

// slogFunc is a log handler that is a function.
type slogFunc func(slog.Record)

func (f slogFunc) Enabled(context.Context, slog.Level) bool      { return true }
func (f slogFunc) Handle(_ context.Context, r slog.Record) error { f(r); return nil }
func (f slogFunc) WithAttrs([]slog.Attr) slog.Handler            { return f }
func (f slogFunc) WithGroup(string) slog.Handler                 { return f }

func TestACatalogueThatIsFilledIsNotSeeded(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *products) {
		if _, err := s.create(t.Context(), mug("A1"), at); err != nil {
			t.Fatal(err)
		}
		discard := slog.New(slog.DiscardHandler)
		if err := seed(t.Context(), s, at, discard); err != nil {
			t.Fatal(err)
		}
		// Nor is it later, when staff has removed everything.
		if err := s.remove(t.Context(), "A1", 0); err != nil {
			t.Fatal(err)
		}
		if err := seed(t.Context(), s, at, discard); err != nil {
			t.Fatal(err)
		}
		if got, err := s.list(t.Context(), filter{}, "", 10); err != nil || len(got) != 0 {
			t.Errorf("got %v, %v", got, err)
		}
	})
}

func TestASeedThatBreaksOffLeavesNothing(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *products) {
		twice := []product{mug("A1"), mug("A2"), mug("A1")}
		if _, err := s.seed(t.Context(), "x", twice, &report{}, at); !errors.Is(err, store.ErrConflict) {
			t.Fatalf("got %v", err)
		}
		if got, err := s.list(t.Context(), filter{}, "", 10); err != nil || len(got) != 0 {
			t.Errorf("got %v, %v", got, err)
		}
		if seeded, err := s.seed(t.Context(), "x", twice[:2], &report{}, at); err != nil || !seeded {
			t.Errorf("the next try: %v, %v", seeded, err)
		}
	})
}
