package main

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	cartv1 "github.com/gowarren/warren/shop/api/shop/cart/v1"
	moneyv1 "github.com/gowarren/warren/shop/api/shop/money/v1"
)

// message is the cart as the contract has it, at the prices quoted for its
// lines.
func (c cart) message(quotes []quote) *cartv1.Cart {
	out := &cartv1.Cart{Version: c.version, Total: total(c.lines, quotes)}
	if c.version > 0 {
		out.UpdateTime = timestamppb.New(c.updated)
	}
	for i, l := range c.lines {
		out.Lines = append(out.Lines, l.message(quotes[i]))
	}
	return out
}

func (l line) message(q quote) *cartv1.CartLine {
	out := &cartv1.CartLine{Sku: l.sku, Quantity: l.quantity}
	switch {
	case q.gone():
		out.PriceState = cartv1.PriceState_GONE
	case q.err != nil:
		out.PriceState = cartv1.PriceState_UNKNOWN
	default:
		price := q.product.GetPrice()
		out.PriceState, out.Name, out.Price = cartv1.PriceState_PRICED, q.product.GetName(), price
		out.Amount = &moneyv1.Money{CurrencyCode: price.GetCurrencyCode(), MinorUnits: price.GetMinorUnits() * int64(l.quantity)}
	}
	return out
}

// total is what all lines cost; nil if that can't be said. The catalogue's
// highest price times the highest quantity times the most lines is far from the
// end of int64.
func total(lines []line, quotes []quote) *moneyv1.Money {
	var sum *moneyv1.Money
	for i, l := range lines {
		price := quotes[i].product.GetPrice()
		if quotes[i].err != nil || sum != nil && sum.GetCurrencyCode() != price.GetCurrencyCode() {
			return nil
		}
		if sum == nil {
			sum = &moneyv1.Money{CurrencyCode: price.GetCurrencyCode()}
		}
		sum.MinorUnits += price.GetMinorUnits() * int64(l.quantity)
	}
	return sum
}
