package page_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/fstest"

	rpcv1 "github.com/gowarren/warren/api/warren/rpc/v1"
	"github.com/gowarren/warren/page"
	"github.com/gowarren/warren/rpc"
	"github.com/gowarren/warren/store"
	"github.com/gowarren/warren/store/storetest"
)

// reason stands for the reason of a contract.
const reason = rpcv1.Reason_REASON_INVALID_REQUEST

type position struct {
	Score int
	SKU   string
}

func TestATokenContinuesItsQueryOnly(t *testing.T) {
	ctx := t.Context()
	p := page.WithKey([]byte("k"), reason)
	token, err := p.Make(ctx, "q", position{3, "A1"})
	if err != nil {
		t.Fatal(err)
	}
	var got position
	if err := p.Read(ctx, token, "q", &got); err != nil || got != (position{3, "A1"}) {
		t.Errorf("got %+v, %v", got, err)
	}
	if err := p.Read(ctx, "", "q", &got); err != nil || got != (position{3, "A1"}) {
		t.Errorf("no token: %+v, %v", got, err)
	}
	var number int
	for name, err := range map[string]error{
		"another query":    p.Read(ctx, token, "q2", &got),
		"another key":      page.WithKey([]byte("other"), reason).Read(ctx, token, "q", &got),
		"short":            p.Read(ctx, "AAAA", "q", &got),
		"no base64":        p.Read(ctx, "***", "q", &got),
		"trailing bits":    p.Read(ctx, token[:len(token)-1]+"_", "q", &got),
		"longer":           p.Read(ctx, token+"AAAA", "q", &got),
		"made up":          p.Read(ctx, "eyJzIjozLCJrIjoiQTEifQ", "q", &got),
		"another's part":   p.Read(ctx, token[:20]+"AAAA"+token[24:], "q", &got),
		"another position": p.Read(ctx, token, "q", &number),
	} {
		t.Run(name, func(t *testing.T) { isRefused(t, err) })
	}
}

func isRefused(t *testing.T, err error) {
	t.Helper()
	e, ok := errors.AsType[*rpc.Error](err)
	if !ok || !errors.Is(err, rpc.Reason(reason)) || len(e.Violations) != 1 || e.Violations[0].Field != "page_token" {
		t.Errorf("got %v", err)
	}
}

func FuzzTokens(f *testing.F) {
	p := page.WithKey([]byte("k"), reason)
	token, err := p.Make(f.Context(), "q", position{3, "A1"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(token)
	f.Add("AAAA")
	f.Fuzz(func(t *testing.T, given string) {
		var got position
		if err := p.Read(t.Context(), given, "q", &got); err == nil && given != token && given != "" {
			t.Errorf("%q was taken for a token", given)
		}
	})
}

func TestCutTellsWhetherThereIsMore(t *testing.T) {
	p := page.WithKey([]byte("k"), reason)
	at := func(n int) int { return n }
	list, token, err := page.Cut(t.Context(), p, "q", []int{1, 2, 3}, 3, at)
	if err != nil || token != "" || len(list) != 3 {
		t.Errorf("the last page: %v, %q, %v", list, token, err)
	}
	list, token, err = page.Cut(t.Context(), p, "q", []int{1, 2, 3}, 2, at)
	if err != nil || len(list) != 2 {
		t.Fatalf("a page: %v, %v", list, err)
	}
	var after int
	if err := p.Read(t.Context(), token, "q", &after); err != nil || after != 2 {
		t.Errorf("the next begins after %d, %v", after, err)
	}
}

var table = fstest.MapFS{"0001_page_keys.sql": {Data: []byte(
	`CREATE TABLE page_keys (id BIGINT NOT NULL, secret VARCHAR(64) NOT NULL, PRIMARY KEY (id));`,
)}}

func opened(t *testing.T, address string) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), address, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func TestInstancesShareTheKey(t *testing.T) {
	storetest.Each(t, func(t *testing.T, address string) {
		first, second := opened(t, address), opened(t, address)
		if err := first.Migrate(t.Context(), table); err != nil {
			t.Fatal(err)
		}
		instances := []*page.Tokens{page.New(first, reason), page.New(second, reason)}
		tokens, errs := make([]string, 2), make([]error, 2)
		var all sync.WaitGroup
		for i, instance := range instances {
			all.Go(func() { tokens[i], errs[i] = instance.Make(t.Context(), "q", i) })
		}
		all.Wait()
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
		for i, token := range tokens {
			var got int
			if err := instances[1-i].Read(t.Context(), token, "q", &got); err != nil || got != i {
				t.Errorf("got %d, %v", got, err)
			}
		}
	})
}

func TestAnOutageIsNoBadToken(t *testing.T) {
	p := page.New(opened(t, storetest.SQLite(t)), reason) // without the table
	_, made := p.Make(t.Context(), "q", 1)
	for name, err := range map[string]error{"make": made, "read": p.Read(context.Background(), "x", "q", new(int))} {
		if err == nil || errors.Is(err, rpc.Reason(reason)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
