package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gowarren/warren"
	"github.com/gowarren/warren/rpc"
	cartv1 "github.com/gowarren/warren/shop/api/shop/cart/v1"
	catalogv1 "github.com/gowarren/warren/shop/api/shop/catalog/v1"
	moneyv1 "github.com/gowarren/warren/shop/api/shop/money/v1"
	"github.com/gowarren/warren/warrentest"
)

// catalogue stands for the catalog: it has all products whose codes begin with
// P, and may be away.
type catalogue struct {
	catalogv1.UnimplementedCatalogServiceServer
	away  atomic.Bool
	asked atomic.Int64
}

func (c *catalogue) BatchGetProducts(_ context.Context, req *catalogv1.BatchGetProductsRequest) (*catalogv1.BatchGetProductsResponse, error) {
	c.asked.Add(1)
	if c.away.Load() {
		return nil, status.Error(codes.Unavailable, "away")
	}
	resp := &catalogv1.BatchGetProductsResponse{}
	for _, sku := range req.GetSkus() {
		if strings.HasPrefix(sku, "P") {
			resp.Products = append(resp.Products, &catalogv1.Product{Sku: sku, Name: "Mug", Price: &moneyv1.Money{CurrencyCode: "GBP", MinorUnits: 255}})
		}
	}
	return resp, nil
}

// shop is a system with a cart service.
type shop struct {
	*warrentest.System
	cartv1.CartServiceClient
	catalogue catalogue
}

func TestCartsInASystem(t *testing.T) {
	s := &shop{System: warrentest.New(t)}
	s.Run("catalog", func(_ context.Context, app *warren.App) error {
		catalogv1.RegisterCatalogServiceServer(app, &s.catalogue)
		return nil
	})
	s.Run("cart", setup)
	s.CartServiceClient = cartv1.NewCartServiceClient(s.Client())
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	t.Run("a user's cart", func(t *testing.T) { s.testUser(ctx, t) })
	t.Run("a visitor's cart", func(t *testing.T) { s.testVisitor(ctx, t) })
	t.Run("the catalogue is asked once for a cart", func(t *testing.T) { s.testAskedOnce(ctx, t) })
	t.Run("without the catalogue", func(t *testing.T) { s.testDegraded(ctx, t) })
	t.Run("requests against the contract", func(t *testing.T) { s.testContract(ctx, t) })
	t.Run("over HTTP", func(t *testing.T) { s.testHTTP(ctx, t) })
}

func put(version int64, lines ...*cartv1.Line) *cartv1.PutCartRequest {
	return &cartv1.PutCartRequest{Version: version, Lines: lines}
}

func (s *shop) testUser(ctx context.Context, t *testing.T) {
	laptop, phone, bob := s.As(ctx, "ada", "customer"), s.As(ctx, "ada", "customer"), s.As(ctx, "bob", "customer")
	empty, err := s.GetCart(laptop, &cartv1.GetCartRequest{})
	if err != nil || empty.GetVersion() != 0 || len(empty.GetLines()) != 0 {
		t.Errorf("before: %v, %v", empty, err)
	}
	made, err := s.PutCart(laptop, put(0, &cartv1.Line{Sku: "p1", Quantity: 2}, &cartv1.Line{Sku: "P2", Quantity: 1}))
	if err != nil || made.GetTotal().GetMinorUnits() != 765 || made.GetCartToken() != "" || made.GetLines()[0].GetSku() != "P1" {
		t.Errorf("made %v, %v", made, err)
	}
	if seen, err := s.GetCart(phone, &cartv1.GetCartRequest{}); err != nil || seen.GetVersion() != 1 || len(seen.GetLines()) != 2 {
		t.Errorf("another device sees %v, %v", seen, err)
	}
	if seen, err := s.GetCart(bob, &cartv1.GetCartRequest{}); err != nil || seen.GetVersion() != 0 || len(seen.GetLines()) != 0 {
		t.Errorf("somebody else sees %v, %v", seen, err)
	}
	_, err = s.PutCart(phone, put(0))
	if e := rpc.FromError(err); !warrentest.Refused(err, cartv1.Reason_VERSION_CONFLICT) || e.Metadata["version"] != "1" || e.Code != codes.Aborted {
		t.Errorf("an old version: %v", err)
	}
	_, err = s.PutCart(phone, put(1, &cartv1.Line{Sku: "P1", Quantity: 1}, &cartv1.Line{Sku: "X1", Quantity: 1}))
	if e := rpc.FromError(err); !warrentest.Refused(err, cartv1.Reason_UNKNOWN_PRODUCT) || e.Violations[0].Field != "lines[1].sku" {
		t.Errorf("an unknown product: %v", err)
	}
	if _, err := s.DeleteCart(phone, &cartv1.DeleteCartRequest{}); err != nil {
		t.Error(err)
	}
	if seen, err := s.GetCart(laptop, &cartv1.GetCartRequest{}); err != nil || seen.GetVersion() != 2 || len(seen.GetLines()) != 0 {
		t.Errorf("emptied: %v, %v", seen, err)
	}
}

func (s *shop) testVisitor(ctx context.Context, t *testing.T) {
	made, err := s.PutCart(ctx, put(0, &cartv1.Line{Sku: "P1", Quantity: 2}))
	if err != nil || made.GetCartToken() == "" || made.GetVersion() != 1 {
		t.Fatalf("made %v, %v", made, err)
	}
	token := made.GetCartToken()
	change := put(1, &cartv1.Line{Sku: "P1", Quantity: 3})
	change.CartToken = token
	if changed, err := s.PutCart(ctx, change); err != nil || changed.GetVersion() != 2 || changed.GetCartToken() != "" {
		t.Errorf("changed %v, %v", changed, err)
	}
	read := &cartv1.ReadVisitorCartRequest{CartToken: token}
	if seen, err := s.ReadVisitorCart(ctx, read); err != nil || seen.GetVersion() != 2 || seen.GetTotal().GetMinorUnits() != 765 {
		t.Errorf("read %v, %v", seen, err)
	}
	for _, version := range []int64{0, 1} { // a token of one's own choice opens nothing
		own := put(version)
		own.CartToken = "mine"
		if _, err := s.PutCart(ctx, own); !warrentest.Refused(err, cartv1.Reason_CART_NOT_FOUND) {
			t.Errorf("a token made up: %v", err)
		}
	}

	eve := s.As(ctx, "eve", "customer")
	if _, err := s.PutCart(eve, put(0, &cartv1.Line{Sku: "P1", Quantity: 9_999})); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the answer was lost, say
		merged, err := s.MergeCart(eve, &cartv1.MergeCartRequest{CartToken: token})
		if err != nil || merged.GetCart().GetVersion() != 2 || merged.GetCart().GetLines()[0].GetQuantity() != 10_000 {
			t.Errorf("merged %v, %v", merged, err)
		}
	}
	if _, err := s.ReadVisitorCart(ctx, read); !warrentest.Refused(err, cartv1.Reason_CART_NOT_FOUND) {
		t.Errorf("the visitor's cart is still there: %v", err)
	}
	if _, err := s.MergeCart(ctx, &cartv1.MergeCartRequest{CartToken: token}); warrentest.Code(err) != codes.Unauthenticated {
		t.Errorf("a visitor merges: %v", err)
	}
	if _, err := s.GetCart(ctx, &cartv1.GetCartRequest{}); warrentest.Code(err) != codes.Unauthenticated {
		t.Errorf("a visitor reads a user's cart: %v", err)
	}
}

func (s *shop) testAskedOnce(ctx context.Context, t *testing.T) {
	var lines []*cartv1.Line
	for i := range 50 {
		lines = append(lines, &cartv1.Line{Sku: fmt.Sprintf("P9%02d", i), Quantity: 1})
	}
	before := s.catalogue.asked.Load()
	made, err := s.PutCart(s.As(ctx, "hal", "customer"), put(0, lines...))
	if err != nil || made.GetTotal().GetMinorUnits() != 50*255 {
		t.Errorf("made %v, %v", made, err)
	}
	if n := s.catalogue.asked.Load() - before; n != 1 {
		t.Errorf("the catalogue was asked %d times", n)
	}
}

func (s *shop) testDegraded(ctx context.Context, t *testing.T) {
	s.catalogue.away.Store(true)
	defer s.catalogue.away.Store(false)
	dan := s.As(ctx, "dan", "customer")
	made, err := s.PutCart(dan, put(0, &cartv1.Line{Sku: "P77", Quantity: 1}))
	if err != nil || made.GetLines()[0].GetPriceState() != cartv1.PriceState_UNKNOWN || made.GetTotal() != nil {
		t.Errorf("without the catalogue: %v, %v", made, err)
	}
	// P1 is known from before.
	made, err = s.PutCart(dan, put(1, &cartv1.Line{Sku: "P1", Quantity: 1}))
	if err != nil || made.GetTotal().GetMinorUnits() != 255 {
		t.Errorf("with an old price: %v, %v", made, err)
	}
}

func (s *shop) testContract(ctx context.Context, t *testing.T) {
	fay := s.As(ctx, "fay", "customer")
	var many []*cartv1.Line
	for range 51 {
		many = append(many, &cartv1.Line{Sku: "P1", Quantity: 1})
	}
	for name, req := range map[string]*cartv1.PutCartRequest{
		"nothing of it": put(0, &cartv1.Line{Sku: "P1"}), "less than nothing": put(0, &cartv1.Line{Sku: "P1", Quantity: -1}),
		"too much": put(0, &cartv1.Line{Sku: "P1", Quantity: 10_001}), "too many lines": put(0, many...), "a negative version": put(-1),
		"a product twice":      put(0, &cartv1.Line{Sku: "P1", Quantity: 1}, &cartv1.Line{Sku: "p1", Quantity: 1}),
		"a code with a space":  put(0, &cartv1.Line{Sku: "a b", Quantity: 1}),
		"a token that is long": {CartToken: strings.Repeat("x", 65)},
	} {
		if _, err := s.PutCart(fay, req); warrentest.Code(err) != codes.InvalidArgument {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func (s *shop) testHTTP(ctx context.Context, t *testing.T) {
	gateway := s.Gateway()
	do := func(method, path, body, token string) (int, map[string]any) {
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
		defer resp.Body.Close()
		var out map[string]any
		if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
			t.Errorf("%s %s: %v", method, path, err)
		}
		return resp.StatusCode, out
	}
	status, made := do("PUT", "/v1/cart", `{"lines": [{"sku": "P1", "quantity": 1}]}`, "")
	token, _ := made["cartToken"].(string)
	if status != http.StatusOK || token == "" {
		t.Fatalf("a visitor puts: %d, %v", status, made)
	}
	if status, seen := do("POST", "/v1/cart:readVisitor", `{"cartToken": "`+token+`"}`, ""); status != http.StatusOK || seen["version"] != "1" {
		t.Errorf("he reads: %d, %v", status, seen)
	}
	gil := s.Token("gil", "customer")
	if status, merged := do("POST", "/v1/cart:merge", `{"cartToken": "`+token+`"}`, gil); status != http.StatusOK {
		t.Errorf("he signs in: %d, %v", status, merged)
	}
	if status, seen := do("GET", "/v1/cart", "", gil); status != http.StatusOK || seen["version"] != "1" {
		t.Errorf("his cart: %d, %v", status, seen)
	}
	if status, seen := do("GET", "/v1/cart", "", ""); status != http.StatusUnauthorized {
		t.Errorf("nobody's cart: %d, %v", status, seen)
	}
	if status, seen := do("DELETE", "/v1/cart", "", gil); status != http.StatusOK {
		t.Errorf("he empties it: %d, %v", status, seen)
	}
	http.DefaultClient.CloseIdleConnections()
}
