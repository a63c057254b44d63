package e2e

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	inventoryv1 "github.com/gowarren/warren/shop/api/shop/inventory/v1"
	orderv1 "github.com/gowarren/warren/shop/api/shop/order/v1"
)

const goodCard = "4242424242424242"

// shop is a running shop with somebody of its staff.
type shop struct {
	*system
	staff *shopper
}

// open starts the shop of the repository, at an address that it keeps when it is
// started again, with a carrier that is in a hurry.
func open(t *testing.T) *shop {
	t.Helper()
	return openWith(t, "../../warren.yaml")
}

func openWith(t *testing.T, file string) *shop {
	t.Helper()
	s := openAs(t, file)
	s.hire()
	return s
}

// openAs starts the shop with further arguments. It has nobody yet.
func openAs(t *testing.T, file string, args ...string) *shop {
	t.Helper()
	secret := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(secret, []byte(password), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SHOP_ADMIN_EMAIL", "root@example.com")
	t.Setenv("SHOP_ADMIN_PASSWORD_FILE", secret)
	return &shop{system: upWith(t, t.TempDir(), file, append(args, "--gateway", freeAddress(t))...)}
}

// hire signs in the staff, and waits for the first stock.
func (s *shop) hire() {
	s.t.Helper()
	s.set("shipping.carrier.pace=300ms", "shipping.carrier.poll=50ms")
	s.staff = newShopper(s.t, s.url, 0, "root@example.com")
	if err := s.staff.signIn(s.within(30 * time.Second)); err != nil {
		s.t.Fatal(err)
	}
	until(s.t, 30*time.Second, "the first stock", func() bool { return s.call("GET", "/v1/stock/22423", "", "").status == 200 })
}

// as is the same shop for a part of its test.
func (s *shop) as(t *testing.T) *shop {
	here := &system{t: t, cmd: s.cmd, file: s.file, data: s.data, args: s.args, url: s.url, info: s.info, log: s.log, broker: s.broker}
	return &shop{system: here, staff: s.staff}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// set changes live settings.
func (s *shop) set(values ...string) {
	s.t.Helper()
	s.must(append([]string{"config", "set", "--reason", "a test"}, values...)...)
}

// within bounds what is awaited.
func (s *shop) within(d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(s.t.Context(), d)
	s.t.Cleanup(cancel)
	return ctx
}

// customers registers n shoppers with so much money each.
func (s *shop) customers(n int, units func(i int) int64) []*shopper {
	s.t.Helper()
	ctx := s.within(3 * time.Minute)
	all := make([]*shopper, n)
	free := make(chan struct{}, 8)
	var wg sync.WaitGroup
	for i := range all {
		free <- struct{}{}
		all[i] = newShopper(s.t, s.url, i+1, fmt.Sprintf("shopper-%d@example.com", i))
		wg.Go(func() {
			defer func() { <-free }()
			if err := all[i].register(ctx); err != nil {
				s.t.Error(err)
				return
			}
			if units(i) == 0 {
				return
			}
			if ok, err := all[i].topUp(ctx, "first", goodCard, units(i)); err != nil || !ok {
				s.t.Errorf("shopper %d has no money: %v", i, err)
			}
		})
	}
	wg.Wait()
	if s.t.Failed() {
		s.t.FailNow()
	}
	return all
}

// stock makes it so that there are exactly n of a product.
func (s *shop) stock(sku string, n int64) {
	s.t.Helper()
	ctx := s.within(30 * time.Second)
	now := s.stockOf(sku)
	if n == now.GetOnHand() {
		return
	}
	body := fmt.Sprintf(`{"delta": %d, "reason": "a test needs %d"}`, n-now.GetOnHand(), n)
	if err := s.staff.do(ctx, "POST", "/v1/stock/"+sku+":adjust", "", body, now); err != nil {
		s.t.Fatal(err)
	}
	if now.GetOnHand() != n {
		s.t.Fatalf("stock of %s is %d, want %d", sku, now.GetOnHand(), n)
	}
}

// stockOf asks past every cache.
func (s *shop) stockOf(sku string) *inventoryv1.Stock {
	s.t.Helper()
	for _, one := range s.allStock() {
		if one.GetSku() == sku {
			return one
		}
	}
	s.t.Fatalf("there is no stock of %s", sku)
	return nil
}

func (s *shop) allStock() []*inventoryv1.Stock {
	s.t.Helper()
	var all []*inventoryv1.Stock
	ctx := s.within(time.Minute)
	for token := ""; ; {
		page := &inventoryv1.ListStockResponse{}
		if err := s.staff.read(ctx, "/v1/stock?page_size=500&page_token="+token, page); err != nil {
			s.t.Fatal(err)
		}
		all = append(all, page.GetStock()...)
		if token = page.GetNextPageToken(); token == "" {
			return all
		}
	}
}

// states is an order's way, such as "PLACED CONFIRMED PAID".
func states(o *orderv1.Order) string {
	var way []string
	for _, c := range o.GetHistory() {
		way = append(way, c.GetState().String())
	}
	return strings.Join(way, " ")
}
