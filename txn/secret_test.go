package txn_test

import (
	"context"
	"strings"
	"testing"

	"github.com/gowarren/warren/txn"
	fairv1 "github.com/gowarren/warren/txn/internal/testpb/fair/v1"
)

// What a transaction carries is kept, and shown to operators: so no secrets.
func TestSecretsAreNotCarried(t *testing.T) {
	withCard := func(number string) *fairv1.HoldRequest {
		return &fairv1.HoldRequest{Id: "1", Purse: "ada", Amount: 1, Cards: []*fairv1.Card{{Name: "ada"}, {Name: "ada", Number: number}}}
	}
	s := newSaga()
	s.Step("hold", hold, withCard("4111"))
	s.Step("unlock", fairv1.PurseService_Unlock_FullMethodName, &fairv1.UnlockRequest{})
	for _, want := range []string{
		"step hold: its field cards.number is a secret, and the coordinator keeps requests",
		"hand the secret over before",
		"step unlock: /fair.v1.PurseService/Unlock answers with the secret field cards.number",
		"a method whose answer has none",
	} {
		if err := s.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v\nwant %s", err, want)
		}
	}
	s = newSaga()
	s.Step("hold", hold, withCard(""))
	if err := s.Check(); err != nil {
		t.Errorf("a secret that is not set: %v", err)
	}
	m := newMarket(t)
	err := txn.TCC(t.Context(), m, "payment", func(ctx context.Context, try *txn.Attempt) error {
		_, err := fairv1.NewPurseServiceClient(try).Hold(ctx, withCard("4111"))
		return err
	})
	if err == nil || !strings.Contains(err.Error(), "its field cards.number is a secret") {
		t.Errorf("tried: %v", err)
	}
	m.want(t, untouched)
}
