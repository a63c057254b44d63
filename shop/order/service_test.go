package main

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	rpcv1 "github.com/gowarren/warren/api/warren/rpc/v1"
	"github.com/gowarren/warren/rpc"
	moneyv1 "github.com/gowarren/warren/shop/api/shop/money/v1"
	orderv1 "github.com/gowarren/warren/shop/api/shop/order/v1"
	shippingv1 "github.com/gowarren/warren/shop/api/shop/shipping/v1"
	"github.com/gowarren/warren/warrentest"
)

func TestOrdersInASystem(t *testing.T) {
	s := started(t, "")
	t.Run("from the checkout to the return", s.testLife)
	t.Run("what can't be fulfilled is rejected", s.testRejected)
	t.Run("a step that does not answer is not told to customers", s.testVague)
	t.Run("what is wrong with an order", s.testRefusals)
	t.Run("somebody else's order is not there", s.testStrangers)
	t.Run("page by page", s.testPages)
	t.Run("one key one order", s.testKey)
	t.Run("over HTTP", s.testHTTP)
}

// An order's whole way: each state once, each piece of news once, the money where
// it belongs.
func (s *shop) testLife(t *testing.T) {
	ada := s.rich(t, "life", 10_000)
	placed := s.place(ada, t, wanted(some("heart", 6), some("CAKESTAND", 1)))
	if placed.GetState() != orderv1.State_PLACED || placed.GetTotal().GetMinorUnits() != 2805 || placed.GetLines()[0].GetSku() != "HEART" {
		t.Errorf("placed %v", placed)
	}
	id := placed.GetOrderId()
	paid := s.becomes(ada, t, id, orderv1.State_PAID)
	if !proto.Equal(placed.GetCreateTime(), paid.GetCreateTime()) || !proto.Equal(placed.GetHistory()[0], paid.GetHistory()[0]) {
		t.Errorf("placed at %v, and then at %v", placed.GetCreateTime(), paid.GetCreateTime())
	}
	if !s.ends(t, "checkout/"+id) || s.carry.state(t, id) != "dispatched" || s.stock.state(t, id) != "sold" || s.purse.state(t, id) != "captured" {
		t.Errorf("shipment %s, stock %s, money %s", s.carry.state(t, id), s.stock.state(t, id), s.purse.state(t, id))
	}
	s.has(t, "life", 10_000-2805)
	_, err := s.ReturnOrder(ada, &orderv1.ReturnOrderRequest{OrderId: id})
	if !warrentest.Refused(err, orderv1.Reason_WRONG_STATE) {
		t.Errorf("gave back what is not there yet: %v", err)
	}
	must(t, s.carry.leave(t.Context(), id, true))
	s.becomes(ada, t, id, orderv1.State_SHIPPED)
	must(t, s.carry.say(t.Context(), &shippingv1.ShipmentDelivered{OrderId: id, ShipmentId: id}))
	s.becomes(ada, t, id, orderv1.State_DELIVERED)
	// Asked for by eight at once, and once more, it is given back once.
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if _, err := s.ReturnOrder(ada, &orderv1.ReturnOrderRequest{OrderId: id}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	returned := s.becomes(ada, t, id, orderv1.State_RETURNED)
	if _, err := s.ReturnOrder(ada, &orderv1.ReturnOrderRequest{OrderId: id}); err != nil {
		t.Error(err)
	}
	s.has(t, "life", 10_000)
	if got := way(returned); got != "PLACED CONFIRMED PAID SHIPPED DELIVERED RETURNING RETURNED" {
		t.Errorf("it went %s", got)
	}
	s.tells(t, id, "Placed", "Confirmed", "Shipped", "Delivered", "Refunded")
}

// Each step that may refuse does: nothing is left of the checkout, and the customer
// reads what the step said.
func (s *shop) testRejected(t *testing.T) {
	stock := s.stock.count(t, "CAKESTAND")
	away := wanted(some("CAKESTAND", 1))
	away.Address.Name = nobody
	for name, tt := range map[string]struct {
		req   *orderv1.PlaceOrderRequest
		money int64
		why   string
	}{
		"out of stock":    {wanted(some("CAKESTAND", 7)), 100_000, "there is not enough of CAKESTAND"},
		"no money":        {wanted(some("CAKESTAND", 1)), 1274, "the wallet has too little"},
		"carrier refuses": {away, 100_000, "the carrier does not go there"},
	} {
		customer := strings.ReplaceAll(name, " ", "-")
		ctx := s.rich(t, customer, tt.money)
		id := s.place(ctx, t, tt.req).GetOrderId()
		o := s.becomes(ctx, t, id, orderv1.State_REJECTED)
		if o.GetReason() != tt.why || way(o) != "PLACED REJECTED" {
			t.Errorf("%s: %q after %s", name, o.GetReason(), way(o))
		}
		if s.ends(t, "checkout/"+id) {
			t.Errorf("%s: the checkout succeeded", name)
		}
		s.has(t, customer, tt.money)
		if got := s.stock.count(t, "CAKESTAND"); got != stock {
			t.Errorf("%s: %d on stock; there were %d", name, got, stock)
		}
		if state := s.carry.state(t, id); state != "" && state != "cancelled" {
			t.Errorf("%s: the shipment is %s", name, state)
		}
		s.tells(t, id, "Placed", "Rejected")
		if _, err := s.CancelOrder(ctx, &orderv1.CancelOrderRequest{OrderId: id}); !warrentest.Refused(err, orderv1.Reason_WRONG_STATE) {
			t.Errorf("%s: it was cancelled after that: %v", name, err)
		}
	}
}

// What went wrong inside is not for customers to read.
func (s *shop) testVague(t *testing.T) {
	ctx := s.rich(t, "vague", 10_000)
	s.carry.down.Store(true)
	defer s.carry.down.Store(false)
	id := s.place(ctx, t, wanted(some("HEART", 1))).GetOrderId()
	o := s.becomes(ctx, t, id, orderv1.State_REJECTED)
	if o.GetReason() != "it could not be arranged" {
		t.Errorf("the customer reads %q", o.GetReason())
	}
	s.has(t, "vague", 10_000)
}

func (s *shop) testRefusals(t *testing.T) {
	ctx := s.rich(t, "refused", 10_000)
	shown := wanted(some("HEART", 1))
	shown.Lines[0].ExpectedPrice = &moneyv1.Money{CurrencyCode: "GBP", MinorUnits: 254}
	many := wanted()
	for range 51 {
		many.Lines = append(many.Lines, some("HEART", 1))
	}
	noAddress := wanted(some("HEART", 1))
	noAddress.Address = nil
	for name, tt := range map[string]struct {
		req    *orderv1.PlaceOrderRequest
		reason orderv1.Reason // unspecified: the contract's own rules
		field  string
	}{
		"an unknown product":     {wanted(some("HEART", 1), some("UNICORN", 1)), orderv1.Reason_UNKNOWN_PRODUCT, "lines[1].sku"},
		"another price":          {shown, orderv1.Reason_PRICE_CHANGED, "lines[0].expected_price"},
		"two currencies":         {wanted(some("HEART", 1), some("LAMP", 1)), orderv1.Reason_BAD_TOTAL, "lines[1].sku"},
		"more than can be paid":  {wanted(some("HOUSE", 2)), orderv1.Reason_BAD_TOTAL, "lines"},
		"one product twice":      {wanted(some("HEART", 1), some("heart", 1)), orderv1.Reason_REPEATED_LINE, "lines[1].sku"},
		"nothing of it":          {wanted(some("HEART", 0)), 0, "lines[0].quantity"},
		"less than nothing":      {wanted(some("HEART", -1)), 0, "lines[0].quantity"},
		"more than is sent":      {wanted(some("HEART", 10_001)), 0, "lines[0].quantity"},
		"a code that is none":    {wanted(some("a b", 1)), 0, "lines[0].sku"},
		"no lines":               {wanted(), 0, "lines"},
		"too many lines":         {many, 0, "lines"},
		"nowhere to be sent":     {noAddress, 0, "address"},
		"no key, but an address": {wanted(some("HEART", 1)), 0, ""},
	} {
		called := s.keyed(ctx)
		if tt.field == "" {
			called = ctx
		}
		_, err := s.PlaceOrder(called, tt.req)
		got := rpc.FromError(err)
		if got == nil || tt.reason != 0 && !warrentest.Refused(err, tt.reason) || tt.reason == 0 && got.Code != codes.InvalidArgument {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if tt.field != "" && (len(got.Violations) != 1 || got.Violations[0].Field != tt.field) {
			t.Errorf("%s: blames %v", name, got.Violations)
		}
	}
	if list, err := s.ListOrders(ctx, &orderv1.ListOrdersRequest{}); err != nil || len(list.GetOrders()) > 0 {
		t.Errorf("kept nevertheless: %v, %v", list, err)
	}
	// At the price that the customer was shown, it is what it costs.
	s.shelf.set("HEART", 254)
	defer s.shelf.set("HEART", 255)
	if o := s.place(ctx, t, shown); o.GetTotal().GetMinorUnits() != 254 {
		t.Errorf("costs %v", o.GetTotal())
	}
}

func (s *shop) testStrangers(t *testing.T) {
	ada, eve := s.rich(t, "owner", 10_000), s.As(t.Context(), "stranger")
	id := s.place(ada, t, wanted(some("HEART", 1))).GetOrderId()
	s.becomes(ada, t, id, orderv1.State_PAID)
	for _, id := range []string{id, "nonsense", id[:25] + "z", strings.ToUpper(id)} {
		_, get := s.GetOrder(eve, &orderv1.GetOrderRequest{OrderId: id})
		_, cancel := s.CancelOrder(eve, &orderv1.CancelOrderRequest{OrderId: id})
		_, back := s.ReturnOrder(eve, &orderv1.ReturnOrderRequest{OrderId: id})
		stream, err := s.WatchOrder(eve, &orderv1.WatchOrderRequest{OrderId: id})
		must(t, err)
		_, watch := stream.Recv()
		for what, err := range map[string]error{"get": get, "cancel": cancel, "return": back, "watch": watch} {
			if !warrentest.Refused(err, orderv1.Reason_ORDER_NOT_FOUND) || warrentest.Code(err) != codes.NotFound {
				t.Errorf("%s %q as a stranger: %v", what, id, err)
			}
		}
	}
	if list, err := s.ListOrders(eve, &orderv1.ListOrdersRequest{}); err != nil || len(list.GetOrders()) > 0 {
		t.Errorf("a stranger's list: %v, %v", list, err)
	}
	if o := s.becomes(ada, t, id, orderv1.State_PAID); o.GetCancelRequested() {
		t.Error("a stranger cancelled it")
	}
	if _, err := s.ListOrders(t.Context(), &orderv1.ListOrdersRequest{}); warrentest.Code(err) != codes.Unauthenticated {
		t.Errorf("list as nobody: %v", err)
	}
}

func (s *shop) testPages(t *testing.T) {
	ctx, other := s.rich(t, "pages", 100_000), s.rich(t, "others-pages", 100_000)
	var want []string
	for range 5 {
		want = append([]string{s.place(ctx, t, wanted(some("HEART", 1))).GetOrderId()}, want...)
		s.place(other, t, wanted(some("HEART", 1)))
	}
	var got []string
	req := &orderv1.ListOrdersRequest{PageSize: 2}
	for {
		part, err := s.ListOrders(ctx, req)
		must(t, err)
		for _, o := range part.GetOrders() {
			got = append(got, o.GetOrderId())
		}
		if req.PageToken = part.GetNextPageToken(); req.GetPageToken() == "" {
			break
		}
		if _, err := s.ListOrders(other, req); !warrentest.Refused(err, orderv1.Reason_BAD_PAGE_TOKEN) {
			t.Errorf("with somebody else's token: %v", err)
		}
	}
	if len(got) != len(want) || !sameOrders(got, want) {
		t.Errorf("listed %v, want %v", got, want)
	}
}

// sameOrders compares lists of orders: those of one millisecond come in any order.
func sameOrders(got, want []string) bool {
	for i := range got {
		if got[i][:10] != want[i][:10] {
			return false
		}
	}
	return true
}

// The same key has the same answer, another order is refused, and so is one that
// comes while the first is being answered.
func (s *shop) testKey(t *testing.T) {
	ada, bob := s.rich(t, "key", 100_000), s.rich(t, "keys-other", 100_000)
	keyed := s.keyed(ada)
	release := s.shelf.hold()
	first := make(chan *orderv1.Order, 1)
	go func() {
		o, err := s.PlaceOrder(keyed, wanted(some("HEART", 2)))
		if err != nil {
			t.Error(err)
		}
		first <- o
	}()
	<-s.shelf.asked
	_, err := s.PlaceOrder(keyed, wanted(some("HEART", 2)))
	if !errors.Is(err, rpc.Reason(rpcv1.Reason_REASON_IDEMPOTENCY_KEY_IN_USE)) || rpc.FromError(err).RetryAfter == 0 {
		t.Errorf("while it is being answered: %v", err)
	}
	release()
	o := <-first
	again, err := s.PlaceOrder(keyed, wanted(some("HEART", 2)))
	if err != nil || !proto.Equal(again, o) {
		t.Errorf("again: %v, %v; want %v", again, err, o)
	}
	if _, err := s.PlaceOrder(keyed, wanted(some("HEART", 3))); !errors.Is(err, rpc.Reason(rpcv1.Reason_REASON_IDEMPOTENCY_KEY_REUSED)) {
		t.Errorf("another order with the key: %v", err)
	}
	md, _ := metadata.FromOutgoingContext(keyed)
	same := metadata.AppendToOutgoingContext(bob, rpc.MetadataIdempotencyKey, md.Get(rpc.MetadataIdempotencyKey)[0])
	if his, err := s.PlaceOrder(same, wanted(some("HEART", 2))); err != nil || his.GetOrderId() == o.GetOrderId() {
		t.Errorf("somebody else with the key: %v, %v", his, err)
	}
	s.becomes(ada, t, o.GetOrderId(), orderv1.State_PAID)
	if list, err := s.ListOrders(ada, &orderv1.ListOrdersRequest{}); err != nil || len(list.GetOrders()) != 1 {
		t.Errorf("one key made %v, %v", list, err)
	}
}

func (s *shop) testHTTP(t *testing.T) {
	s.rich(t, "web", 10_000)
	gateway := s.Gateway()
	call := func(method, path, body, key, user string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), method, gateway+path, strings.NewReader(body))
		must(t, err)
		req.Header.Set("Content-Type", "application/json")
		if user != "" {
			req.Header.Set("Authorization", "Bearer "+s.Token(user))
		}
		if key != "" {
			req.Header.Set("Idempotency-Key", key)
		}
		resp, err := http.DefaultClient.Do(req)
		must(t, err)
		text, err := io.ReadAll(resp.Body)
		must(t, errors.Join(err, resp.Body.Close()))
		return resp.StatusCode, string(text)
	}
	const address = `"address": {"name": "Ada", "street": "1 High Street", "city": "London", "postalCode": "N1", "countryCode": "GB"}}`
	const body = `{"lines": [{"sku": "HEART", "quantity": 1}], ` + address
	const other = `{"lines": [{"sku": "HEART", "quantity": 2}], ` + address
	status, placed := call("POST", "/v1/orders", body, "k1", "web")
	_, rest, _ := strings.Cut(placed, `"orderId":`)
	id := strings.Trim(strings.SplitN(rest, ",", 2)[0], `" `)
	if status != http.StatusOK || len(id) != 26 {
		t.Fatalf("placed: %d %s", status, placed)
	}
	for _, c := range []struct {
		method, path, body, key, user string
		want                          int
	}{
		{"POST", "/v1/orders", body, "k1", "web", http.StatusOK},
		{"POST", "/v1/orders", other, "k1", "web", http.StatusUnprocessableEntity},
		{"POST", "/v1/orders", body, "", "web", http.StatusBadRequest},
		{"POST", "/v1/orders", body, "k2", "", http.StatusUnauthorized},
		{"GET", "/v1/orders", "", "", "web", http.StatusOK},
		{"GET", "/v1/orders/" + id, "", "", "web", http.StatusOK},
		{"GET", "/v1/orders/" + id, "", "", "eve", http.StatusNotFound},
		{"POST", "/v1/orders/" + id + ":cancel", "{}", "", "eve", http.StatusNotFound},
		{"POST", "/v1/orders/" + id + ":cancel", "{}", "", "web", http.StatusOK},
		{"POST", "/v1/orders/" + id + ":return", "{}", "", "web", http.StatusBadRequest},
		{"GET", "/v1/orders/" + id + ":watch", "", "", "web", http.StatusOK},
		{"POST", "/shop.order.v1.OrderProcessService/RejectOrder", `{"orderId": "` + id + `"}`, "", "web", http.StatusNotFound},
	} {
		got, text := call(c.method, c.path, c.body, c.key, c.user)
		if got != c.want {
			t.Errorf("%s %s %q as %q: %d %s; want %d", c.method, c.path, c.key, c.user, got, text, c.want)
		}
		if strings.HasSuffix(c.path, ":watch") && !strings.Contains(text, "CANCELLED") {
			t.Errorf("watched until %s", text)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}
