package main

import catalogv1 "github.com/gowarren/warren/shop/api/shop/catalog/v1"

// field is one field of a form.
type field struct {
	Name, Label, Value, Type, Complete, Mode, Error string
	Most                                            int
}

const fieldMost = 256

func textField(name, label, value, kind, complete, fault string) field {
	return field{Name: name, Label: label, Value: value, Type: kind, Complete: complete, Error: fault, Most: fieldMost}
}

func numericField(name, label, value, complete string, most int, fault string) field {
	mode := "numeric"
	if name == "amount" {
		mode = "decimal"
	}
	return field{Name: name, Label: label, Value: value, Type: "text", Complete: complete, Mode: mode, Error: fault, Most: most}
}

// tile is a product in a grid.
type tile struct {
	Product *catalogv1.Product
	Badge   string // "out", "low", or nothing worth saying
}

func newTile(p *catalogv1.Product, badge string) tile { return tile{p, badge} }

// badgeOf is what is said on a product's tile about its stock.
func badgeOf(known map[string]stock, sku string) string {
	switch word := known[sku].Word(); word {
	case "out", "low":
		return word
	}
	return ""
}
