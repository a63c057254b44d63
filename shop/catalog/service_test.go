package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/rpc"
	catalogv1 "github.com/gowarren/warren/shop/api/shop/catalog/v1"
	moneyv1 "github.com/gowarren/warren/shop/api/shop/money/v1"
	"github.com/gowarren/warren/store/storetest"
	"github.com/gowarren/warren/warrentest"
)

// code returns the status code of an answer.

func newMug(sku string) *catalogv1.CreateProductRequest {
	return &catalogv1.CreateProductRequest{Sku: sku, Name: "Mug", Category: "Mugs", Price: gbp(255)}
}

func TestTheLifeOfAProduct(t *testing.T) {
	s := served(t, nil)
	staff, anybody := s.as(t, "staff"), t.Context()

	made, err := s.CreateProduct(staff, newMug("85123a"))
	if err != nil {
		t.Fatal(err)
	}
	if made.GetSku() != "85123A" || made.GetVersion() != 1 || made.GetPrice().GetMinorUnits() != 255 || made.GetCreateTime() == nil {
		t.Errorf("created %v", made)
	}
	if _, err := s.CreateProduct(staff, newMug("85123A")); !warrentest.Refused(err, catalogv1.Reason_PRODUCT_EXISTS) {
		t.Errorf("create again: %v", err)
	}
	got, err := s.GetProduct(anybody, &catalogv1.GetProductRequest{Sku: "85123a"})
	if err != nil || !proto.Equal(got, made) {
		t.Errorf("got %v, %v", got, err)
	}
	changed, err := s.UpdateProduct(staff, &catalogv1.UpdateProductRequest{
		Product: &catalogv1.Product{Sku: "85123A", Version: 1, Description: "white", Price: gbp(300)},
	})
	if err != nil || changed.GetVersion() != 2 || changed.GetName() != "Mug" || changed.GetDescription() != "white" || changed.GetPrice().GetMinorUnits() != 300 {
		t.Errorf("changed %v, %v", changed, err)
	}
	if got, err := s.GetProduct(anybody, &catalogv1.GetProductRequest{Sku: "85123A"}); err != nil || !proto.Equal(got, changed) {
		t.Errorf("after the change got %v, %v", got, err)
	}
	if _, err := s.DeleteProduct(staff, &catalogv1.DeleteProductRequest{Sku: "85123A", Version: 1}); warrentest.Code(err) != codes.Aborted {
		t.Errorf("delete an old version: %v", err)
	}
	if _, err := s.DeleteProduct(staff, &catalogv1.DeleteProductRequest{Sku: "85123A", Version: 2}); err != nil {
		t.Error(err)
	}
	if _, err := s.GetProduct(anybody, &catalogv1.GetProductRequest{Sku: "85123A"}); !warrentest.Refused(err, catalogv1.Reason_PRODUCT_NOT_FOUND) || warrentest.Code(err) != codes.NotFound {
		t.Errorf("after the deletion: %v", err)
	}
}

func TestProductsOfSeveralCodes(t *testing.T) {
	s := served(t, nil)
	staff := s.as(t, "staff")
	for _, sku := range []string{"A1", "B2", "C3"} {
		if _, err := s.CreateProduct(staff, newMug(sku)); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ ask, want []string }{
		{[]string{"c3", "A1"}, []string{"C3", "A1"}},
		{[]string{"B2", "NONE", "b2", "A1"}, []string{"B2", "A1"}},
		{[]string{"NONE"}, nil},
	} {
		resp, err := s.BatchGetProducts(t.Context(), &catalogv1.BatchGetProductsRequest{Skus: c.ask})
		var got []string
		for _, p := range resp.GetProducts() {
			got = append(got, p.GetSku())
		}
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%v: got %v, %v; want %v", c.ask, got, err, c.want)
		}
	}
	for _, bad := range [][]string{nil, {"a b"}, make([]string, 101)} {
		if _, err := s.BatchGetProducts(t.Context(), &catalogv1.BatchGetProductsRequest{Skus: bad}); warrentest.Code(err) != codes.InvalidArgument {
			t.Errorf("%v: %v", bad, err)
		}
	}
}

func TestAnAbsentProductThatIsCreatedIsSeenAtOnce(t *testing.T) {
	s := served(t, nil)
	get := func() error {
		_, err := s.GetProduct(t.Context(), &catalogv1.GetProductRequest{Sku: "A1"})
		return err
	}
	if err := get(); warrentest.Code(err) != codes.NotFound {
		t.Fatal(err)
	}
	if _, err := s.CreateProduct(s.as(t, "admin"), newMug("A1")); err != nil {
		t.Fatal(err)
	}
	if err := get(); err != nil {
		t.Errorf("the absence is still remembered: %v", err)
	}
}

func TestWritingIsForStaff(t *testing.T) {
	s := served(t, nil)
	s.fill(t, mug("A1"))
	calls := map[string]func(t *testing.T, roles ...string) error{
		"create": func(t *testing.T, roles ...string) error {
			_, err := s.CreateProduct(s.as(t, roles...), newMug("A2"))
			return err
		},
		"update": func(t *testing.T, roles ...string) error {
			_, err := s.UpdateProduct(s.as(t, roles...), &catalogv1.UpdateProductRequest{Product: &catalogv1.Product{Sku: "A1", Version: 1, Name: "x"}})
			return err
		},
		"delete": func(t *testing.T, roles ...string) error {
			_, err := s.DeleteProduct(s.as(t, roles...), &catalogv1.DeleteProductRequest{Sku: "A1"})
			return err
		},
		"import": func(t *testing.T, roles ...string) error {
			stream, err := s.ImportProducts(s.as(t, roles...))
			if err != nil {
				return err
			}
			_, err = stream.CloseAndRecv()
			return err
		},
	}
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			if err := call(t, "customer"); warrentest.Code(err) != codes.PermissionDenied {
				t.Errorf("a customer: %v", err)
			}
			if err := call(t); warrentest.Code(err) != codes.PermissionDenied {
				t.Errorf("nobody in particular: %v", err)
			}
		})
	}
	if _, err := s.CreateProduct(t.Context(), newMug("A3")); warrentest.Code(err) != codes.Unauthenticated {
		t.Errorf("without a token: %v", err)
	}
	if p, err := s.products.get(t.Context(), "A1"); err != nil || p.version != 1 {
		t.Errorf("A1 is %+v, %v", p, err)
	}
}

func TestRequestsAgainstTheContract(t *testing.T) {
	s := served(t, nil)
	s.fill(t, mug("A1"))
	staff := s.as(t, "staff")
	spoilt := func(spoil func(*catalogv1.CreateProductRequest)) error {
		req := newMug("B1")
		spoil(req)
		_, err := s.CreateProduct(staff, req)
		return err
	}
	list := func(req *catalogv1.ListProductsRequest) error {
		_, err := s.ListProducts(staff, req)
		return err
	}
	update := func(p *catalogv1.Product, mask ...string) error {
		_, err := s.UpdateProduct(staff, &catalogv1.UpdateProductRequest{Product: p, UpdateMask: &fieldmaskpb.FieldMask{Paths: mask}})
		return err
	}
	_, longQuery := s.SearchProducts(staff, &catalogv1.SearchProductsRequest{Query: strings.Repeat("x", 201)})
	_, badSKU := s.GetProduct(staff, &catalogv1.GetProductRequest{Sku: "a b"})
	negative := int64(-1)
	for name, c := range map[string]struct {
		err   error
		field string
	}{
		"a price of nothing":        {spoilt(func(r *catalogv1.CreateProductRequest) { r.Price = gbp(0) }), "price"},
		"a negative price":          {spoilt(func(r *catalogv1.CreateProductRequest) { r.Price = gbp(-5) }), "price"},
		"an unreal price":           {spoilt(func(r *catalogv1.CreateProductRequest) { r.Price = gbp(1 << 62) }), "price.minor_units"},
		"no price":                  {spoilt(func(r *catalogv1.CreateProductRequest) { r.Price = nil }), "price"},
		"an unknown currency":       {spoilt(func(r *catalogv1.CreateProductRequest) { r.Price.CurrencyCode = "ABC" }), "price.currency_code"},
		"no currency":               {spoilt(func(r *catalogv1.CreateProductRequest) { r.Price = &moneyv1.Money{MinorUnits: 1} }), "price.currency_code"},
		"no name":                   {spoilt(func(r *catalogv1.CreateProductRequest) { r.Name = "" }), "name"},
		"an invisible name":         {spoilt(func(r *catalogv1.CreateProductRequest) { r.Name = "\u200b" }), "name"},
		"a long name":               {spoilt(func(r *catalogv1.CreateProductRequest) { r.Name = strings.Repeat("x", 201) }), "name"},
		"a page too large":          {list(&catalogv1.ListProductsRequest{PageSize: 1_000_000_000}), "page_size"},
		"a negative page":           {list(&catalogv1.ListProductsRequest{PageSize: -1}), "page_size"},
		"a token made up":           {list(&catalogv1.ListProductsRequest{PageToken: "abc"}), "page_token"},
		"a token too long":          {list(&catalogv1.ListProductsRequest{PageToken: strings.Repeat("A", 1025)}), "page_token"},
		"a negative filter":         {list(&catalogv1.ListProductsRequest{MinPrice: &negative}), "min_price"},
		"a long query":              {longQuery, "query"},
		"a code with a space":       {badSKU, "sku"},
		"a mask with a time":        {update(&catalogv1.Product{Sku: "A1", Version: 1, Name: "x"}, "name", "create_time"), "update_mask"},
		"a mask of the version":     {update(&catalogv1.Product{Sku: "A1", Version: 1}, "version"), "update_mask"},
		"an update of nothing":      {update(&catalogv1.Product{Sku: "A1", Version: 1}), "update_mask"},
		"a name emptied":            {update(&catalogv1.Product{Sku: "A1", Version: 1}, "name"), "name"},
		"an update without version": {update(&catalogv1.Product{Sku: "A1", Name: "x"}, "name"), "product"},
	} {
		t.Run(name, func(t *testing.T) {
			e := rpc.FromError(c.err)
			if e == nil || e.Code != codes.InvalidArgument {
				t.Fatalf("got %v", c.err)
			}
			if len(e.Violations) == 0 || e.Violations[0].Field != c.field {
				t.Errorf("got %v; want a violation of %s", e.Violations, c.field)
			}
		})
	}
	if p, err := s.products.get(t.Context(), "A1"); err != nil || p.version != 1 {
		t.Errorf("A1 is %+v, %v", p, err)
	}
}

// A client sends what only the service may say: the service's values win.
func TestMassAssignment(t *testing.T) {
	s := served(t, nil)
	s.fill(t, mug("A1"))
	old, err := s.products.get(t.Context(), "A1")
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.UpdateProduct(s.as(t, "staff"), &catalogv1.UpdateProductRequest{
		Product: &catalogv1.Product{Sku: "A1", Version: 1, Name: "New", CreateTime: &timestamppb.Timestamp{}, UpdateTime: &timestamppb.Timestamp{}},
	})
	if err != nil || got.GetVersion() != 2 || !got.GetCreateTime().AsTime().Equal(old.created) || got.GetUpdateTime().GetSeconds() == 0 {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestPagesMissNothingAndEnd(t *testing.T) {
	s := served(t, nil)
	s.fill(t, numbered(23)...)
	var got []string
	req := &catalogv1.ListProductsRequest{PageSize: 5, Category: "Kitchen and Table"}
	for {
		page, err := s.ListProducts(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range page.GetProducts() {
			got = append(got, p.GetSku())
		}
		if req.PageToken = page.GetNextPageToken(); req.GetPageToken() == "" {
			break
		}
		if len(page.GetProducts()) != 5 {
			t.Fatalf("a page of %d", len(page.GetProducts()))
		}
	}
	if len(got) != 23 || got[0] != "SKU001" || got[22] != "SKU023" {
		t.Errorf("got %d: %v", len(got), got)
	}
}

func TestATokenContinuesItsOwnQueryOnly(t *testing.T) {
	s := served(t, nil)
	s.fill(t, numbered(10)...)
	first, err := s.ListProducts(t.Context(), &catalogv1.ListProductsRequest{PageSize: 3})
	if err != nil {
		t.Fatal(err)
	}
	token := first.GetNextPageToken()
	most := int64(500)
	for name, req := range map[string]*catalogv1.ListProductsRequest{
		"other category": {PageToken: token, Category: "Mugs"},
		"other price":    {PageToken: token, MaxPrice: &most},
	} {
		if _, err := s.ListProducts(t.Context(), req); !warrentest.Refused(err, catalogv1.Reason_BAD_PAGE_TOKEN) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := s.SearchProducts(t.Context(), &catalogv1.SearchProductsRequest{Query: "mug", PageToken: token}); !warrentest.Refused(err, catalogv1.Reason_BAD_PAGE_TOKEN) {
		t.Errorf("a search: %v", err)
	}
	// Another size of the page is the same query.
	if next, err := s.ListProducts(t.Context(), &catalogv1.ListProductsRequest{PageSize: 7, PageToken: token}); err != nil || len(next.GetProducts()) != 7 || next.GetNextPageToken() != "" {
		t.Errorf("got %v, %v", next, err)
	}
}

func TestSearchOverTheWire(t *testing.T) {
	s := served(t, nil)
	s.fill(t, numbered(30)...)
	seen := map[string]bool{}
	req := &catalogv1.SearchProductsRequest{Query: "mug"}
	for {
		page, err := s.SearchProducts(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range page.GetProducts() {
			seen[p.GetSku()] = true
		}
		if req.PageToken = page.GetNextPageToken(); req.GetPageToken() == "" {
			break
		}
	}
	if len(seen) != 30 {
		t.Errorf("found %d of 30", len(seen))
	}
}

func TestCategories(t *testing.T) {
	s := served(t, nil)
	s.fill(t, numbered(3)...)
	got, err := s.ListCategories(t.Context(), &catalogv1.ListCategoriesRequest{})
	if err != nil || len(got.GetCategories()) != 1 || got.GetCategories()[0].GetProductCount() != 3 {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := s.CreateProduct(s.as(t, "staff"), newMug("X1")); err != nil {
		t.Fatal(err)
	}
	if got, err = s.ListCategories(t.Context(), &catalogv1.ListCategoriesRequest{}); err != nil || len(got.GetCategories()) != 2 {
		t.Errorf("after a change got %v, %v", got, err)
	}
}

func TestOtherInstancesForgetWhatChanged(t *testing.T) {
	wire, address := newLine(), storetest.SQLite(t)
	a := servedFrom(t, opened(t, address), wire.end())
	b := servedFrom(t, opened(t, address), wire.end())
	a.fill(t, mug("A1"))
	read := func() (name string, listed int) {
		p, err := b.GetProduct(t.Context(), &catalogv1.GetProductRequest{Sku: "A1"})
		if err != nil {
			t.Fatal(err)
		}
		l, err := b.ListProducts(t.Context(), &catalogv1.ListProductsRequest{})
		if err != nil {
			t.Fatal(err)
		}
		return p.GetName(), len(l.GetProducts())
	}
	if name, n := read(); name != "Mug A1" || n != 1 {
		t.Fatalf("got %s, %d", name, n)
	}
	if _, err := a.UpdateProduct(a.as(t, "staff"), &catalogv1.UpdateProductRequest{Product: &catalogv1.Product{Sku: "A1", Version: 1, Name: "New"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := a.CreateProduct(a.as(t, "staff"), newMug("A2")); err != nil {
		t.Fatal(err)
	}
	if name, n := read(); name != "New" || n != 2 {
		t.Errorf("the other instance still has %s, %d", name, n)
	}
}

// slow is a line to other instances, one of which hangs: what is published
// arrives at the rest, and takes as long as it may.
type slow struct {
	mu   sync.Mutex
	told []string
}

func (s *slow) Publish(ctx context.Context, cache string, _ []string) error {
	if ctx.Err() == nil {
		s.mu.Lock()
		s.told = append(s.told, cache)
		s.mu.Unlock()
	}
	<-ctx.Done()
	return ctx.Err()
}

func (s *slow) Subscribe(string, func([]string)) func() { return func() {} }

func TestAnInstanceThatHangsKeepsTheOthersFromNothing(t *testing.T) {
	peers := &slow{}
	hot, err := newHot(opened(t, storetest.SQLite(t)), nil, peers)
	if err != nil {
		t.Fatal(err)
	}
	defer hot.close()
	if err := hot.changed(t.Context(), "A1"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v; want to be told", err)
	}
	slices.Sort(peers.told)
	if got := strings.Join(peers.told, " "); got != "categories product_lists products" {
		t.Errorf("the others heard of %q only", got)
	}
}

func TestReadsSurviveTheDatabase(t *testing.T) {
	s := served(t, nil)
	s.fill(t, numbered(3)...)
	ask := func() error {
		_, err1 := s.GetProduct(t.Context(), &catalogv1.GetProductRequest{Sku: "SKU001"})
		_, err2 := s.ListProducts(t.Context(), &catalogv1.ListProductsRequest{})
		return errors.Join(err1, err2)
	}
	if err := ask(); err != nil {
		t.Fatal(err)
	}
	if err := s.products.db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := ask(); err != nil {
		t.Errorf("with the database away: %v", err)
	}
}

func send(t *testing.T, s *shop, rows ...*catalogv1.ImportProductsRequest) (*catalogv1.ImportProductsResponse, error) {
	t.Helper()
	stream, err := s.ImportProducts(s.as(t, "staff"))
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		if err := stream.Send(row); err != nil {
			break // the answer says why
		}
	}
	return stream.CloseAndRecv()
}

func importRow(line int, sku, price string) *catalogv1.ImportProductsRequest {
	return &catalogv1.ImportProductsRequest{Line: int64(line), Sku: sku, Name: "Mug " + sku, Price: price, CurrencyCode: "GBP"}
}

func TestImportOverTheWire(t *testing.T) {
	s := served(t, nil)
	var rows []*catalogv1.ImportProductsRequest
	for n := range 250 { // three batches
		rows = append(rows, importRow(n+1, fmt.Sprintf("S%03d", n), "1.99"))
	}
	rows = append(rows, importRow(251, "POST", "18"), importRow(252, "S000", "1.99"), importRow(253, "s001", "2.99"), importRow(254, "S999", "0"), importRow(255, "a b", "1"))
	got, err := send(t, s, rows...)
	if err != nil || got.GetRows() != 255 || got.GetCreated() != 250 || got.GetUnchanged() != 1 || got.GetRefused() != 4 {
		t.Fatalf("got %v, %v", got, err)
	}
	want := []catalogv1.Reason{catalogv1.Reason_NOT_GOODS, catalogv1.Reason_REPEATED_SKU, catalogv1.Reason_BAD_PRICE, catalogv1.Reason_BAD_SKU}
	for i, refused := range got.GetRefusals() {
		if refused.GetReason() != want[i] || refused.GetMessage() == "" || refused.GetLine() < 251 {
			t.Errorf("refusal %d: %v", i, refused)
		}
	}
	// The same once more adds nothing; one other price changes one product.
	rows[7] = importRow(8, "S007", "7.77")
	if got, err = send(t, s, rows...); err != nil || got.GetCreated() != 0 || got.GetUpdated() != 1 || got.GetUnchanged() != 250 {
		t.Errorf("again: got %v, %v", got, err)
	}
	if p, err := s.GetProduct(t.Context(), &catalogv1.GetProductRequest{Sku: "S007"}); err != nil || p.GetPrice().GetMinorUnits() != 777 {
		t.Errorf("S007 is %v, %v", p, err)
	}
}

func TestAnImportOfNothing(t *testing.T) {
	if got, err := send(t, served(t, nil)); err != nil || got.GetRows() != 0 {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestAnImportHasAnEnd(t *testing.T) {
	s := served(t, nil)
	settings, err := config.New(config.Options{File: config.FileLayer{Entries: []config.FileEntry{{Name: "catalog.import.max_rows", Value: "3"}}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(settings.Close)
	s.service.rows = maxRows(settings)
	_, err = send(t, s, importRow(1, "A1", "1"), importRow(2, "A2", "1"), importRow(3, "A3", "1"), importRow(4, "A4", "1"))
	if warrentest.Code(err) != codes.ResourceExhausted || !warrentest.Refused(err, catalogv1.Reason_TOO_MANY_ROWS) || !strings.Contains(err.Error(), "at most 3 rows") {
		t.Errorf("got %v", err)
	}
	if got, err := s.products.list(t.Context(), filter{}, "", 10); err != nil || skusOf(got) != "A1 A2 A3" {
		t.Errorf("kept %v, %v", skusOf(got), err)
	}
}
