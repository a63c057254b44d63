package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	moneyv1 "github.com/gowarren/warren/shop/api/shop/money/v1"
	orderv1 "github.com/gowarren/warren/shop/api/shop/order/v1"
	paymentv1 "github.com/gowarren/warren/shop/api/shop/payment/v1"
)

// checkout is the page on which an order is placed. All that is sent stands in
// its form, with the key of the order: sent twice, it is one order.
type checkout struct {
	Key     string
	Lines   []reviewed
	Total   *moneyv1.Money
	Version int64 // of the cart
	Address *orderv1.Address
	Wallet  *paymentv1.Wallet // nil: not known
	Missing *moneyv1.Money    // in the wallet
	Errors  map[string]string // by field; "" is of the whole
	Changed string            // what has changed since the customer looked
}

func (checkout) title() string { return "Checkout" }

// reviewed is a line as the customer saw it.
type reviewed struct {
	SKU, Name string
	Quantity  int32
	Price     *moneyv1.Money // of one
	Amount    *moneyv1.Money
	Warning   string
}

// Field is the line in the form.
func (l reviewed) Field() string {
	return fmt.Sprintf("%s %d %d %s %s", l.SKU, l.Quantity, l.Price.GetMinorUnits(), l.Price.GetCurrencyCode(), l.Name)
}

// readReviewed reads a line from the form.
func readReviewed(field string) (reviewed, error) {
	parts := strings.SplitN(field, " ", 5)
	if len(parts) != 5 {
		return reviewed{}, errors.New("read a line of the form: it is none of ours")
	}
	quantity, err := strconv.ParseInt(parts[1], 10, 32)
	units, err2 := strconv.ParseInt(parts[2], 10, 64)
	if err := errors.Join(err, err2); err != nil || quantity < 1 || quantity > 10_000 || units < 0 || units > 1e12 {
		return reviewed{}, fmt.Errorf("read a line of the form: it is none of ours: %w", err)
	}
	l := reviewed{SKU: parts[0], Quantity: int32(quantity), Name: parts[4], Price: &moneyv1.Money{CurrencyCode: parts[3], MinorUnits: units}}
	l.Amount = &moneyv1.Money{CurrencyCode: parts[3], MinorUnits: units * quantity}
	return l, nil
}

// newKey is the name of an operation that must be done once.
func newKey() string { return rand.Text() }

func (v *visit) checkout() error {
	page, err := v.review()
	if err != nil {
		return err
	}
	if len(page.Lines) == 0 {
		return v.redirect("/cart", "look-at-cart")
	}
	page.Address = v.lastAddress()
	return v.show(http.StatusOK, "checkout", page)
}

// review is the cart as it would be ordered now.
func (v *visit) review() (checkout, error) {
	if !v.session.signedIn() {
		return checkout{}, errSignedOut
	}
	cart, err := v.cartPage()
	if err != nil {
		return checkout{}, err
	}
	page := checkout{Key: newKey(), Total: cart.Total, Version: cart.Version, Errors: map[string]string{}, Address: &orderv1.Address{}}
	for _, l := range cart.Lines {
		one := reviewed{SKU: l.GetSku(), Name: l.GetName(), Quantity: l.GetQuantity(), Price: l.GetPrice(), Amount: l.GetAmount(), Warning: l.Warning()}
		if one.Price == nil { // what has no price can't be agreed on
			return checkout{}, nil
		}
		page.Lines = append(page.Lines, one)
	}
	v.lookIntoWallet(&page)
	return page, nil
}

// lookIntoWallet shows what is there. Where payment is away, the order is taken
// all the same, and waits.
func (v *visit) lookIntoWallet(page *checkout) {
	ctx, cancel := v.glance()
	defer cancel()
	token, err := v.tokens.access(ctx, v.session)
	wallet := &paymentv1.Wallet{}
	if err == nil {
		err = v.api.do(ctx, call{path: "/v1/wallet", token: token, out: wallet})
	}
	if err != nil {
		return
	}
	page.Wallet = wallet
	if missing := page.Total.GetMinorUnits() - wallet.GetAvailable().GetMinorUnits(); page.Total != nil && missing > 0 {
		page.Missing = &moneyv1.Money{CurrencyCode: page.Total.GetCurrencyCode(), MinorUnits: missing}
	}
}

// lastAddress is where the customer's last order went.
func (v *visit) lastAddress() *orderv1.Address {
	ctx, cancel := v.glance()
	defer cancel()
	blank := &orderv1.Address{Name: v.session.Name, CountryCode: "GB"}
	token, err := v.tokens.access(ctx, v.session)
	if err != nil {
		return blank
	}
	out := &orderv1.ListOrdersResponse{}
	if err := v.api.do(ctx, call{path: "/v1/orders", query: url.Values{"page_size": {"1"}}, token: token, out: out}); err != nil || len(out.GetOrders()) == 0 {
		return blank
	}
	last := &orderv1.Order{}
	if err := v.api.do(ctx, call{path: "/v1/orders/" + out.GetOrders()[0].GetOrderId(), token: token, out: last}); err != nil || last.GetAddress() == nil {
		return blank
	}
	return last.GetAddress()
}

func (v *visit) placeOrder() error {
	form := v.form
	page := checkout{Key: form.Get("key"), Errors: map[string]string{}, Address: &orderv1.Address{
		Name: strings.TrimSpace(form.Get("name")), Street: strings.TrimSpace(form.Get("street")), City: strings.TrimSpace(form.Get("city")),
		PostalCode: strings.TrimSpace(form.Get("postal")), CountryCode: strings.ToUpper(strings.TrimSpace(form.Get("country"))),
	}}
	if err := page.readForm(form); err != nil {
		return &problem{Status: http.StatusBadRequest, Reason: "BAD_FORM", cause: err}
	}
	checkAddress(page.Address, page.Errors)
	if len(page.Errors) > 0 {
		return v.again(page)
	}
	order, err := v.submit(page)
	if err == nil {
		v.forgetCart(page.Version)
		return v.redirect("/orders/"+order.GetOrderId(), "")
	}
	return v.refusedOrder(page, err)
}

func (c *checkout) readForm(form url.Values) error {
	if c.Key == "" || len(c.Key) > 64 || len(form["line"]) == 0 || len(form["line"]) > 50 {
		return errors.New("read the form of the checkout: it is none of ours")
	}
	c.Version, _ = strconv.ParseInt(form.Get("version"), 10, 64) // 0: no cart is emptied
	for _, field := range form["line"] {
		l, err := readReviewed(field)
		if err != nil {
			return err
		}
		c.Lines = append(c.Lines, l)
		if c.Total == nil {
			c.Total = &moneyv1.Money{CurrencyCode: l.Price.GetCurrencyCode()}
		}
		c.Total.MinorUnits += l.Amount.GetMinorUnits()
	}
	return nil
}

// checkAddress says per field what is missing.
func checkAddress(a *orderv1.Address, errs map[string]string) {
	for name, field := range map[string]struct {
		value, missing string
		most           int
	}{
		"name":   {a.GetName(), "Who is it for?", 100},
		"street": {a.GetStreet(), "Which street and number?", 200},
		"city":   {a.GetCity(), "Which town or city?", 100},
		"postal": {a.GetPostalCode(), "What is the postcode?", 20},
	} {
		if field.value == "" {
			errs[name] = field.missing
		} else if len([]rune(field.value)) > field.most {
			errs[name] = fmt.Sprintf("Please use at most %d characters.", field.most)
		}
	}
	if c := a.GetCountryCode(); len(c) != 2 || strings.Trim(c, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		errs["country"] = "Please choose a country."
	}
}

// submit places the order. While the same form's first sending is under way,
// it waits for that one's answer.
func (v *visit) submit(page checkout) (*orderv1.Order, error) {
	in := &orderv1.PlaceOrderRequest{Address: page.Address}
	for _, l := range page.Lines {
		in.Lines = append(in.Lines, &orderv1.PlaceOrderLine{Sku: l.SKU, Quantity: l.Quantity, ExpectedPrice: l.Price})
	}
	order := &orderv1.Order{}
	for {
		err := v.asUser(call{method: http.MethodPost, path: "/v1/orders", key: page.Key, in: in, out: order})
		if !because(err, "IDEMPOTENCY_KEY_IN_USE") {
			return order, err
		}
		if err := v.pause(200 * time.Millisecond); err != nil {
			return nil, err
		}
	}
}

func (v *visit) pause(d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-v.ctx.Done():
		return away(v.ctx, context.Cause(v.ctx))
	}
}

// forgetCart empties the cart whose content was ordered, unless it has changed
// since.
func (v *visit) forgetCart(version int64) {
	if version <= 0 {
		return
	}
	query := url.Values{"version": {strconv.FormatInt(version, 10)}}
	if err := v.asUser(call{method: http.MethodDelete, path: "/v1/cart", query: query}); err != nil && !because(err, "VERSION_CONFLICT") {
		v.log.InfoContext(v.ctx, "a cart that was ordered is not emptied", "error", err)
	}
}

// refusedOrder shows the form again, with why.
func (v *visit) refusedOrder(page checkout, err error) error {
	switch {
	case errors.Is(err, errSignedOut):
		return err
	case because(err, "PRICE_CHANGED", "UNKNOWN_PRODUCT", "BAD_TOTAL"):
		next, err := v.review()
		if err != nil {
			return err
		}
		if len(next.Lines) == 0 {
			return v.redirect("/cart", "look-at-cart")
		}
		next.Address, next.Changed = page.Address, "Prices have changed while you were here. Please look once more; nothing was ordered."
		return v.show(http.StatusConflict, "checkout", next)
	case because(err, "IDEMPOTENCY_KEY_REUSED"):
		page.Key = newKey()
		page.Errors[""] = "This form was sent before with something else in it. Please look once more, and send it again."
	case refused(err):
		fieldErrors(page.Errors, err, map[string]string{"address.name": "name", "address.street": "street", "address.city": "city",
			"address.postalCode": "postal", "address.postal_code": "postal", "address.countryCode": "country", "address.country_code": "country"})
	default:
		page.Errors[""] = "We don't know yet whether your order arrived. Please press the button again: it is placed once, however often you press."
	}
	return v.again(page)
}

// again shows the form as it was sent.
func (v *visit) again(page checkout) error {
	v.lookIntoWallet(&page)
	return v.show(http.StatusUnprocessableEntity, "checkout", page)
}

// Countries are those that can be chosen.
func (checkout) Countries() [][2]string {
	return [][2]string{
		{"GB", "United Kingdom"}, {"IE", "Ireland"}, {"AU", "Australia"}, {"AT", "Austria"}, {"BE", "Belgium"}, {"CA", "Canada"}, {"DK", "Denmark"},
		{"FI", "Finland"}, {"FR", "France"}, {"DE", "Germany"}, {"IT", "Italy"}, {"JP", "Japan"}, {"NL", "Netherlands"}, {"NO", "Norway"},
		{"PL", "Poland"}, {"PT", "Portugal"}, {"ES", "Spain"}, {"SE", "Sweden"}, {"CH", "Switzerland"}, {"US", "United States"},
	}
}
