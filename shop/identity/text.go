package main

import (
	"errors"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

var errUnseen = errors.New("holds characters that cannot be seen")

// tidy makes one text of all that look the same: composed, without spaces at
// the ends, and with one space between words. What cannot be seen (control
// characters, marks that turn the direction of writing) is refused.
func tidy(text string) (string, error) {
	text = strings.Join(strings.Fields(norm.NFC.String(text)), " ")
	if strings.ContainsFunc(text, unseen) {
		return "", errUnseen
	}
	return text, nil
}

// unseen lets the joiners pass of which emoji and some scripts are made.
func unseen(r rune) bool {
	const nonJoiner, joiner = '\u200c', '\u200d'
	if r == nonJoiner || r == joiner {
		return false
	}
	return unicode.Is(unicode.C, r) || r == unicode.ReplacementChar
}
