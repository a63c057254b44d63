package e2e

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	orderv1 "github.com/gowarren/warren/shop/api/shop/order/v1"
	"github.com/gowarren/warren/store/storetest"
)

// TestDatabaseIsAway cuts the way to inventory's database, a real PostgreSQL: who
// asks for stock is told when to come back, orders are taken all the same, and
// everything goes on by itself when the database is back.
func TestDatabaseIsAway(t *testing.T) {
	server, err := url.Parse(storetest.PostgreSQL(t))
	if err != nil {
		t.Fatal(err)
	}
	line := storetest.NewLine(t, server.Host)
	line.Connect()
	server.Host = line.Address()
	file := variant(t, func(text string) string {
		return strings.Replace(text, "inventory: {path: ./shop/inventory}", "inventory: {path: ./shop/inventory, database: '"+server.String()+"'}", 1)
	})
	s := openWith(t, file)
	customers, before := s.customers(1, func(int) int64 { return 100_000 }), s.allStock()
	c, ctx := customers[0], s.within(3*time.Minute)
	first, err := c.place(ctx, "before", orderBody(map[string]int{"22423": 1}))
	if err == nil {
		first, err = c.ended(ctx, first.GetOrderId())
	}
	if err != nil || first.GetState() != orderv1.State_DELIVERED {
		t.Fatalf("with the database: %s, %v", first.GetState(), err)
	}

	line.Cut()
	var away answer
	until(t, 30*time.Second, "stock to be away", func() bool {
		away, err = c.send(ctx, "GET", "/v1/stock/22423", "", "")
		return err == nil && away.status == http.StatusServiceUnavailable
	})
	if away.header.Get("Retry-After") == "" || strings.Contains(away.body, "postgres") {
		t.Errorf("who asks for stock hears %v %s", away.header, away.body)
	}
	taken, err := c.place(ctx, "meanwhile", orderBody(map[string]int{"22423": 2}))
	if err != nil || taken.GetState() != orderv1.State_PLACED {
		t.Fatalf("an order meanwhile: %s, %v", taken.GetState(), err)
	}

	line.Connect()
	if taken, err = c.ended(ctx, taken.GetOrderId()); err != nil || taken.GetState() != orderv1.State_DELIVERED {
		t.Fatalf("once the database is back: %s, %v", taken.GetState(), err)
	}
	until(t, 30*time.Second, "stock to be told", func() bool {
		back, err := c.send(ctx, "GET", "/v1/stock/22423", "", "")
		return err == nil && back.status == http.StatusOK
	})
	s.quiet(time.Minute)
	if got := s.allStock(); len(got) != len(before) {
		t.Errorf("there are %d products in stock, and were %d", len(got), len(before))
	}
}
