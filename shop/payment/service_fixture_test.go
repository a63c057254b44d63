package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/gowarren/warren/rpc"
	paymentv1 "github.com/gowarren/warren/shop/api/shop/payment/v1"
	"github.com/gowarren/warren/warrentest"
)

// systemFile makes the simulator and the worker fast.
const systemFile = `system: test
auth: {issuer: warrentest, audience: warrentest}
settings:
  trace.sample: 1
  payment.top_up.pause: 20ms
  payment.top_up.patience: 1s
  payment.simulator.delay: 300ms
`

// shop is a system with the payment service, as its users and the other
// services see it.
type shop struct {
	paymentv1.PaymentServiceClient
	t       testing.TB
	sys     *warrentest.System
	gateway string
	data    string // of the service
	service *warrentest.Instance
	keys    int
}

func started(t testing.TB, args ...string) *shop {
	t.Helper()
	file := filepath.Join(t.TempDir(), "warren.yaml")
	if err := os.WriteFile(file, []byte(systemFile), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &shop{t: t, sys: warrentest.New(t, "--system-file", file), data: t.TempDir()}
	s.sys.Token("nobody") // so that tokens are known before somebody asks
	s.service = s.sys.Run("payment", setup, append([]string{"--data", s.data}, args...)...)
	s.gateway = s.sys.Gateway()
	s.PaymentServiceClient = paymentv1.NewPaymentServiceClient(s.sys.Client())
	return s
}

// as is a user who calls, with a fresh idempotency key.
func (s *shop) as(user string, roles ...string) context.Context {
	s.keys++
	ctx := metadata.AppendToOutgoingContext(s.t.Context(), rpc.MetadataIdempotencyKey, fmt.Sprint("key-", s.keys))
	return s.sys.As(ctx, user, roles...)
}

const goodCard = "4242424242424242"

func card(number string) *paymentv1.Card {
	return &paymentv1.Card{Number: number, ExpiryMonth: 12, ExpiryYear: 2099, Cvv: "987"}
}

func (s *shop) topUp(user, number string, units int64) *paymentv1.TopUpAnswer {
	s.t.Helper()
	answer, err := s.TopUp(s.as(user), &paymentv1.TopUpRequest{Amount: gbp(units).message(), Card: card(number)})
	if err != nil {
		s.t.Fatal(err)
	}
	return answer
}

// ended waits until a top-up is no longer pending.
func (s *shop) ended(user, id string) *paymentv1.TopUpAnswer {
	s.t.Helper()
	return warrentest.Eventually(s.t, "the top-up to end", func() (*paymentv1.TopUpAnswer, bool) {
		got, err := s.GetTopUp(s.as(user), &paymentv1.GetTopUpRequest{TopUpId: id})
		if err != nil {
			s.t.Fatal(err)
		}
		return got, got.GetState() != paymentv1.TopUpState_PENDING
	})
}

// wallet checks what a customer has.
func (s *shop) wallet(user string, available, set int64) {
	s.t.Helper()
	w, err := s.GetWallet(s.as(user), &paymentv1.GetWalletRequest{})
	if err != nil {
		s.t.Fatal(err)
	}
	if w.GetAvailable().GetMinorUnits() != available || w.GetHeld().GetMinorUnits() != set {
		s.t.Errorf("%s has %v; want %d and %d held", user, w, available, set)
	}
}

// rest sends a request through the gateway and returns the status and the answer.
func (s *shop) rest(method, path, user, key string, body any) (int, []byte) {
	s.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		s.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.gateway+path, bytes.NewReader(text))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.sys.Token(user))
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, answer
}

// verified checks all books, as staff does.
func (s *shop) verified() {
	s.t.Helper()
	var accounts, transactions int64
	for token := ""; ; {
		resp, err := s.VerifyLedger(s.as("root", "admin"), &paymentv1.VerifyLedgerRequest{PageSize: 2, PageToken: token})
		if err != nil {
			s.t.Fatal(err)
		}
		if len(resp.GetProblems()) > 0 {
			s.t.Errorf("the books are wrong: %q", resp.GetProblems())
		}
		accounts, transactions = accounts+resp.GetAccounts(), transactions+resp.GetTransactions()
		if token = resp.GetNextPageToken(); token == "" {
			break
		}
	}
	if accounts == 0 || transactions == 0 {
		s.t.Errorf("%d accounts and %d transactions were checked", accounts, transactions)
	}
}

func decoded(t testing.TB, text []byte) *paymentv1.TopUpAnswer {
	t.Helper()
	out := &paymentv1.TopUpAnswer{}
	if err := protojson.Unmarshal(text, out); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return out
}
