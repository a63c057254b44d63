package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/gowarren/warren"
	"github.com/gowarren/warren/events"
	"github.com/gowarren/warren/rpc"
	shippingv1 "github.com/gowarren/warren/shop/api/shop/shipping/v1"
	"github.com/gowarren/warren/store"
	"github.com/gowarren/warren/telemetry"
	"github.com/gowarren/warren/warrentest"
)

const fastSystem = `system: test
auth: {issuer: warrentest, audience: warrentest}
settings:
  shipping.carrier.pace: 20ms
  shipping.carrier.poll: 5ms
`

// shop is a system with a shipping service whose carrier is fast.
type shop struct {
	*warrentest.System
	shippingv1.ShippingServiceClient
	watcher *warren.App
	told    chan news
}

// news is an event, and the trace that it came with.
type news struct {
	proto.Message
	trace string
}

func started(t *testing.T, more string) *shop {
	t.Helper()
	file := filepath.Join(t.TempDir(), "warren.yaml")
	if err := os.WriteFile(file, []byte(fastSystem+more), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &shop{System: warrentest.New(t, "--system-file", file), told: make(chan news, 1000)}
	s.Run("shipping", setup)
	s.Run("watcher", func(ctx context.Context, app *warren.App) error {
		s.watcher = app
		if _, err := app.Database(ctx, migrations); err != nil {
			return err
		}
		err := events.Subscribe(app, func(ctx context.Context, _ *store.Tx, e *shippingv1.ShipmentShipped) error {
			s.told <- news{e, telemetry.TraceID(ctx)}
			return nil
		})
		if err != nil {
			return err
		}
		return events.Subscribe(app, func(ctx context.Context, _ *store.Tx, e *shippingv1.ShipmentDelivered) error {
			s.told <- news{e, telemetry.TraceID(ctx)}
			return nil
		})
	})
	s.ShippingServiceClient = shippingv1.NewShippingServiceClient(s.Client())
	return s
}

func create(id, customer string) *shippingv1.CreateShipmentRequest {
	return &shippingv1.CreateShipmentRequest{
		ShipmentId: id, OrderId: "o-" + id, CustomerId: customer, Lines: []*shippingv1.Line{{Sku: "a1", Quantity: 2}},
		Address: &shippingv1.Address{Name: "Ada", Street: "Main Street 1", City: "London", PostalCode: "N1", CountryCode: "GB"},
	}
}

func TestShippingInASystem(t *testing.T) {
	s := started(t, "")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	t.Run("to the customer", func(t *testing.T) { s.testDelivery(ctx, t) })
	t.Run("cancelled", func(t *testing.T) { s.testCancel(ctx, t) })
	t.Run("who may see what", func(t *testing.T) { s.testAccess(ctx, t) })
	t.Run("lists", func(t *testing.T) { s.testList(ctx, t) })
	t.Run("requests against the contract", func(t *testing.T) { s.testContract(ctx, t) })
}

func (s *shop) testDelivery(ctx context.Context, t *testing.T) {
	made, err := s.CreateShipment(ctx, create("s1", "ada"))
	if err != nil || made.GetTrackingNumber() == "" {
		t.Fatalf("create: %v, %v", made, err)
	}
	if again, err := s.CreateShipment(ctx, create("s1", "ada")); err != nil || !proto.Equal(again, made) {
		t.Errorf("create again: %v, %v", again, err)
	}
	asked, _ := s.watcher.Tracer().Start(ctx, "dispatch", trace.SpanKindInternal)
	if _, err := shippingv1.NewShippingServiceClient(s.watcher).DispatchShipment(asked, &shippingv1.DispatchShipmentRequest{ShipmentId: "s1"}); err != nil {
		t.Fatal(err)
	}
	for shipped, delivered := false, false; !shipped || !delivered; {
		select {
		case e := <-s.told:
			if e.trace != telemetry.TraceID(asked) {
				t.Errorf("told %v in trace %s; its delivery was asked for in %s", e.Message, e.trace, telemetry.TraceID(asked))
			}
			switch e := e.Message.(type) {
			case *shippingv1.ShipmentShipped:
				shipped = true
				if e.GetOrderId() != "o-s1" || e.GetCustomerId() != "ada" || e.GetTrackingNumber() != made.GetTrackingNumber() || e.GetShipTime() == nil {
					t.Errorf("told %v", e)
				}
			case *shippingv1.ShipmentDelivered:
				delivered = true
			}
		case <-ctx.Done():
			t.Fatal("it does not arrive")
		}
	}
	got, err := s.GetShipment(s.As(ctx, "ada", "customer"), &shippingv1.GetShipmentRequest{OrderId: "o-s1"})
	if err != nil || got.GetState() != shippingv1.State_DELIVERED || len(got.GetTracking()) < 4 || got.GetLines()[0].GetSku() != "A1" || !got.GetDispatched() {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := s.CancelShipment(ctx, &shippingv1.CancelShipmentRequest{ShipmentId: "s1"}); !warrentest.Refused(err, shippingv1.Reason_ALREADY_HANDED_OVER) || warrentest.Code(err) != codes.FailedPrecondition {
		t.Errorf("cancel late: %v", err)
	}
}

func (s *shop) testCancel(ctx context.Context, t *testing.T) {
	if _, err := s.CreateShipment(ctx, create("s2", "ada")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.CancelShipment(ctx, &shippingv1.CancelShipmentRequest{ShipmentId: "s2"}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.DispatchShipment(ctx, &shippingv1.DispatchShipmentRequest{ShipmentId: "s2"}); !warrentest.Refused(err, shippingv1.Reason_SHIPMENT_CANCELLED) {
		t.Errorf("dispatch: %v", err)
	}
	if _, err := s.CreateShipment(ctx, create("s2", "ada")); !warrentest.Refused(err, shippingv1.Reason_SHIPMENT_CANCELLED) {
		t.Errorf("create again: %v", err)
	}
}

func (s *shop) testAccess(ctx context.Context, t *testing.T) {
	get := func(ctx context.Context, order string) error {
		_, err := s.GetShipment(ctx, &shippingv1.GetShipmentRequest{OrderId: order})
		return err
	}
	bob := s.As(ctx, "bob", "customer")
	others, none := rpc.FromError(get(bob, "o-s1")), rpc.FromError(get(bob, "o-none"))
	if others.Code != codes.NotFound || others.Message != none.Message || others.Reason != none.Reason {
		t.Errorf("somebody else's: %v; none: %v", others, none)
	}
	if err := get(s.As(ctx, "sue", "staff"), "o-s1"); err != nil {
		t.Errorf("staff: %v", err)
	}
	if err := get(ctx, "o-s1"); warrentest.Code(err) != codes.Unauthenticated {
		t.Errorf("nobody: %v", err)
	}
	if _, err := s.ListShipments(bob, &shippingv1.ListShipmentsRequest{}); warrentest.Code(err) != codes.PermissionDenied {
		t.Errorf("a customer lists: %v", err)
	}

	gateway := s.Gateway()
	for _, c := range []struct {
		path, token string
		want        int
	}{
		{"/v1/shipments/o-s1", s.Token("ada", "customer"), http.StatusOK},
		{"/v1/shipments/o-s1", s.Token("bob", "customer"), http.StatusNotFound},
		{"/v1/shipments/o-s1", "", http.StatusUnauthorized},
		{"/v1/shipments", s.Token("sue", "staff"), http.StatusOK},
	} {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, gateway+c.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if c.token != "" {
			req.Header.Set("Authorization", "Bearer "+c.token)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if resp.Body.Close(); resp.StatusCode != c.want {
			t.Errorf("%s: %d; want %d", c.path, resp.StatusCode, c.want)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

func (s *shop) testList(ctx context.Context, t *testing.T) {
	for n := range 5 {
		if _, err := s.CreateShipment(ctx, create(fmt.Sprint("l", n), "ada")); err != nil {
			t.Fatal(err)
		}
	}
	staff := s.As(ctx, "sue", "staff")
	seen, req := map[string]bool{}, &shippingv1.ListShipmentsRequest{PageSize: 2, State: shippingv1.State_CREATED}
	for {
		part, err := s.ListShipments(staff, req)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range part.GetShipments() {
			seen[found.GetShipmentId()] = true
		}
		if req.PageToken = part.GetNextPageToken(); req.GetPageToken() == "" {
			break
		}
		if len(seen) == 2 {
			other := proto.CloneOf(req)
			other.State = shippingv1.State_DELIVERED
			if _, err := s.ListShipments(staff, other); !warrentest.Refused(err, shippingv1.Reason_BAD_PAGE_TOKEN) {
				t.Errorf("a token of another list: %v", err)
			}
		}
	}
	if len(seen) != 5 {
		t.Errorf("listed %v", seen)
	}
}

func (s *shop) testContract(ctx context.Context, t *testing.T) {
	for name, spoil := range map[string]func(*shippingv1.CreateShipmentRequest){
		"no id":         func(r *shippingv1.CreateShipmentRequest) { r.ShipmentId = "" },
		"no order":      func(r *shippingv1.CreateShipmentRequest) { r.OrderId = "" },
		"no customer":   func(r *shippingv1.CreateShipmentRequest) { r.CustomerId = "" },
		"no address":    func(r *shippingv1.CreateShipmentRequest) { r.Address = nil },
		"no street":     func(r *shippingv1.CreateShipmentRequest) { r.Address.Street = "" },
		"no country":    func(r *shippingv1.CreateShipmentRequest) { r.Address.CountryCode = "gb" },
		"no lines":      func(r *shippingv1.CreateShipmentRequest) { r.Lines = nil },
		"a line of 0":   func(r *shippingv1.CreateShipmentRequest) { r.Lines[0].Quantity = 0 },
		"a line of all": func(r *shippingv1.CreateShipmentRequest) { r.Lines[0].Quantity = 10_001 },
	} {
		req := create("bad", "ada")
		spoil(req)
		if _, err := s.CreateShipment(ctx, req); warrentest.Code(err) != codes.InvalidArgument {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestACarrierThatRefuses(t *testing.T) {
	s := started(t, "  shipping.carrier.refusals: 1\n")
	_, err := s.CreateShipment(t.Context(), create("s1", "ada"))
	if !warrentest.Refused(err, shippingv1.Reason_CARRIER_REFUSED) || warrentest.Code(err) != codes.FailedPrecondition {
		t.Errorf("got %v", err)
	}
	// The saga compensates what it can't know to have failed.
	if _, err := s.CancelShipment(t.Context(), &shippingv1.CancelShipmentRequest{ShipmentId: "s1"}); err != nil {
		t.Error(err)
	}
}

func TestACarrierThatIsDown(t *testing.T) {
	s := started(t, "  shipping.carrier.down: true\n")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	_, err := s.CreateShipment(ctx, create("s1", "ada"))
	if warrentest.Code(err) != codes.Unavailable && warrentest.Code(err) != codes.DeadlineExceeded { // it is tried again until the time is over
		t.Errorf("got %v", err)
	}
}
