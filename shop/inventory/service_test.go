package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/gowarren/warren"
	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
	"github.com/gowarren/warren/events"
	"github.com/gowarren/warren/rpc"
	catalogv1 "github.com/gowarren/warren/shop/api/shop/catalog/v1"
	inventoryv1 "github.com/gowarren/warren/shop/api/shop/inventory/v1"
	"github.com/gowarren/warren/store"
	"github.com/gowarren/warren/txn/barrier"
	"github.com/gowarren/warren/warrentest"
)

// catalogue stands for the catalog: it has so many products, P001 and so on.
type catalogue struct {
	catalogv1.UnimplementedCatalogServiceServer
	products int
}

func (c catalogue) ListProducts(_ context.Context, req *catalogv1.ListProductsRequest) (*catalogv1.ListProductsResponse, error) {
	resp := &catalogv1.ListProductsResponse{}
	for n := 1; n <= c.products; n++ {
		sku := fmt.Sprintf("P%03d", n)
		if sku <= req.GetPageToken() {
			continue
		}
		if len(resp.GetProducts()) == int(req.GetPageSize()) {
			resp.NextPageToken = resp.GetProducts()[len(resp.GetProducts())-1].GetSku()
			break
		}
		resp.Products = append(resp.Products, &catalogv1.Product{Sku: sku})
	}
	return resp, nil
}

const fastSystem = `system: test
auth: {issuer: warrentest, audience: warrentest}
settings:
  inventory.reservation.expiry_period: 10ms
  inventory.stock_changed.period: 10ms
`

// shop is a system with an inventory whose clocks run fast.
type shop struct {
	*warrentest.System
	inventoryv1.InventoryServiceClient
	told chan *inventoryv1.StockChanged
}

func started(t *testing.T) *shop {
	t.Helper()
	file := filepath.Join(t.TempDir(), "warren.yaml")
	if err := os.WriteFile(file, []byte(fastSystem), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &shop{System: warrentest.New(t, "--system-file", file), told: make(chan *inventoryv1.StockChanged, 10_000)}
	inventory := s.Start("inventory", setup) // before the catalogue: the order doesn't matter
	s.Run("catalog", func(_ context.Context, app *warren.App) error {
		catalogv1.RegisterCatalogServiceServer(app, catalogue{products: 201})
		return nil
	})
	s.Run("watcher", func(ctx context.Context, app *warren.App) error {
		if _, err := app.Database(ctx, migrations); err != nil {
			return err
		}
		return events.Subscribe(app, func(_ context.Context, _ *store.Tx, e *inventoryv1.StockChanged) error {
			s.told <- e
			return nil
		})
	})
	s.Ready(inventory)
	s.InventoryServiceClient = inventoryv1.NewInventoryServiceClient(s.Client())
	return s
}

func reserve(id, sku string, quantity int32) *inventoryv1.ReserveRequest {
	return &inventoryv1.ReserveRequest{ReservationId: id, Lines: []*inventoryv1.Line{{Sku: sku, Quantity: quantity}}}
}

func TestInventoryInASystem(t *testing.T) {
	s := started(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	staff := s.As(ctx, "u1", "staff")
	t.Run("the catalogue has its first stock", func(t *testing.T) { s.testFirstStock(staff, t) })
	t.Run("a reservation's life", func(t *testing.T) { s.testReservation(ctx, staff, t) })
	t.Run("steps of transactions", func(t *testing.T) { s.testBranches(ctx, t) })
	t.Run("a key", func(t *testing.T) { s.testKey(staff, t) })
	t.Run("it expires by itself", func(t *testing.T) { s.testExpiry(ctx, t) })
	t.Run("others are told", func(t *testing.T) { s.testEvents(staff, t) })
	t.Run("who may do what", func(t *testing.T) { s.testAccess(ctx, t) })
	t.Run("requests against the contract", func(t *testing.T) { s.testContract(ctx, staff, t) })
	t.Run("over HTTP", func(t *testing.T) { s.testHTTP(ctx, t) })
	audit, err := s.AuditStock(staff, &inventoryv1.AuditStockRequest{})
	if err != nil || audit.GetProducts() < 201 || audit.GetMovements() < 201 || len(audit.GetDiscrepancies()) > 0 {
		t.Errorf("the books: %v, %v", audit, err)
	}
}

func (s *shop) testFirstStock(staff context.Context, t *testing.T) {
	var skus []string
	req := &inventoryv1.ListStockRequest{PageSize: 50}
	for {
		part, err := s.ListStock(staff, req)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range part.GetStock() {
			skus = append(skus, found.GetSku())
			if found.GetAvailable() != firstStock(found.GetSku()) {
				t.Errorf("%s: there are %d", found.GetSku(), found.GetAvailable())
			}
		}
		if req.PageToken = part.GetNextPageToken(); req.GetPageToken() == "" {
			break
		}
	}
	if len(skus) != 201 || !slices.IsSorted(skus) {
		t.Errorf("%d products have stock", len(skus))
	}
}

func (s *shop) testReservation(ctx, staff context.Context, t *testing.T) {
	got, err := s.Reserve(ctx, reserve("r1", "p001", 3))
	if err != nil || time.Until(got.GetExpireTime().AsTime()) < 10*time.Minute {
		t.Fatalf("reserve: %v, %v", got, err)
	}
	stock, err := s.GetStock(ctx, &inventoryv1.GetStockRequest{Sku: "P001"})
	if first := firstStock("P001"); err != nil || stock.GetAvailable() != first-3 || stock.GetReserved() != 3 || stock.GetOnHand() != first {
		t.Errorf("stock %v, %v", stock, err)
	}
	if _, err := s.Confirm(ctx, &inventoryv1.ConfirmRequest{ReservationId: "r1"}); err != nil {
		t.Error(err)
	}
	r, err := s.GetReservation(staff, &inventoryv1.GetReservationRequest{ReservationId: "r1"})
	if err != nil || r.GetState() != inventoryv1.ReservationState_CONFIRMED || len(r.GetLines()) != 1 || r.GetLines()[0].GetSku() != "P001" {
		t.Errorf("reservation %v, %v", r, err)
	}
	_, err = s.Restock(ctx, &inventoryv1.RestockRequest{ReturnId: "b1", Lines: r.GetLines()})
	if err != nil {
		t.Error(err)
	}
	var kinds []inventoryv1.MovementKind
	req := &inventoryv1.ListMovementsRequest{Sku: "p001", PageSize: 1}
	for {
		part, err := s.ListMovements(staff, req)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range part.GetMovements() {
			kinds = append(kinds, m.GetKind())
		}
		if req.PageToken = part.GetNextPageToken(); req.GetPageToken() == "" {
			break
		}
	}
	want := []inventoryv1.MovementKind{
		inventoryv1.MovementKind_RESTOCKED, inventoryv1.MovementKind_SOLD, inventoryv1.MovementKind_RESERVED, inventoryv1.MovementKind_INITIAL,
	}
	if !slices.Equal(kinds, want) {
		t.Errorf("movements %v", kinds)
	}
	_, err = s.Reserve(ctx, reserve("r2", "P001", 10_000))
	if e := rpc.FromError(err); !warrentest.Refused(err, inventoryv1.Reason_OUT_OF_STOCK) || e.Metadata["sku"] != "P001" || e.Code != codes.FailedPrecondition {
		t.Errorf("too much: %v", err)
	}
}

// branch returns a context whose call is a step of a transaction.
func branch(ctx context.Context, t *testing.T, gid string, op txnv1.Op) context.Context {
	t.Helper()
	ctx, err := barrier.Outgoing(ctx, &txnv1.Branch{Gid: gid, Branch: "stock", Op: op, Epoch: 1, CreateTime: timestamppb.Now()})
	if err != nil {
		t.Fatal(err)
	}
	return ctx
}

// As steps of transactions the methods may come twice, late and never.
func (s *shop) testBranches(ctx context.Context, t *testing.T) {
	before := firstStock("P005")
	has := func(onHand, reserved int64) {
		t.Helper()
		got, err := s.GetStock(ctx, &inventoryv1.GetStockRequest{Sku: "P005"})
		if err != nil || got.GetOnHand() != onHand || got.GetReserved() != reserved {
			t.Errorf("stock %v, %v; want %d and %d", got, err, onHand, reserved)
		}
	}
	do := func(gid string, op txnv1.Op, call func(context.Context) error) error {
		return errors.Join(call(branch(ctx, t, gid, op)), call(branch(ctx, t, gid, op)))
	}
	take := func(id string, quantity int32) func(context.Context) error {
		return func(ctx context.Context) error { _, err := s.Reserve(ctx, reserve(id, "P005", quantity)); return err }
	}
	give := func(id string) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := s.Release(ctx, &inventoryv1.ReleaseRequest{ReservationId: id})
			return err
		}
	}
	sell := func(id string) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := s.Confirm(ctx, &inventoryv1.ConfirmRequest{ReservationId: id})
			return err
		}
	}
	if err := do("g1", txnv1.Op_OP_ACTION, take("g1", 3)); err != nil {
		t.Error(err)
	}
	has(before, 3)
	if err := do("g1", txnv1.Op_OP_COMPENSATE, give("g1")); err != nil {
		t.Error(err)
	}
	has(before, 0)
	if err := do("g2", txnv1.Op_OP_COMPENSATE, give("g2")); err != nil {
		t.Errorf("compensate nothing: %v", err)
	}
	if err := take("g2", 3)(branch(ctx, t, "g2", txnv1.Op_OP_ACTION)); err == nil {
		t.Error("an action took effect after its compensation")
	}
	has(before, 0)
	if err := errors.Join(do("g3", txnv1.Op_OP_TRY, take("g3", 3)), do("g3", txnv1.Op_OP_CONFIRM, sell("g3"))); err != nil {
		t.Error(err)
	}
	has(before-3, 0)
	var trailer metadata.MD
	_, err := s.Reserve(branch(ctx, t, "g4", txnv1.Op_OP_ACTION), reserve("g4", "P005", 10_000), grpc.Trailer(&trailer))
	var outcome txnv1.Outcome
	if said := trailer.Get(barrier.MetadataOutcome); len(said) != 1 || proto.Unmarshal([]byte(said[0]), &outcome) != nil ||
		outcome.GetKind() != txnv1.Outcome_KIND_FAILURE || !warrentest.Refused(err, inventoryv1.Reason_OUT_OF_STOCK) {
		t.Errorf("too much: %v, %v", &outcome, err)
	}
	has(before-3, 0)
}

func (s *shop) testKey(staff context.Context, t *testing.T) {
	keyed := metadata.AppendToOutgoingContext(staff, rpc.MetadataIdempotencyKey, "delivery-7")
	for range 2 {
		got, err := s.AdjustStock(keyed, &inventoryv1.AdjustStockRequest{Sku: "P006", Delta: 5, Reason: "delivery"})
		if err != nil || got.GetOnHand() != firstStock("P006")+5 {
			t.Errorf("got %v, %v", got, err)
		}
	}
	_, err := s.AdjustStock(keyed, &inventoryv1.AdjustStockRequest{Sku: "P006", Delta: 6, Reason: "delivery"})
	if err == nil {
		t.Error("a key means two things")
	}
}

func (s *shop) testExpiry(ctx context.Context, t *testing.T) {
	req := reserve("short", "P002", 5)
	req.ExpireTime = timestamppb.New(time.Now().Add(200 * time.Millisecond))
	if _, err := s.Reserve(ctx, req); err != nil {
		t.Fatal(err)
	}
	// The event tells when it is given back.
	for {
		select {
		case e := <-s.told:
			if e.GetSku() == "P002" && e.GetVersion() == 3 {
				if e.GetAvailable() != firstStock("P002") {
					t.Errorf("told %v", e)
				}
				return
			}
		case <-ctx.Done():
			t.Fatal("it did not expire")
		}
	}
}

func (s *shop) testEvents(staff context.Context, t *testing.T) {
	adjusted, err := s.AdjustStock(staff, &inventoryv1.AdjustStockRequest{Sku: "new", Delta: 7, Reason: "delivery"})
	if err != nil || adjusted.GetSku() != "NEW" || adjusted.GetAvailable() != 7 {
		t.Fatalf("adjust: %v, %v", adjusted, err)
	}
	for {
		select {
		case e := <-s.told:
			if e.GetSku() == "NEW" {
				if e.GetAvailable() != 7 || e.GetVersion() != 1 {
					t.Errorf("told %v", e)
				}
				return
			}
		case <-staff.Done():
			t.Fatal("nobody was told")
		}
	}
}

func (s *shop) testAccess(ctx context.Context, t *testing.T) {
	outside := inventoryv1.NewInventoryServiceClient(s.Client())
	customer := s.As(ctx, "u2", "customer")
	for name, call := range map[string]func(context.Context) error{
		"list": func(ctx context.Context) error {
			_, err := outside.ListStock(ctx, &inventoryv1.ListStockRequest{})
			return err
		},
		"adjust": func(ctx context.Context) error {
			_, err := outside.AdjustStock(ctx, &inventoryv1.AdjustStockRequest{Sku: "P001", Delta: 1, Reason: "gift"})
			return err
		},
		"movements": func(ctx context.Context) error {
			_, err := outside.ListMovements(ctx, &inventoryv1.ListMovementsRequest{Sku: "P001"})
			return err
		},
		"audit": func(ctx context.Context) error {
			_, err := outside.AuditStock(ctx, &inventoryv1.AuditStockRequest{})
			return err
		},
		"reservation": func(ctx context.Context) error {
			_, err := outside.GetReservation(ctx, &inventoryv1.GetReservationRequest{ReservationId: "r1"})
			return err
		},
	} {
		if err := call(customer); warrentest.Code(err) != codes.PermissionDenied {
			t.Errorf("%s as a customer: %v", name, err)
		}
		if err := call(ctx); warrentest.Code(err) != codes.Unauthenticated {
			t.Errorf("%s as nobody: %v", name, err)
		}
	}
}

func (s *shop) testContract(ctx, staff context.Context, t *testing.T) {
	many := &inventoryv1.ReserveRequest{ReservationId: "many"}
	for range 101 {
		many.Lines = append(many.Lines, &inventoryv1.Line{Sku: "P001", Quantity: 1})
	}
	far := reserve("far", "P001", 1)
	far.ExpireTime = timestamppb.New(time.Now().Add(8 * 24 * time.Hour))
	for name, req := range map[string]*inventoryv1.ReserveRequest{
		"nothing": reserve("r", "P001", 0), "less than nothing": reserve("r", "P001", -1), "too much": reserve("r", "P001", 10_001),
		"no name": reserve("", "P001", 1), "a long name": reserve(strings.Repeat("x", 129), "P001", 1), "a code with a space": reserve("r", "a b", 1),
		"no lines": {ReservationId: "r"}, "too many lines": many, "too long": far,
	} {
		if _, err := s.Reserve(ctx, req); warrentest.Code(err) != codes.InvalidArgument {
			t.Errorf("reserve %s: %v", name, err)
		}
	}
	for name, req := range map[string]*inventoryv1.AdjustStockRequest{
		"by nothing": {Sku: "P001", Reason: "x"}, "without a reason": {Sku: "P001", Delta: 1}, "by too much": {Sku: "P001", Delta: 1_000_001, Reason: "x"},
	} {
		if _, err := s.AdjustStock(staff, req); warrentest.Code(err) != codes.InvalidArgument {
			t.Errorf("adjust %s: %v", name, err)
		}
	}
	_, err := s.ListMovements(staff, &inventoryv1.ListMovementsRequest{Sku: "P001", PageToken: "abc"})
	if !warrentest.Refused(err, inventoryv1.Reason_BAD_PAGE_TOKEN) {
		t.Errorf("a token made up: %v", err)
	}
	_, err = s.ListMovements(staff, &inventoryv1.ListMovementsRequest{Sku: "NEVER"})
	if warrentest.Code(err) != codes.NotFound {
		t.Errorf("movements of nothing: %v", err)
	}
}

func (s *shop) testHTTP(ctx context.Context, t *testing.T) {
	gateway := s.Gateway()
	status := func(method, path, body, token string) int {
		req, err := http.NewRequestWithContext(ctx, method, gateway+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(resp.Body.Close()); err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode
	}
	staff, customer := s.Token("u1", "staff"), s.Token("u2", "customer")
	for _, c := range []struct {
		method, path, body, token string
		want                      int
	}{
		{"GET", "/v1/stock/P001", "", "", http.StatusOK},
		{"GET", "/v1/stock/NEVER", "", "", http.StatusNotFound},
		{"POST", "/v1/stock/P003:adjust", `{"delta": 1, "reason": "found"}`, staff, http.StatusOK},
		{"POST", "/v1/stock/P003:adjust", `{"delta": 1, "reason": "found"}`, customer, http.StatusForbidden},
		{"POST", "/v1/stock/P003:adjust", `{"delta": 1, "reason": "found"}`, "", http.StatusUnauthorized},
		{"GET", "/v1/stock/P003/movements", "", staff, http.StatusOK},
		{"GET", "/v1/stock:audit", "", staff, http.StatusOK},
		{"POST", "/shop.inventory.v1.InventoryService/Reserve", `{}`, staff, http.StatusNotFound},
	} {
		if got := status(c.method, c.path, c.body, c.token); got != c.want {
			t.Errorf("%s %s: %d; want %d", c.method, c.path, got, c.want)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}
