package main

import (
	"cmp"
	"context"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/gowarren/warren/auth"
	"github.com/gowarren/warren/page"
	paymentv1 "github.com/gowarren/warren/shop/api/shop/payment/v1"
	"github.com/gowarren/warren/shop/payment/internal/cardsim"
)

// service implements the contract. What the contract says (who may call, what
// is valid, how long it may take) is enforced before a method here is called.
type service struct {
	paymentv1.UnimplementedPaymentServiceServer
	ledger   *ledger
	pages    *page.Tokens
	cards    provider
	charges  *charger
	settings *settings
	meter    *meter
	now      func() time.Time
}

func (s *service) GetWallet(ctx context.Context, _ *paymentv1.GetWalletRequest) (*paymentv1.Wallet, error) {
	currency, _, _ := strings.Cut(strings.TrimSpace(s.settings.currencies.Get()), " ")
	available, set, err := s.ledger.wallet(ctx, auth.FromContext(ctx).Subject, currency)
	if err != nil {
		return nil, err
	}
	return &paymentv1.Wallet{Available: available.message(), Held: set.message()}, nil
}

func (s *service) TopUp(ctx context.Context, req *paymentv1.TopUpRequest) (*paymentv1.TopUpAnswer, error) {
	amount, err := moneyOf(req.GetAmount())
	if err != nil {
		return nil, err
	}
	if !accepted(s.settings.currencies.Get(), amount.currency) {
		return nil, refuse(paymentv1.Reason_UNKNOWN_CURRENCY, "amount.currency_code", "cards are charged in %s", s.settings.currencies.Get())
	}
	if most := int64(s.settings.most.Get()); amount.units > most {
		return nil, refuse(paymentv1.Reason_BAD_AMOUNT, "amount.minor_units", "one top-up is at most %s", money{most, amount.currency})
	}
	card := req.GetCard()
	if err := checkCard(card, s.now()); err != nil {
		return nil, err
	}
	token, err := s.cards.Tokenize(ctx, cardsim.Card{Number: card.GetNumber(), CVV: card.GetCvv()})
	if err != nil {
		return nil, err
	}
	t := newTopUp(auth.FromContext(ctx).Subject, amount, token, lastFour(card.GetNumber()), s.now())
	// Not charged here: whoever asks for money keeps the wish first, so that it
	// knows of it whatever happens then.
	if err := s.ledger.begin(ctx, t, s.charges.wake); err != nil {
		return nil, err
	}
	return t.message(), nil
}

func (s *service) GetTopUp(ctx context.Context, req *paymentv1.GetTopUpRequest) (*paymentv1.TopUpAnswer, error) {
	t, err := s.ledger.topUp(ctx, req.GetTopUpId(), auth.FromContext(ctx).Subject)
	if err != nil {
		return nil, err
	}
	return t.message(), nil
}

const listPage, maxListPage = 50, 200

func (s *service) ListEntries(ctx context.Context, req *paymentv1.ListEntriesRequest) (*paymentv1.ListEntriesResponse, error) {
	of := walletOf(auth.FromContext(ctx).Subject, "").id
	if req.GetAccount() == paymentv1.Account_HELD {
		of = heldOf(auth.FromContext(ctx).Subject, "").id
	}
	query, before := "entries\n"+of, int64(0)
	if err := s.pages.Read(ctx, req.GetPageToken(), query, &before); err != nil {
		return nil, err
	}
	size := min(cmp.Or(int(req.GetPageSize()), listPage), maxListPage)
	list, err := s.ledger.entries(ctx, of, before, size+1) // one more tells whether there is a next page
	if err != nil {
		return nil, err
	}
	list, next, err := page.Cut(ctx, s.pages, query, list, size, func(last entry) int64 { return last.seq })
	if err != nil {
		return nil, err
	}
	resp := &paymentv1.ListEntriesResponse{NextPageToken: next}
	for _, e := range list {
		resp.Entries = append(resp.Entries, e.message())
	}
	return resp, nil
}

func (e entry) message() *paymentv1.Entry {
	return &paymentv1.Entry{
		Sequence: e.seq, Kind: paymentv1.EntryKind(paymentv1.EntryKind_value[e.kind]), Amount: e.amount.message(),
		Balance: e.balance.message(), Reference: e.reference, CreateTime: timestamppb.New(e.created),
	}
}

const verifyPage, maxVerifyPage = 200, 1000

func (s *service) VerifyLedger(ctx context.Context, req *paymentv1.VerifyLedgerRequest) (*paymentv1.VerifyLedgerResponse, error) {
	const query = "verify"
	var at position
	if err := s.pages.Read(ctx, req.GetPageToken(), query, &at); err != nil {
		return nil, err
	}
	found, err := s.ledger.verify(ctx, at, min(cmp.Or(int(req.GetPageSize()), verifyPage), maxVerifyPage))
	if err != nil {
		return nil, err
	}
	resp := &paymentv1.VerifyLedgerResponse{Accounts: found.accounts, Transactions: found.transactions, Problems: found.problems}
	if found.next != nil {
		resp.NextPageToken, err = s.pages.Make(ctx, query, *found.next)
	}
	return resp, err
}
