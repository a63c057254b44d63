package e2e

import (
	"compress/gzip"
	"context"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	collectorv1 "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	dto "github.com/prometheus/client_model/go"

	"github.com/gowarren/warren/internal/names"
)

// span is one that the collector took, with the service that sent it.
type span struct {
	*tracev1.Span
	service string
}

func (s span) attr(key string) string {
	for _, a := range s.GetAttributes() {
		if a.GetKey() == key {
			return a.GetValue().GetStringValue()
		}
	}
	return ""
}

// collector takes spans as OTLP over HTTP.
type collector struct {
	mu    sync.Mutex
	spans []span
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		unzipped, err := gzip.NewReader(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		body = unzipped
	}
	data, err := io.ReadAll(body)
	var req collectorv1.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(data, &req)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, rs := range req.GetResourceSpans() {
		service := ""
		for _, a := range rs.GetResource().GetAttributes() {
			if a.GetKey() == "service.name" {
				service = a.GetValue().GetStringValue()
			}
		}
		for _, ss := range rs.GetScopeSpans() {
			for _, s := range ss.GetSpans() {
				c.spans = append(c.spans, span{s, service})
			}
		}
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

func (c *collector) all(which func(span) bool) (out []span) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.spans {
		if which(s) {
			out = append(out, s)
		}
	}
	return out
}

// traced opens the shop with its traces going to a collector of the test.
func traced(t *testing.T) (*shop, *collector) {
	t.Helper()
	c := &collector{}
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	return openWith(t, variant(t, func(text string) string {
		return strings.Replace(text, "traces: embedded", "traces: "+strings.Replace(server.URL, "http://", "otlp+http://", 1), 1)
	})), c
}

// TestOneTraceFollowsACheckout: from the request at the gateway over calls,
// statements and the steps of the saga to the events and those who handle them, and
// on with the carrier to the last event, that the order was delivered. All of it
// says that it was a probe, as the request said.
func TestOneTraceFollowsACheckout(t *testing.T) {
	s, c := traced(t)
	s.set("trace.sample=1")
	buyer := s.customers(1, func(int) int64 { return 100_000 })[0]
	buyer.baggage = "synthetic=true"
	ctx := s.within(3 * time.Minute)
	o, err := buyer.place(ctx, "traced", orderBody(map[string]int{"22423": 1}))
	if err == nil {
		o, err = buyer.ended(ctx, o.GetOrderId())
	}
	if err != nil {
		t.Fatal(err)
	}
	var trace string
	inTrace := func(s span) bool { return trace != "" && hex.EncodeToString(s.GetTraceId()) == trace }
	wanted := []string{
		"gateway POST /v1/orders", "gateway shop.order.v1.OrderService/PlaceOrder", "order shop.order.v1.OrderService/PlaceOrder", "order insert orders",
		"order send shop.order.v1.OrderPlaced", "order relay shop.order.v1.OrderPlaced",
		"coordinator checkout reserve", "inventory shop.inventory.v1.InventoryService/Reserve", "coordinator checkout hold",
		"payment shop.payment.v1.PaymentService/Hold", "coordinator checkout dispatch",
		"order send shop.order.v1.OrderConfirmed", "notification process shop.order.v1.OrderConfirmed",
		"shipping shop.shipping.v1.ShippingService/DispatchShipment", "shipping carry shipment",
		"shipping send shop.shipping.v1.ShipmentShipped", "order process shop.shipping.v1.ShipmentShipped", "order send shop.order.v1.OrderShipped",
		"shipping send shop.shipping.v1.ShipmentDelivered", "order process shop.shipping.v1.ShipmentDelivered",
		"order send shop.order.v1.OrderDelivered", "order relay shop.order.v1.OrderDelivered",
	}
	var all []span
	missing := func() (out []string) {
		if steps := c.all(func(s span) bool {
			return strings.HasSuffix(s.attr("warren.txn.gid"), "/"+o.GetOrderId()) && s.GetName() == "checkout reserve"
		}); len(steps) > 0 {
			trace = hex.EncodeToString(steps[0].GetTraceId())
		}
		all = c.all(inTrace)
		ids, seen := map[string]bool{}, map[string]bool{}
		for _, s := range all {
			ids[string(s.GetSpanId())], seen[s.service+" "+s.GetName()] = true, true
		}
		for _, s := range all {
			if parent := string(s.GetParentSpanId()); parent != "" && !ids[parent] {
				out = append(out, "the parent of "+s.service+" "+s.GetName())
			}
		}
		return append(out, slices.DeleteFunc(slices.Clone(wanted), func(w string) bool { return seen[w] })...)
	}
	patience, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	lacks := missing()
	for len(lacks) > 0 && rest(patience, 200*time.Millisecond) {
		lacks = missing()
	}
	for _, what := range lacks {
		t.Errorf("the trace lacks %s", what)
	}
	roots := 0
	for _, s := range all {
		if s.attr("baggage.synthetic") != "true" {
			t.Errorf("%s %s does not say that it is synthetic", s.service, s.GetName())
		}
		if len(s.GetParentSpanId()) == 0 {
			roots++
		}
		if s.GetKind() == tracev1.Span_SPAN_KIND_CONSUMER && (len(s.GetLinks()) != 1 || string(s.GetLinks()[0].GetSpanId()) != string(s.GetParentSpanId())) {
			t.Errorf("%s %s is not linked to the publisher's span", s.service, s.GetName())
		}
	}
	if roots != 1 {
		t.Errorf("the trace has %d roots among %d spans", roots, len(all))
	}
}

// TestACompensatedCheckoutIsRecordedLate: no trace is chosen, and yet what went
// wrong and what was undone is there, in all services.
func TestACompensatedCheckoutIsRecordedLate(t *testing.T) {
	s, c := traced(t)
	s.set("trace.sample=0")
	poor := s.customers(1, func(int) int64 { return 1 })[0]
	ctx := s.within(3 * time.Minute)
	o, err := poor.place(ctx, "poor", orderBody(map[string]int{"22423": 1}))
	if err == nil {
		o, err = poor.ended(ctx, o.GetOrderId())
	}
	if err != nil {
		t.Fatal(err)
	}
	if got := states(o); got != "PLACED REJECTED" {
		t.Fatalf("the order's way: %s", got)
	}
	kept := func(service, name, reason string) bool {
		return len(c.all(func(s span) bool {
			return s.service == service && s.GetName() == name && (reason == "" || s.attr("warren.sampled.reason") == reason) &&
				(strings.HasSuffix(s.attr("warren.txn.gid"), "/"+o.GetOrderId()) || service == "inventory")
		})) > 0
	}
	until(t, 60*time.Second, "the spans of the refusal and of what was undone", func() bool {
		return kept("coordinator", "checkout hold", "error") && kept("coordinator", "checkout reserve", "compensation") &&
			kept("inventory", "shop.inventory.v1.InventoryService/Release", "")
	})
}

// TestEveryServiceKeepsToTheRegister: what every process of a shop in use shows at
// /metrics is in the register of names, with its labels and their values.
func TestEveryServiceKeepsToTheRegister(t *testing.T) {
	s := open(t)
	register, err := names.Load()
	if err != nil {
		t.Fatal(err)
	}
	ctx := s.within(3 * time.Minute)
	for i, c := range s.customers(2, func(i int) int64 { return []int64{100_000, 1}[i] }) {
		o, err := c.place(ctx, "one", orderBody(map[string]int{"22423": 1}))
		if err == nil {
			_, err = c.ended(ctx, o.GetOrderId())
		}
		if err != nil {
			t.Fatalf("customer %d: %v", i, err)
		}
		for _, path := range []string{"/v1/orders/" + o.GetOrderId(), "/v1/products/22423", "/v1/products/none", "/no/such/" + o.GetOrderId(), "/products/22423"} {
			if _, err := c.ask(ctx, "GET", path, "", ""); err != nil {
				t.Fatal(err)
			}
		}
	}
	seen := map[string]bool{}
	for _, instance := range s.list().GetInstances() {
		families := scrape(t, instance.GetAdmin())
		for _, wrong := range register.Check(families) {
			t.Errorf("%s: %s", instance.GetId(), wrong)
		}
		for _, f := range families {
			seen[f.GetName()], seen[f.GetName()+" of "+instance.GetService()] = true, true
		}
	}
	for _, name := range []string{
		"http_server_request_duration_seconds of gateway", "http_server_request_duration_seconds of storefront", "rpc_server_call_duration_seconds", "rpc_client_call_duration_seconds", "db_client_operation_duration_seconds",
		"db_client_connection_count", "messaging_client_sent_messages_total", "messaging_process_duration_seconds", "warren_txn_duration_seconds",
		"warren_txn_active", "warren_txn_oldest_seconds", "warren_outbox_pending", "warren_outbox_age_seconds", "warren_config_revision", "target_info",
		"shop_orders_total", "shop_checkout_duration_seconds", "shop_payments_total", "shop_stock_reservations_total",
	} {
		if !seen[name] {
			t.Errorf("no process shows %s", name)
		}
	}
}

func scrape(t *testing.T, address string) []*dto.MetricFamily {
	t.Helper()
	resp, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	byName, err := parser.TextToMetricFamilies(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var out []*dto.MetricFamily
	for _, f := range byName {
		out = append(out, f)
	}
	slices.SortFunc(out, func(a, b *dto.MetricFamily) int { return strings.Compare(a.GetName(), b.GetName()) })
	return out
}
