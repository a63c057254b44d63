package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	catalogv1 "github.com/gowarren/warren/shop/api/shop/catalog/v1"
	orderv1 "github.com/gowarren/warren/shop/api/shop/order/v1"
)

// buyer is a customer with what they bought, in its order.
type buyer struct {
	*customer
	invoices []*invoice
}

// replay does it all, and tells whether everything was right in the end. Lines of
// the file that are no orders don't count against the shop.
func replay(ctx context.Context, o options, out io.Writer) (bool, error) {
	from, err := o.source()
	if err != nil {
		return false, err
	}
	defer from.Close()
	invoices, odd, rows, err := readInvoices(from)
	if err != nil {
		return false, err
	}
	buyers, guest := group(o, invoices), newCustomer(o, "nobody", 0)
	prices, err := guest.prices(ctx)
	if err != nil {
		return false, fmt.Errorf("read the catalogue: %w", err)
	}
	for _, b := range buyers {
		for _, v := range b.invoices {
			odd = append(odd, v.compare(prices)...)
		}
	}
	report(out, rows, odd, o.everyLine)
	before, err := guest.stock(ctx, buyers)
	if err != nil {
		return false, fmt.Errorf("read the stock: %w", err)
	}

	began := time.Now()
	free := make(chan struct{}, o.atOnce)
	var all sync.WaitGroup
	for _, b := range buyers {
		free <- struct{}{}
		all.Go(func() {
			defer func() { <-free }()
			if err := b.buy(ctx, prices); err != nil {
				b.problemf("%v", err)
			}
		})
	}
	all.Wait()
	took := time.Since(began)
	for _, b := range buyers {
		all.Go(func() { b.check(ctx) })
	}
	all.Wait()
	if err := ctx.Err(); err != nil {
		return false, err
	}
	problems := []string(nil)
	if o.alone {
		pause(ctx, 2*time.Second) // the gateway keeps what it knows of stock for one
		after, err := guest.stock(ctx, buyers)
		if err != nil {
			return false, fmt.Errorf("read the stock: %w", err)
		}
		problems = sold(buyers, before, after)
	}
	return conclude(out, buyers, problems, took), nil
}

// group gives the invoices to their customers.
func group(o options, invoices []*invoice) (buyers []*buyer) {
	found := map[string]*buyer{}
	for n, v := range invoices {
		if o.limit > 0 && n >= o.limit {
			break
		}
		b := found[v.customer]
		if b == nil {
			if o.customers > 0 && len(buyers) == o.customers {
				continue
			}
			b = &buyer{customer: newCustomer(o, v.customer, len(buyers)+1)}
			found[v.customer] = b
			buyers = append(buyers, b)
		}
		b.invoices = append(b.invoices, v)
	}
	return buyers
}

// prices returns what the catalogue asks, in pence.
func (c *customer) prices(ctx context.Context) (map[string]int64, error) {
	out := map[string]int64{}
	for token := ""; ; {
		page := &catalogv1.ListProductsResponse{}
		if err := c.ask(ctx, "GET", "/v1/products?page_size=200&page_token="+token, "", "", page); err != nil {
			return nil, err
		}
		for _, p := range page.GetProducts() {
			if p.GetPrice().GetCurrencyCode() == "GBP" {
				out[p.GetSku()] = p.GetPrice().GetMinorUnits()
			}
		}
		if token = page.GetNextPageToken(); token == "" {
			return out, nil
		}
	}
}

// compare drops what the shop doesn't sell, and tells what costs something else.
func (v *invoice) compare(prices map[string]int64) (odd []oddity) {
	v.lines = slices.DeleteFunc(v.lines, func(w wish) bool {
		_, there := prices[w.sku]
		if !there {
			odd = append(odd, oddity{w.line, "not in the catalogue", w.sku, true})
		}
		return !there
	})
	for _, w := range v.lines {
		if price := prices[w.sku]; price != w.pence {
			odd = append(odd, oddity{w.line, "other price", fmt.Sprintf("%s cost %d pence, and costs %d", w.sku, w.pence, price), false})
		}
	}
	if n := len(v.parts()); n > 1 {
		odd = append(odd, oddity{v.lines[0].line, "long invoice",
			fmt.Sprintf("invoice %s has %d products: %d orders", v.number, len(v.lines), n), false})
	}
	return odd
}

// buy is all that one customer does: register, pay in, order, follow.
func (b *buyer) buy(ctx context.Context, prices map[string]int64) error {
	if err := b.register(ctx); err != nil {
		return err
	}
	var total int64
	for _, v := range b.invoices {
		for _, w := range v.lines {
			total += w.quantity * prices[w.sku]
		}
	}
	if err := b.payIn(ctx, total); err != nil {
		return err
	}
	for _, v := range b.invoices {
		for i, part := range v.parts() {
			p := &placement{key: fmt.Sprintf("invoice-%s-%d", v.number, i+1), lines: part, order: &orderv1.Order{}}
			b.placed = append(b.placed, p)
			err := b.ask(ctx, "POST", "/v1/orders", p.key, p.body(b.name, v.country), p.order)
			if no, ok := errors.AsType[*refusal](err); ok {
				p.refused = no.Error()
				b.problemf("invoice %s: order refused: %s", v.number, p.refused)
				continue
			}
			if err != nil {
				return fmt.Errorf("invoice %s: %w", v.number, err)
			}
		}
	}
	return b.follow(ctx)
}

func (p *placement) body(name, country string) string {
	var lines []string
	for _, w := range p.lines {
		lines = append(lines, fmt.Sprintf(`{"sku": %q, "quantity": %d}`, w.sku, w.quantity))
	}
	return fmt.Sprintf(`{"lines": [%s], "address": {"name": "Customer %s", "street": "1 High Street", "city": "Town", "postalCode": "1", "countryCode": %q}}`,
		strings.Join(lines, ", "), name, country)
}

// follow waits for the end of each order.
func (b *buyer) follow(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, b.patience)
	defer cancel()
	for _, p := range b.placed {
		for p.refused == "" && !ended(p.order.GetState()) {
			if !pause(ctx, 500*time.Millisecond) {
				return fmt.Errorf("order %s is still %s", p.order.GetOrderId(), p.order.GetState())
			}
			now := &orderv1.Order{}
			if err := b.ask(ctx, "GET", "/v1/orders/"+p.order.GetOrderId(), "", "", now); err != nil {
				return err
			}
			p.order = now
		}
	}
	return nil
}

func ended(s orderv1.State) bool {
	return s == orderv1.State_REJECTED || s == orderv1.State_CANCELLED || s == orderv1.State_DELIVERED || s == orderv1.State_RETURNED
}

// report prints what is odd about the file: each kind with its number, and the
// first lines or all.
func report(out io.Writer, rows int, odd []oddity, all bool) {
	kinds := map[string][]oddity{}
	refused := map[int]bool{}
	for _, one := range odd {
		kinds[one.kind] = append(kinds[one.kind], one)
		if one.refused {
			refused[one.line] = true
		}
	}
	fmt.Fprintf(out, "%d lines; %d of them are no orders\n", rows, len(refused))
	const some = 3
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		what := "noted"
		if kinds[kind][0].refused {
			what = "refused"
		}
		fmt.Fprintf(out, "  %s: %d lines %s\n", kind, len(kinds[kind]), what)
		for i, one := range kinds[kind] {
			if i == some && !all {
				fmt.Fprintf(out, "    and %d more: -v prints them\n", len(kinds[kind])-some)
				break
			}
			fmt.Fprintf(out, "    line %d: %s\n", one.line, one.text)
		}
	}
}
