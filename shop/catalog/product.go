package main

import (
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	catalogv1 "github.com/gowarren/warren/shop/api/shop/catalog/v1"
)

const (
	maxSKU         = 32
	maxName        = 200
	maxDescription = 4000
	maxCategory    = 100
)

// product is something that the shop sells.
type product struct {
	sku         string
	name        string
	description string
	category    string
	price       price
	version     int64
	created     time.Time
	updated     time.Time
}

// tidied returns the product as it is kept, or what is wrong with it.
func (p product) tidied() (product, error) {
	var err error
	if p.sku, err = tidySKU(p.sku); err != nil {
		return product{}, err
	}
	if p.name, err = tidyName(p.name); err != nil {
		return product{}, err
	}
	if p.category, err = tidyCategory(p.category); err != nil {
		return product{}, err
	}
	if p.description, err = tidyLines(p.description); err != nil {
		return product{}, refuse(catalogv1.Reason_BAD_DESCRIPTION, "description", "the description %w", err)
	}
	if utf8.RuneCountInString(p.description) > maxDescription {
		return product{}, refuse(catalogv1.Reason_BAD_DESCRIPTION, "description", "the description is longer than %d characters", maxDescription)
	}
	return p, p.price.check()
}

// tidySKU returns the code in its one form: codes are compared without case.
func tidySKU(sku string) (string, error) {
	sku = strings.ToUpper(strings.TrimSpace(sku))
	alphanumeric := func(r rune) bool { return '0' <= r && r <= '9' || 'A' <= r && r <= 'Z' }
	for i, r := range sku {
		if !alphanumeric(r) && (i == 0 || !strings.ContainsRune("._-", r)) {
			return "", refuse(catalogv1.Reason_BAD_SKU, "sku", "%q is no product code: letters, digits, and then . _ -", shorten(sku, 40))
		}
	}
	if sku == "" || len(sku) > maxSKU {
		return "", refuse(catalogv1.Reason_BAD_SKU, "sku", "a product code has 1 to %d characters", maxSKU)
	}
	return sku, nil
}

func tidyName(name string) (string, error) {
	name, err := tidy(name)
	if err != nil {
		return "", refuse(catalogv1.Reason_BAD_NAME, "name", "the name %w", err)
	}
	if !strings.ContainsFunc(name, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }) {
		return "", refuse(catalogv1.Reason_BAD_NAME, "name", "the name has neither a letter nor a digit")
	}
	if utf8.RuneCountInString(name) > maxName {
		return "", refuse(catalogv1.Reason_BAD_NAME, "name", "the name is longer than %d characters", maxName)
	}
	return name, nil
}

func tidyCategory(category string) (string, error) {
	category, err := tidy(category)
	if err != nil {
		return "", refuse(catalogv1.Reason_BAD_CATEGORY, "category", "the category %w", err)
	}
	if category == "" || utf8.RuneCountInString(category) > maxCategory {
		return "", refuse(catalogv1.Reason_BAD_CATEGORY, "category", "a category has 1 to %d characters", maxCategory)
	}
	return category, nil
}

// changeable lists what an update may change.
var changeable = []string{"name", "description", "category", "price"}

// parts lists what of a price may be changed by itself: the gateway names each
// field that a PATCH sends, those of messages inside by their paths.
var parts = []string{"price.minor_units", "price.currency_code"}

// identifying lists what an update says beside the changes. The gateway puts all
// that a PATCH sends into the mask, so they may stand there.
var identifying = []string{"sku", "version"}

// changes returns which fields an update changes: those of the mask, or those
// that are set in p if there is no mask.
func changes(mask []string, p product) ([]string, error) {
	if len(mask) == 0 {
		mask = p.set()
	}
	if slices.Equal(mask, []string{"*"}) {
		return slices.Clone(changeable), nil
	}
	var out []string
	for _, field := range mask {
		switch {
		case slices.Contains(changeable, field), slices.Contains(parts, field):
			out = append(out, field)
		case !slices.Contains(identifying, field):
			return nil, refuse(catalogv1.Reason_BAD_FIELD_MASK, "update_mask",
				"%q cannot be changed; %s can", shorten(field, 60), strings.Join(changeable, ", "))
		}
	}
	if len(out) == 0 {
		return nil, refuse(catalogv1.Reason_BAD_FIELD_MASK, "update_mask", "nothing is to be changed")
	}
	return out, nil
}

// set lists the fields that are set.
func (p product) set() []string {
	var out []string
	for i, set := range []bool{p.name != "", p.description != "", p.category != "", p.price != price{}} {
		if set {
			out = append(out, changeable[i])
		}
	}
	return out
}

// with returns the product with the fields of an update taken over.
func (p product) with(update product, fields []string) product {
	for _, field := range fields {
		switch field {
		case "name":
			p.name = update.name
		case "description":
			p.description = update.description
		case "category":
			p.category = update.category
		case "price":
			p.price = update.price
		case "price.minor_units":
			p.price.units = update.price.units
		case "price.currency_code":
			p.price.currency = update.price.currency
		}
	}
	return p
}

// says reports whether both say the same of what a person can change.
func (p product) says(q product) bool {
	return p.name == q.name && p.description == q.description && p.category == q.category && p.price == q.price
}
