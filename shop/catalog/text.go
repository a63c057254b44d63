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
	words := strings.Fields(norm.NFC.String(text))
	text = strings.Join(words, " ")
	if strings.ContainsFunc(text, unseen) {
		return "", errUnseen
	}
	return text, nil
}

// tidyLines is tidy for text of several lines.
func tidyLines(text string) (string, error) {
	text = strings.ReplaceAll(norm.NFC.String(text), "\r\n", "\n")
	if strings.ContainsFunc(text, func(r rune) bool { return r != '\n' && r != '\t' && unseen(r) }) {
		return "", errUnseen
	}
	return strings.TrimSpace(text), nil
}

// unseen lets the joiners pass of which emoji and some scripts are made.
func unseen(r rune) bool {
	const nonJoiner, joiner = '\u200c', '\u200d'
	if r == nonJoiner || r == joiner {
		return false
	}
	return unicode.Is(unicode.C, r) || r == unicode.ReplacementChar
}

// fold is the text as search sees it: lower case, without accents and signs,
// with a space before and after each word. It is empty if there is no word.
func fold(text string) string {
	var b strings.Builder
	gap := true
	for _, r := range norm.NFKD.String(text) {
		switch {
		case unicode.Is(unicode.Mn, r), r == '\'', r == '’':
			continue // "children's" is found as "childrens"
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			gap = true
			continue
		case gap:
			b.WriteByte(' ')
			gap = false
		}
		b.WriteRune(unicode.ToLower(r))
	}
	if b.Len() > 0 {
		b.WriteByte(' ')
	}
	return b.String()
}

// shorten cuts a text to at most so many characters.
func shorten(text string, most int) string {
	n := 0
	for i := range text {
		if n == most {
			return text[:i]
		}
		n++
	}
	return text
}
