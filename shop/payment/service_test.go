package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
	"github.com/gowarren/warren/rpc"
	paymentv1 "github.com/gowarren/warren/shop/api/shop/payment/v1"
	"github.com/gowarren/warren/txn/barrier"
	"github.com/gowarren/warren/warrentest"
)

func TestAnOrderIsPaid(t *testing.T) {
	s := started(t)
	s.wallet("ada", 0, 0) // before the first top-up
	body := map[string]any{
		"amount": map[string]any{"currencyCode": "GBP", "minorUnits": "10000"},
		"card":   map[string]any{"number": goodCard, "expiryMonth": 12, "expiryYear": 2099, "cvv": "987"},
	}
	status, answer := s.rest("POST", "/v1/wallet:topUp", "ada", "k1", body)
	if status != http.StatusOK {
		t.Fatalf("top up: %d %s", status, answer)
	}
	top := decoded(t, answer)
	if done := s.ended("ada", top.GetTopUpId()); done.GetState() != paymentv1.TopUpState_CONFIRMED || done.GetCardLastFour() != "4242" {
		t.Fatalf("top-up: %v", done)
	}
	s.wallet("ada", 10000, 0)
	status, answer = s.rest("POST", "/v1/wallet:topUp", "ada", "k1", body)
	if again := decoded(t, answer); status != http.StatusOK || again.GetTopUpId() != top.GetTopUpId() {
		t.Errorf("the same again: %d %s", status, answer)
	}
	if status, answer := s.rest("POST", "/v1/wallet:topUp", "ada", "k1", map[string]any{
		"amount": map[string]any{"currencyCode": "GBP", "minorUnits": "1"}, "card": body["card"],
	}); status != http.StatusUnprocessableEntity {
		t.Errorf("another top-up with the key: %d %s", status, answer)
	}
	if status, answer := s.rest("POST", "/v1/wallet:topUp", "ada", "", body); status != http.StatusBadRequest {
		t.Errorf("without a key: %d %s", status, answer)
	}

	ctx := t.Context()
	if _, err := s.Hold(ctx, &paymentv1.HoldRequest{PaymentId: "order-1", CustomerId: "ada", Amount: gbp(4000).message()}); err != nil {
		t.Fatal(err)
	}
	s.wallet("ada", 6000, 4000)
	got, err := s.Capture(ctx, &paymentv1.CaptureRequest{PaymentId: "order-1"})
	if err != nil || got.GetCaptured().GetMinorUnits() != 4000 {
		t.Fatal(got, err)
	}
	back, err := s.Refund(ctx, &paymentv1.RefundRequest{RefundId: "return-1", PaymentId: "order-1", Amount: gbp(1500).message()})
	if err != nil || back.GetRefunded().GetMinorUnits() != 1500 {
		t.Fatal(back, err)
	}
	s.wallet("ada", 7500, 0)
	p, err := s.GetPayment(ctx, &paymentv1.GetPaymentRequest{PaymentId: "order-1"})
	if err != nil || p.GetState() != paymentv1.PaymentState_PAYMENT_STATE_CAPTURED || p.GetRefunded().GetMinorUnits() != 1500 {
		t.Errorf("payment: %v, %v", p, err)
	}
	s.listed("ada", paymentv1.Account_AVAILABLE, "REFUND 1500 7500", "HOLD -4000 6000", "TOP_UP 10000 10000")
	s.listed("ada", paymentv1.Account_HELD, "CAPTURE -4000 0", "HOLD 4000 4000")
	s.verified()
}

// listed checks the entries of an account, read page by page.
func (s *shop) listed(user string, of paymentv1.Account, want ...string) {
	s.t.Helper()
	var got []string
	for token := ""; ; {
		resp, err := s.ListEntries(s.as(user), &paymentv1.ListEntriesRequest{Account: of, PageSize: 1, PageToken: token})
		if err != nil {
			s.t.Fatal(err)
		}
		for _, e := range resp.GetEntries() {
			got = append(got, fmt.Sprintf("%s %d %d", e.GetKind(), e.GetAmount().GetMinorUnits(), e.GetBalance().GetMinorUnits()))
		}
		if token = resp.GetNextPageToken(); token == "" {
			break
		}
	}
	if strings.Join(got, "; ") != strings.Join(want, "; ") {
		s.t.Errorf("entries of %s: %q; want %q", user, got, want)
	}
}

// TestCardsThatMisbehave tops up with every card of the simulator at once. The
// wallet has what the provider took, and nothing else, however the provider
// answered and how often it told.
func TestCardsThatMisbehave(t *testing.T) {
	s := started(t)
	good := map[string]bool{
		goodCard: true, "4000000000000119": true, "4000000000000341": true, "4000000000000077": true,
		"4000000000003220": true, "4000000000003055": true,
		"4000000000000002": false, "4000000000009995": false, "4000000000009987": false, "4000000000000069": false,
		"4000000000000127": false, "4000000000000101": false, "4000000000000259": false,
	}
	begun, want := map[string]*paymentv1.TopUpAnswer{}, int64(0)
	for number, approved := range good {
		begun[number] = s.topUp("ada", number, 1000)
		if begun[number].GetState() != paymentv1.TopUpState_PENDING {
			t.Errorf("%s: a top-up begins as %s", number, begun[number].GetState())
		}
		if approved {
			want += 1000
		}
	}
	for number, approved := range good {
		done := s.ended("ada", begun[number].GetTopUpId())
		state := paymentv1.TopUpState_DECLINED
		if approved {
			state = paymentv1.TopUpState_CONFIRMED
		}
		if done.GetState() != state || (done.GetDeclineReason() != "") == approved {
			t.Errorf("%s: %v", number, done)
		}
	}
	// Somebody tells again of all of them.
	for number := range good {
		if _, err := s.ReportCharge(t.Context(), &paymentv1.ReportChargeRequest{TopUpId: begun[number].GetTopUpId()}); err != nil {
			t.Errorf("%s: report: %v", number, err)
		}
	}
	s.wallet("ada", want, 0)
	s.verified()
}

// TestStepsOfTransactions calls the steps as a coordinator does, in the orders
// that only faults bring about.
func TestStepsOfTransactions(t *testing.T) {
	s := started(t)
	s.ended("ada", s.topUp("ada", goodCard, 1000).GetTopUpId())
	step := func(gid string, op txnv1.Op) context.Context {
		ctx, err := barrier.Outgoing(t.Context(), &txnv1.Branch{Gid: gid, Branch: "hold", Op: op})
		if err != nil {
			t.Fatal(err)
		}
		return ctx
	}
	hold := func(gid string, units int64) error {
		_, err := s.Hold(step(gid, txnv1.Op_OP_ACTION), &paymentv1.HoldRequest{PaymentId: gid, CustomerId: "ada", Amount: gbp(units).message()})
		return err
	}
	void := func(gid string) error {
		_, err := s.Void(step(gid, txnv1.Op_OP_COMPENSATE), &paymentv1.VoidRequest{PaymentId: gid})
		return err
	}
	for range 2 { // repeated
		if err := hold("t1", 400); err != nil {
			t.Fatal(err)
		}
	}
	s.wallet("ada", 600, 400)
	for range 2 {
		if err := void("t1"); err != nil {
			t.Fatal(err)
		}
	}
	s.wallet("ada", 1000, 0)
	if err := void("t2"); err != nil { // nothing was held
		t.Errorf("empty compensation: %v", err)
	}
	if err := hold("t2", 400); err == nil { // and it comes too late
		t.Error("held after it was compensated")
	}
	if err := hold("t3", 4000); !warrentest.Refused(err, paymentv1.Reason_INSUFFICIENT_FUNDS) {
		t.Errorf("too little money: %v", err)
	}
	if err := void("t3"); err != nil {
		t.Errorf("compensation of what was refused: %v", err)
	}
	s.wallet("ada", 1000, 0)
	s.verified()
}

// TestTheServiceIsStoppedWhileTheBankThinks: the next one asks, and learns it.
func TestTheServiceIsStoppedWhileTheBankThinks(t *testing.T) {
	s := started(t)
	late, lost := s.topUp("ada", "4000000000000077", 700), s.topUp("ada", "4000000000000119", 50)
	if err := s.service.Stop(); err != nil {
		t.Fatal(err)
	}
	s.service = s.sys.Run("payment", setup, "--data", s.data)
	for _, top := range []*paymentv1.TopUpAnswer{late, lost} {
		if done := s.ended("ada", top.GetTopUpId()); done.GetState() != paymentv1.TopUpState_CONFIRMED {
			t.Errorf("%v", done)
		}
	}
	s.wallet("ada", 750, 0)
	s.verified()
}

func TestWhoMayWhat(t *testing.T) {
	s := started(t)
	top := s.topUp("ada", goodCard, 1000)
	s.ended("ada", top.GetTopUpId())

	if _, err := s.GetTopUp(s.as("bob"), &paymentv1.GetTopUpRequest{TopUpId: top.GetTopUpId()}); !warrentest.Refused(err, paymentv1.Reason_TOP_UP_NOT_FOUND) {
		t.Errorf("top-up of somebody else: %v", err)
	}
	s.wallet("bob", 0, 0)
	page, err := s.ListEntries(s.as("ada"), &paymentv1.ListEntriesRequest{PageSize: 1})
	if err != nil {
		t.Fatal(err)
	}
	if page.GetNextPageToken() != "" {
		t.Errorf("a page after the last one")
	}
	s.topUp("ada", goodCard, 1)
	token := warrentest.Eventually(t, "a second page", func() (string, bool) {
		page, err := s.ListEntries(s.as("ada"), &paymentv1.ListEntriesRequest{PageSize: 1})
		if err != nil {
			t.Fatal(err)
		}
		return page.GetNextPageToken(), page.GetNextPageToken() != ""
	})
	if _, err := s.ListEntries(s.as("bob"), &paymentv1.ListEntriesRequest{PageSize: 1, PageToken: token}); !warrentest.Refused(err, paymentv1.Reason_BAD_PAGE_TOKEN) {
		t.Errorf("page of somebody else: %v", err)
	}
	if _, err := s.VerifyLedger(s.as("ada", "customer"), &paymentv1.VerifyLedgerRequest{}); rpc.FromError(err).Code != codes.PermissionDenied {
		t.Errorf("a customer verifies the books: %v", err)
	}
	for _, method := range []string{"Hold", "Void", "Capture", "Refund", "GetPayment", "ReportCharge"} {
		status, _ := s.rest("POST", "/shop.payment.v1.PaymentService/"+method, "ada", "", map[string]any{})
		if status != http.StatusNotFound && status != http.StatusForbidden {
			t.Errorf("%s is open to the world: %d", method, status)
		}
	}
}

func TestTopUpsThatAreRefused(t *testing.T) {
	s := started(t)
	for name, test := range map[string]struct {
		change func(*paymentv1.TopUpRequest)
		reason paymentv1.Reason
	}{
		"a digit is wrong": {func(r *paymentv1.TopUpRequest) { r.Card.Number = "4242424242424243" }, paymentv1.Reason_BAD_CARD},
		"expired":          {func(r *paymentv1.TopUpRequest) { r.Card.ExpiryYear = 2020 }, paymentv1.Reason_BAD_CARD},
		"nothing":          {func(r *paymentv1.TopUpRequest) { r.Amount.MinorUnits = 0 }, paymentv1.Reason_BAD_AMOUNT},
		"less":             {func(r *paymentv1.TopUpRequest) { r.Amount.MinorUnits = -5 }, paymentv1.Reason_BAD_AMOUNT},
		"too much":         {func(r *paymentv1.TopUpRequest) { r.Amount.MinorUnits = 10_000_001 }, paymentv1.Reason_BAD_AMOUNT},
		"other money":      {func(r *paymentv1.TopUpRequest) { r.Amount.CurrencyCode = "XAU" }, paymentv1.Reason_UNKNOWN_CURRENCY},
	} {
		req := &paymentv1.TopUpRequest{Amount: gbp(1000).message(), Card: card(goodCard)}
		test.change(req)
		if _, err := s.TopUp(s.as("ada"), req); !warrentest.Refused(err, test.reason) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A wallet has one currency for ever.
	s.topUp("ada", goodCard, 100)
	_, err := s.TopUp(s.as("ada"), &paymentv1.TopUpRequest{Amount: money{100, "EUR"}.message(), Card: card(goodCard)})
	if !warrentest.Refused(err, paymentv1.Reason_OTHER_CURRENCY) {
		t.Errorf("a second currency: %v", err)
	}
}
