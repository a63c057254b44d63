package config

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Definition is what there is to know about a setting, in a form that can be
// stored: services publish theirs, so that a value can be checked by programs
// that know nothing of the service. Values are text, as a person writes them.
type Definition struct {
	Name    string `json:"name"`
	Type    string `json:"type"` // duration, int, float, bool, string or enum
	Default string `json:"default"`
	Doc     string `json:"doc,omitempty"`
	// Min and Max are the smallest and largest allowed value; empty is no limit.
	Min string `json:"min,omitempty"`
	Max string `json:"max,omitempty"`
	// OneOf lists the values of an enum.
	OneOf []string `json:"one_of,omitempty"`
	// Secret values are never shown.
	Secret bool `json:"secret,omitempty"`
}

var nameForm = regexp.MustCompile(`^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*$`)

// Check tells what is wrong with a value of this setting: nil, or an error that
// says what would be right.
func (d Definition) Check(raw string) error {
	show := strconv.Quote(raw)
	if d.Secret {
		show = redacted
	}
	switch d.Type {
	case "duration":
		return check(d, show, raw, time.ParseDuration, "a duration such as 250ms, 2s or 1m30s")
	case "int":
		return check(d, show, raw, strconv.Atoi, "a whole number")
	case "float":
		return check(d, show, raw, parseFloat, "a number")
	case "bool":
		if _, err := parseBool(raw); err != nil {
			return fmt.Errorf("%s: %s is not true or false", d.Name, show)
		}
	case "enum":
		if !slices.Contains(d.OneOf, raw) {
			return fmt.Errorf("%s: %s is not one of %s%s", d.Name, show, strings.Join(d.OneOf, ", "), didYouMean(raw, d.OneOf))
		}
	case "string":
	default:
		return fmt.Errorf("%s: unknown type %q", d.Name, d.Type)
	}
	return nil
}

// valid tells what is wrong with the definition itself.
func (d Definition) valid() error {
	if !nameForm.MatchString(d.Name) {
		return fmt.Errorf("define setting %q: a name is lower-case words joined by dots, such as rpc.retry.attempts", d.Name)
	}
	if err := d.Check(d.Default); err != nil {
		return fmt.Errorf("define setting: default of %w", err)
	}
	return nil
}

func check[T ~int | ~int64 | ~float64](d Definition, show, raw string, parse func(string) (T, error), form string) error {
	v, err := parse(raw)
	if err != nil {
		return fmt.Errorf("%s: %s is not %s", d.Name, show, form)
	}
	if d.Min != "" {
		if least, err := parse(d.Min); err != nil || v < least {
			return fmt.Errorf("%s: %s is less than the smallest allowed value, %s", d.Name, show, d.Min)
		}
	}
	if d.Max != "" {
		if most, err := parse(d.Max); err != nil || v > most {
			return fmt.Errorf("%s: %s is more than the largest allowed value, %s", d.Name, show, d.Max)
		}
	}
	return nil
}

func parseFloat(raw string) (float64, error) {
	f, err := strconv.ParseFloat(raw, 64)
	if err == nil && (math.IsNaN(f) || math.IsInf(f, 0)) {
		return 0, errors.New("not a finite number")
	}
	return f, err
}

// parseBool takes true and false only: "1", "t" or "yes" in a file is more
// often a slip than a wish.
func parseBool(raw string) (bool, error) {
	switch raw {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, errors.New("not true or false")
}
