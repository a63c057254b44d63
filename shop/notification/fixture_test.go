package main

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	notificationv1 "github.com/gowarren/warren/shop/api/shop/notification/v1"
	"github.com/gowarren/warren/store"
	"github.com/gowarren/warren/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var at = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// opened returns the feeds of a migrated database.
func opened(t testing.TB, address string) *feeds {
	t.Helper()
	db, err := store.Open(t.Context(), address, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	if err := db.Migrate(t.Context(), migrations); err != nil {
		t.Fatal(err)
	}
	return newFeeds(db)
}

// eachDatabase runs a test on every kind of database.
func eachDatabase(t *testing.T, test func(t *testing.T, s *feeds)) {
	storetest.Each(t, func(t *testing.T, address string) { test(t, opened(t, address)) })
}

// tell tells a user of an order, that many seconds after the start.
func (s *feeds) tell(t testing.TB, user string, kind notificationv1.Kind, order string, seconds int) notification {
	t.Helper()
	n, err := newNotification(user, kind, facts{Order: order, Total: "GBP 2.55"}, at.Add(time.Duration(seconds)*time.Second))
	if err == nil {
		err = s.db.InTx(t.Context(), func(ctx context.Context, tx *store.Tx) error { return tell(ctx, tx, n, func() {}) })
	}
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// because reports whether something was refused for the reason.

// atOnce runs f so many times at the same moment.
func atOnce(t testing.TB, n int, f func(int) error) {
	t.Helper()
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
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
}
