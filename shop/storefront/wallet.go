package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	moneyv1 "github.com/gowarren/warren/shop/api/shop/money/v1"
	paymentv1 "github.com/gowarren/warren/shop/api/shop/payment/v1"
)

// wallet is the customer's money.
type wallet struct {
	*paymentv1.Wallet
	Entries     []*paymentv1.Entry
	Next, First string
	TopUp       *paymentv1.TopUpAnswer // the one just asked for
	Form        topUpForm
	Years       []int
}

func (wallet) title() string { return "Your wallet" }

// reload follows a top-up about which the bank has not decided.
func (w wallet) reload() int {
	if w.TopUp.GetState() == paymentv1.TopUpState_PENDING {
		return 2
	}
	return 0
}

// topUpForm is the form as the customer filled it in, without the card: what
// was typed of that is never sent back.
type topUpForm struct {
	Key    string
	Amount string
	Next   string
	Errors map[string]string
}

// testCard is a card of the simulated bank.
type testCard struct{ Number, Does string }

// TestCards are those that are worth trying.
func (wallet) TestCards() []testCard {
	return []testCard{
		{"4242 4242 4242 4242", "is accepted"},
		{"4000 0000 0000 0002", "is declined"},
		{"4000 0000 0000 9995", "is declined: insufficient funds"},
		{"4000 0000 0000 0077", "is accepted, but the bank takes its time"},
		{"4000 0000 0000 0119", "is accepted, but the bank's answer is lost on the way"},
	}
}

// Months are those of a year.
func (wallet) Months() []int { return []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12} }

const entriesPage = 12

func (v *visit) wallet() error {
	query := v.r.URL.Query()
	page, err := v.walletPage(query.Get("after"))
	if err != nil {
		return err
	}
	page.Form = topUpForm{Key: newKey(), Amount: query.Get("amount"), Next: local(query.Get("next"), "")}
	if id := query.Get("top_up"); id != "" {
		up := &paymentv1.TopUpAnswer{}
		if err := v.asUser(call{path: "/v1/wallet/topUps/" + url.PathEscape(id), out: up}); err == nil {
			page.TopUp = up
		}
	}
	if page.TopUp.GetState() == paymentv1.TopUpState_CONFIRMED && page.Form.Next != "" {
		return v.redirect(page.Form.Next, "")
	}
	return v.show(http.StatusOK, "wallet", page)
}

func (v *visit) walletPage(after string) (wallet, error) {
	page := wallet{Wallet: &paymentv1.Wallet{}}
	if err := v.asUser(call{path: "/v1/wallet", out: page.Wallet}); err != nil {
		return page, err
	}
	out := &paymentv1.ListEntriesResponse{}
	query := url.Values{"page_size": {strconv.Itoa(entriesPage)}, "page_token": {after}}
	if err := v.asUser(call{path: "/v1/wallet/entries", query: query, out: out}); err != nil {
		return page, err
	}
	page.Entries = out.GetEntries()
	page.First, page.Next = pages(v.r.URL, v.r.URL.Query(), out.GetNextPageToken())
	for year := range 12 {
		page.Years = append(page.Years, v.now().Year()+year)
	}
	return page, nil
}

// topUp asks the card's bank for money. What was typed of the card goes to the
// gateway and nowhere else.
func (v *visit) topUp() error {
	form := v.form
	asked := topUpForm{Key: form.Get("key"), Amount: strings.TrimSpace(form.Get("amount")), Next: local(form.Get("next"), ""), Errors: map[string]string{}}
	if asked.Key == "" || len(asked.Key) > 64 {
		return &problem{Status: http.StatusBadRequest, Reason: "BAD_FORM"}
	}
	request := asked.request(form)
	if len(asked.Errors) > 0 {
		return v.topUpAgain(asked)
	}
	got := &paymentv1.TopUpAnswer{}
	err := v.asUser(call{method: http.MethodPost, path: "/v1/wallet:topUp", key: asked.Key, in: request, out: got})
	switch {
	case err == nil:
		query := url.Values{"top_up": {got.GetTopUpId()}}
		if asked.Next != "" {
			query.Set("next", asked.Next)
		}
		return v.redirect("/wallet?"+query.Encode(), "")
	case because(err, "BAD_CARD"):
		asked.Errors["number"] = "That is no card's number, or the card has expired. Please check it."
	case because(err, "WALLET_FULL"):
		asked.Errors["amount"] = "That is more than a wallet can hold."
	case because(err, "RATE_LIMITED"):
		asked.Errors[""] = "That was often. Please wait a minute."
	case refused(err) && !because(err, "IDEMPOTENCY_KEY_IN_USE"):
		fieldErrors(asked.Errors, err, map[string]string{"amount": "amount", "amount.minorUnits": "amount", "card.number": "number",
			"card.cvv": "cvv", "card.expiryMonth": "month", "card.expiryYear": "year"})
		asked.Key = newKey()
	case problemOf(err).Status >= 500 || because(err, "IDEMPOTENCY_KEY_IN_USE"):
		asked.Errors[""] = "We don't know yet whether this arrived. Please send it again: it is charged once, however often you send it."
	default:
		return err
	}
	return v.topUpAgain(asked)
}

func (f *topUpForm) request(form url.Values) *paymentv1.TopUpRequest {
	units, err := parseAmount(f.Amount, currency)
	switch {
	case err != nil:
		f.Errors["amount"] = "Please write an amount such as 25 or 25.50."
	case units < 100:
		f.Errors["amount"] = "Please add at least £1."
	}
	number := strings.NewReplacer(" ", "", "-", "").Replace(form.Get("number"))
	if len(number) < 12 || len(number) > 19 || strings.Trim(number, "0123456789") != "" {
		f.Errors["number"] = "A card's number has 12 to 19 digits."
	}
	month, errMonth := strconv.ParseInt(form.Get("month"), 10, 32)
	year, errYear := strconv.ParseInt(form.Get("year"), 10, 32)
	if errMonth != nil || errYear != nil || month < 1 || month > 12 {
		f.Errors["month"] = "Until when is the card good?"
	}
	cvv := strings.TrimSpace(form.Get("cvv"))
	if len(cvv) < 3 || len(cvv) > 4 || strings.Trim(cvv, "0123456789") != "" {
		f.Errors["cvv"] = "Three or four digits."
	}
	return &paymentv1.TopUpRequest{
		Amount: &moneyv1.Money{CurrencyCode: currency, MinorUnits: units},
		Card:   &paymentv1.Card{Number: number, ExpiryMonth: int32(month), ExpiryYear: int32(year), Cvv: cvv},
	}
}

// topUpAgain shows the form once more. Where the wallet can't be read either,
// what the customer must know still is said.
func (v *visit) topUpAgain(asked topUpForm) error {
	page, err := v.walletPage("")
	if err != nil {
		return err
	}
	page.Form = asked
	return v.show(http.StatusUnprocessableEntity, "wallet", page)
}

// entryWords say what moved money.
func entryWords(e *paymentv1.Entry) string {
	switch e.GetKind() {
	case paymentv1.EntryKind_TOP_UP:
		return "Added from a card"
	case paymentv1.EntryKind_HOLD:
		return "Set aside for an order"
	case paymentv1.EntryKind_VOID:
		return "Released: nothing was charged"
	case paymentv1.EntryKind_CAPTURE:
		return "Paid for an order"
	case paymentv1.EntryKind_REFUND:
		return "Refund"
	}
	return fmt.Sprint("Movement ", e.GetSequence())
}
