package main

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	catalogv1 "github.com/gowarren/warren/shop/api/shop/catalog/v1"
	moneyv1 "github.com/gowarren/warren/shop/api/shop/money/v1"
)

// message is the product as the contract has it.
func (p product) message() *catalogv1.Product {
	return &catalogv1.Product{
		Sku: p.sku, Name: p.name, Description: p.description, Category: p.category,
		Price:      &moneyv1.Money{CurrencyCode: p.price.currency, MinorUnits: p.price.units},
		Version:    p.version,
		CreateTime: timestamppb.New(p.created), UpdateTime: timestamppb.New(p.updated),
	}
}

// productOf reads what a person may say of a product. Version and times are
// the service's to say: they are not read.
func productOf(m interface {
	GetSku() string
	GetName() string
	GetDescription() string
	GetCategory() string
	GetPrice() *moneyv1.Money
},
) product {
	return product{
		sku: m.GetSku(), name: m.GetName(), description: m.GetDescription(), category: m.GetCategory(),
		price: price{units: m.GetPrice().GetMinorUnits(), currency: m.GetPrice().GetCurrencyCode()},
	}
}
