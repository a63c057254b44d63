package config

import (
	"strconv"
	"time"

	"github.com/gowarren/warren/internal/spelled"
)

// Setting is a declared setting whose values are of type T. It doesn't change;
// Watch gives the value in force.
type Setting[T any] struct {
	definition Definition
	fallback   T
	parse      func(string) (T, error)
	format     func(T) string
}

// Definition returns the setting's storable description.
func (s Setting[T]) Definition() Definition { return s.definition }

// Duration declares a setting that is a time span between least and most.
func Duration(name string, def, least, most time.Duration, doc string) Setting[time.Duration] {
	return ranged("duration", name, def, least, most, doc, time.ParseDuration, spelled.Duration)
}

// Int declares a setting that is a whole number between least and most.
func Int(name string, def, least, most int, doc string) Setting[int] {
	return ranged("int", name, def, least, most, doc, strconv.Atoi, strconv.Itoa)
}

// Float declares a setting that is a number between least and most.
func Float(name string, def, least, most float64, doc string) Setting[float64] {
	return ranged("float", name, def, least, most, doc, parseFloat,
		func(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) })
}

// Bool declares a setting that is true or false.
func Bool(name string, def bool, doc string) Setting[bool] {
	return Setting[bool]{
		definition: Definition{Name: name, Type: "bool", Default: strconv.FormatBool(def), Doc: doc},
		fallback:   def, parse: parseBool, format: strconv.FormatBool,
	}
}

// String declares a setting that is any text.
func String(name, def, doc string) Setting[string] {
	return text[string](Definition{Name: name, Type: "string", Default: def, Doc: doc})
}

// Enum declares a setting that is one of a few words.
func Enum(name, def string, oneOf []string, doc string) Setting[string] {
	return text[string](Definition{Name: name, Type: "enum", Default: def, OneOf: oneOf, Doc: doc})
}

// Sensitive declares a setting that is a secret, empty by default.
func Sensitive(name, doc string) Setting[Secret] {
	return text[Secret](Definition{Name: name, Type: "string", Doc: doc, Secret: true})
}

func ranged[T any](kind, name string, def, least, most T, doc string, parse func(string) (T, error), format func(T) string) Setting[T] {
	return Setting[T]{
		definition: Definition{
			Name: name, Type: kind, Default: format(def), Doc: doc,
			Min: format(least), Max: format(most),
		},
		fallback: def, parse: parse, format: format,
	}
}

func text[T ~string](d Definition) Setting[T] {
	return Setting[T]{
		definition: d, fallback: T(d.Default),
		parse:  func(raw string) (T, error) { return T(raw), nil },
		format: func(v T) string { return string(v) },
	}
}
