package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc/codes"

	shardsv1 "github.com/gowarren/warren/api/warren/shards/v1"
	"github.com/gowarren/warren/rpc"
	orderv1 "github.com/gowarren/warren/shop/api/shop/order/v1"
	"github.com/gowarren/warren/store/shards"
	"github.com/gowarren/warren/store/storetest"
	"github.com/gowarren/warren/warrentest"
)

// Customers go on ordering, and sagas go on, while the shards of all of them are
// moved to a database that nobody knew, and back: nobody notices but by waiting.
func TestShardsMoveWhileOrdersAreTaken(t *testing.T) {
	for name, fresh := range map[string]func(testing.TB) string{
		"SQLite": storetest.SQLite, "PostgreSQL": storetest.PostgreSQL, "MariaDB": storetest.MySQL,
	} {
		t.Run(name, func(t *testing.T) {
			first, second, third := fresh(t), fresh(t), fresh(t)
			startedIn(t, "", first, second).testMoves(t, third, first)
		})
	}
}

// testMoves moves the shards of all customers to one database after the other.
func (s *shop) testMoves(t *testing.T, to ...string) {
	const customers = 3
	s.Run("order", setup, s.databases()...) // a second one, with a map of its own
	var done atomic.Bool
	var all sync.WaitGroup
	placed := make([][]string, customers)
	for i := range customers {
		name := fmt.Sprint("mover-", i)
		ctx := s.rich(t, name, 1_000_000)
		all.Go(func() {
			for len(placed[i]) < 4 || !done.Load() && len(placed[i]) < 400 {
				id := s.orderTwice(ctx, t)
				if id == "" {
					return
				}
				placed[i] = append(placed[i], id)
			}
		})
	}
	moves := 0
	for _, database := range to {
		for i := range customers {
			s.move(t, shardOfCustomer(t, s, i), database)
			moves++
		}
	}
	done.Store(true)
	all.Wait()
	total := 0
	for i, ids := range placed {
		total += len(ids)
		s.keptAll(t, fmt.Sprint("mover-", i), ids)
	}
	t.Logf("%d orders of %d customers, %d moves", total, customers, moves)
}

// shardOfCustomer asks the id of an order.
func shardOfCustomer(t testing.TB, s *shop, i int) int32 {
	t.Helper()
	ctx := s.As(t.Context(), fmt.Sprint("mover-", i))
	o := warrentest.Eventually(t, "a first order", func() (*orderv1.Order, bool) {
		list, err := s.ListOrders(ctx, &orderv1.ListOrdersRequest{PageSize: 1})
		if err != nil || len(list.GetOrders()) == 0 {
			return nil, false
		}
		return list.GetOrders()[0], true
	})
	shard, _, err := shards.ParseID(o.GetOrderId())
	must(t, err)
	return int32(shard)
}

// move is what the command does.
func (s *shop) move(t testing.TB, shard int32, database string) {
	t.Helper()
	ctx := s.As(t.Context(), "olga", "operator")
	stream, err := shardsv1.NewShardServiceClient(s.Client()).Move(rpc.ToService(ctx, "order"), &shardsv1.MoveRequest{
		Shard: shard, Database: database, By: &shardsv1.By{Reason: "a test"},
	})
	must(t, err)
	last := ""
	for {
		p, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		must(t, err)
		last = p.GetPhase()
	}
	if last != "done" {
		t.Errorf("move of shard %d ended with %q", shard, last)
	}
}

// orderTwice places an order by one key until it is taken, once more, and reads it.
func (s *shop) orderTwice(ctx context.Context, t testing.TB) string {
	ctx = s.keyed(ctx)
	var ids []string
	for len(ids) < 2 && ctx.Err() == nil {
		o, err := s.PlaceOrder(ctx, wanted(some("HEART", 1)))
		switch warrentest.Code(err) {
		case codes.OK:
			ids = append(ids, o.GetOrderId())
		case codes.Unavailable, codes.Aborted: // come back, is what they say
		default:
			t.Errorf("place: %v", err)
			return ""
		}
	}
	if ctx.Err() != nil || ids[0] != ids[1] {
		t.Errorf("one key, two orders: %v", ids)
		return ""
	}
	if _, err := s.GetOrder(ctx, &orderv1.GetOrderRequest{OrderId: ids[0]}); err != nil && warrentest.Code(err) != codes.Unavailable {
		t.Errorf("read %s: %v", ids[0], err)
	}
	return ids[0]
}

// keptAll wants of a customer exactly these orders, each paid for once and told of
// once.
func (s *shop) keptAll(t testing.TB, customer string, ids []string) {
	t.Helper()
	ctx := s.As(t.Context(), customer)
	spent := int64(0)
	for _, id := range ids {
		o := s.becomes(ctx, t, id, orderv1.State_PAID)
		spent += o.GetTotal().GetMinorUnits()
		s.tells(t, id, "Placed", "Confirmed")
		if !s.ends(t, "checkout/"+id) {
			t.Errorf("the checkout of %s failed", id)
		}
	}
	s.has(t, customer, 1_000_000-spent)
	found, token := 0, ""
	for {
		list, err := s.ListOrders(ctx, &orderv1.ListOrdersRequest{PageSize: 50, PageToken: token})
		must(t, err)
		found += len(list.GetOrders())
		if token = list.GetNextPageToken(); token == "" {
			break
		}
	}
	if found != len(ids) {
		t.Errorf("%s has %d orders; want %d", customer, found, len(ids))
	}
}
