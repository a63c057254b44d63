package main

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	moneyv1 "github.com/gowarren/warren/shop/api/shop/money/v1"
	orderv1 "github.com/gowarren/warren/shop/api/shop/order/v1"
)

// message is the order as the contract has it.
func (o *order) message() *orderv1.Order {
	m := &orderv1.Order{
		OrderId: o.id, CustomerId: o.customer, State: o.state, Reason: o.reason, Version: o.version,
		Total: o.money(o.total), CancelRequested: o.stopWanted,
		Address: &orderv1.Address{
			Name: o.address.name, Street: o.address.street, City: o.address.city,
			PostalCode: o.address.postalCode, CountryCode: o.address.country,
		},
		CreateTime: timestamppb.New(o.created), UpdateTime: timestamppb.New(o.updated),
	}
	for _, l := range o.lines {
		m.Lines = append(m.Lines, &orderv1.Line{Sku: l.sku, Name: l.name, Quantity: int32(l.quantity), Price: o.money(l.price)})
	}
	for _, c := range o.history {
		m.History = append(m.History, &orderv1.Change{State: c.state, Reason: c.reason, Time: timestamppb.New(c.at)})
	}
	return m
}

func (o *order) money(units int64) *moneyv1.Money {
	return &moneyv1.Money{CurrencyCode: o.currency, MinorUnits: units}
}

func addressOf(m *orderv1.Address) address {
	return address{
		name: m.GetName(), street: m.GetStreet(), city: m.GetCity(),
		postalCode: m.GetPostalCode(), country: m.GetCountryCode(),
	}
}
