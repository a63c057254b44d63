package main

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"

	cartv1 "github.com/gowarren/warren/shop/api/shop/cart/v1"
	moneyv1 "github.com/gowarren/warren/shop/api/shop/money/v1"
)

// cartLine is a line of the cart with what its owner should know.
type cartLine struct {
	*cartv1.CartLine
	Stock stock
	// Before is what one cost when it was put into the cart, if it is another
	// price now.
	Before *moneyv1.Money
}

// Warning is what is wrong with the line, in words.
func (l cartLine) Warning() string {
	switch {
	case l.GetPriceState() == cartv1.PriceState_GONE:
		return "This is no longer sold. Please take it out."
	case l.GetPriceState() == cartv1.PriceState_UNKNOWN:
		return "We can't look up its price just now."
	case l.Stock.Known && l.Stock.Available <= 0:
		return "Out of stock at the moment."
	case l.Stock.Known && l.Stock.Available < int64(l.GetQuantity()):
		return "Only " + strconv.FormatInt(l.Stock.Available, 10) + " left: you have more in your cart."
	case l.Before != nil && l.Before.GetMinorUnits() < l.GetPrice().GetMinorUnits():
		return "The price went up since you added it: it was " + price(l.Before) + "."
	case l.Before != nil:
		return "Good news: it was " + price(l.Before) + " when you added it."
	}
	return ""
}

// Blocks tells whether the order would be refused.
func (l cartLine) Blocks() bool {
	return l.GetPriceState() != cartv1.PriceState_PRICED || l.Stock.Known && l.Stock.Available < int64(l.GetQuantity())
}

// cartPage is the cart.
type cartPage struct {
	Lines   []cartLine
	Total   *moneyv1.Money
	Version int64
	Blocked bool // as it is, it can't be ordered
	Most    int
}

func (cartPage) title() string { return "Your cart" }

func (v *visit) cart() error {
	page, err := v.cartPage()
	if err != nil {
		return err
	}
	return v.show(http.StatusOK, "cart", page)
}

func (v *visit) cartPage() (cartPage, error) {
	cart, err := v.readCart()
	if err != nil {
		return cartPage{}, err
	}
	v.counted = pieces(cart)
	page := cartPage{Total: cart.GetTotal(), Version: cart.GetVersion(), Most: mostAtOnce}
	codes := make([]string, len(cart.GetLines()))
	for i, l := range cart.GetLines() {
		codes[i] = l.GetSku()
	}
	known := v.stockOf(codes)
	for _, l := range cart.GetLines() {
		line := cartLine{CartLine: l, Stock: known[l.GetSku()]}
		if was, ok := v.session.Seen[l.GetSku()]; ok && l.GetPrice() != nil && was != l.GetPrice().GetMinorUnits() {
			line.Before = &moneyv1.Money{CurrencyCode: l.GetPrice().GetCurrencyCode(), MinorUnits: was}
		}
		page.Blocked = page.Blocked || line.Blocks()
		page.Lines = append(page.Lines, line)
	}
	return page, nil
}

// readCart returns the cart of the user, or of the visitor.
func (v *visit) readCart() (*cartv1.Cart, error) {
	if v.forgetful {
		return nil, &problem{Status: http.StatusServiceUnavailable, Reason: "SESSIONS_AWAY"}
	}
	if !v.session.signedIn() {
		return v.cartAt(v.ctx, "")
	}
	v.mergeCart() // where it was not possible when the user signed in
	cart := &cartv1.Cart{}
	return cart, v.asUser(call{path: "/v1/cart", out: cart})
}

// cartAt returns the cart of the token's user or, without, of the visitor.
func (v *visit) cartAt(ctx context.Context, token string) (*cartv1.Cart, error) {
	cart := &cartv1.Cart{}
	switch {
	case token != "":
		return cart, v.api.do(ctx, call{path: "/v1/cart", token: token, out: cart})
	case v.session.Cart == "":
		return cart, nil
	}
	err := v.api.do(ctx, call{method: http.MethodPost, path: "/v1/cart:readVisitor", out: cart,
		in: &cartv1.ReadVisitorCartRequest{CartToken: v.session.Cart}})
	if because(err, "CART_NOT_FOUND") { // nobody changed it for a month
		return &cartv1.Cart{}, nil
	}
	return cart, err
}

// mergeCart adds what was put into the cart before somebody signed in. What
// can't be done now is done with the next look at the cart.
func (v *visit) mergeCart() {
	token := v.session.Cart
	if token == "" {
		return
	}
	err := v.asUser(call{method: http.MethodPost, path: "/v1/cart:merge", in: &cartv1.MergeCartRequest{CartToken: token}})
	if err != nil && !refused(err) {
		v.log.InfoContext(v.ctx, "a visitor's cart waits to be merged", "error", err)
		return
	}
	if err := v.sessions.save(v.ctx, v.session, func(k *kept) { k.Cart = "" }); err != nil {
		v.log.InfoContext(v.ctx, "a merged cart is not forgotten", "error", err) // merged again, it adds nothing
	}
}

// changeCart adds to the cart, sets how many, or takes out.
func (v *visit) changeCart() error {
	form := v.form
	sku, back := strings.ToUpper(strings.TrimSpace(form.Get("sku"))), local(form.Get("back"), "/cart")
	quantity, err := strconv.Atoi(form.Get("quantity"))
	if err != nil || quantity < 0 || form.Get("do") == "remove" {
		quantity = 0
	}
	add := form.Get("do") == "add"
	if add && quantity == 0 {
		quantity = 1
	}
	err = v.putLine(sku, min(quantity, mostAtOnce), add)
	switch {
	case because(err, "UNKNOWN_PRODUCT"):
		return v.redirect(back, "cart-gone")
	case err != nil && refused(err):
		return v.redirect(back, "cart-trouble")
	case err != nil:
		return err
	case add:
		return v.redirect(back, "added")
	}
	return v.redirect(back, "changed")
}

// conflicts is how often a change of the cart begins again because another
// device was faster.
const conflicts = 5

func (v *visit) putLine(sku string, quantity int, add bool) error {
	var err error
	for range conflicts {
		var cart *cartv1.Cart
		if cart, err = v.readCart(); err != nil {
			return err
		}
		lines := linesWith(cart, sku, quantity, add)
		if err = v.putCart(cart.GetVersion(), lines, sku); !because(err, "VERSION_CONFLICT", "CART_NOT_FOUND") {
			return err
		}
	}
	return err
}

// linesWith returns the cart's lines with so much of one product.
func linesWith(cart *cartv1.Cart, sku string, quantity int, add bool) []*cartv1.Line {
	var lines []*cartv1.Line
	for _, l := range cart.GetLines() {
		lines = append(lines, &cartv1.Line{Sku: l.GetSku(), Quantity: l.GetQuantity()})
	}
	i := slices.IndexFunc(lines, func(l *cartv1.Line) bool { return l.GetSku() == sku })
	switch {
	case i < 0 && quantity > 0:
		return append(lines, &cartv1.Line{Sku: sku, Quantity: int32(quantity)})
	case i < 0:
		return lines
	case add:
		lines[i].Quantity = min(lines[i].GetQuantity()+int32(quantity), mostAtOnce)
	case quantity == 0:
		return slices.Delete(lines, i, i+1)
	default:
		lines[i].Quantity = int32(quantity)
	}
	return lines
}

func (v *visit) putCart(version int64, lines []*cartv1.Line, changed string) error {
	cart := &cartv1.Cart{}
	put := call{method: http.MethodPut, path: "/v1/cart", out: cart, in: &cartv1.PutCartRequest{Lines: lines, Version: version}}
	var err error
	if v.session.signedIn() {
		err = v.asUser(put)
	} else {
		token := v.session.Cart
		if version == 0 { // the cart was never there, or is not any more
			token = ""
		}
		put.in = &cartv1.PutCartRequest{Lines: lines, Version: version, CartToken: token}
		err = v.api.do(v.ctx, put)
	}
	if err != nil {
		return err
	}
	return v.sessions.save(v.ctx, v.session, func(k *kept) {
		if cart.GetCartToken() != "" {
			k.Cart = cart.GetCartToken()
		}
		k.Seen = seen(cart, k.Seen, changed)
	})
}

// seen are the prices of what is in the cart as they were when it was put
// there; of what has just been changed, as they are now.
func seen(cart *cartv1.Cart, before map[string]int64, changed string) map[string]int64 {
	out := map[string]int64{}
	for _, l := range cart.GetLines() {
		was, ok := before[l.GetSku()]
		switch {
		case ok && l.GetSku() != changed:
			out[l.GetSku()] = was
		case l.GetPrice() != nil:
			out[l.GetSku()] = l.GetPrice().GetMinorUnits()
		}
	}
	return out
}
