package store

import "strings"

// kind is what a token of SQL is.
type kind int

const (
	kindSpace kind = iota // white space and comments
	kindWord
	kindQuoted // strings, quoted names and dollar-quoted bodies
	kindMark   // ? in the place of an argument
	kindSymbol // anything else, one byte at a time
)

type token struct {
	kind kind
	text string
}

func (t token) is(word string) bool {
	return t.kind == kindWord && strings.EqualFold(t.text, word)
}

// scan cuts SQL into tokens; joined, they are the SQL again. It knows enough to
// never take a question mark or a semicolon inside of a string or a comment for
// one of its own.
func scan(text string) []token {
	var out []token
	for len(text) > 0 {
		k, n := next(text)
		out = append(out, token{k, text[:n]})
		text = text[n:]
	}
	return out
}

func next(s string) (kind, int) {
	switch c := s[0]; {
	case c == ' ' || c == '\t' || c == '\n' || c == '\r':
		return kindSpace, len(s) - len(strings.TrimLeft(s, " \t\n\r"))
	case strings.HasPrefix(s, "--"):
		return kindSpace, until(s, 2, "\n")
	case strings.HasPrefix(s, "/*"):
		return kindSpace, until(s, 2, "*/")
	case c == '\'' || c == '"' || c == '`':
		return kindQuoted, quoted(s, c)
	case c == '$':
		return dollar(s)
	case c == '?':
		if strings.HasPrefix(s, "??") { // an operator of PostgreSQL, escaped
			return kindSymbol, 2
		}
		return kindMark, 1
	case wordByte(c):
		n := 1
		for n < len(s) && (wordByte(s[n]) || s[n] == '$') {
			n++
		}
		return kindWord, n
	default:
		return kindSymbol, 1
	}
}

func wordByte(c byte) bool {
	return c == '_' || c >= 0x80 || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// until returns the length up to and with the end mark, looking from start on.
func until(s string, start int, end string) int {
	if i := strings.Index(s[start:], end); i >= 0 {
		return start + i + len(end)
	}
	return len(s)
}

// quoted returns the length of what quote opens; a doubled quote is data.
func quoted(s string, quote byte) int {
	for i := 1; i < len(s); i++ {
		if s[i] != quote {
			continue
		}
		if i+1 < len(s) && s[i+1] == quote {
			i++
			continue
		}
		return i + 1
	}
	return len(s)
}

// dollar reads PostgreSQL's $tag$ … $tag$.
func dollar(s string) (kind, int) {
	n := 1
	for n < len(s) && wordByte(s[n]) {
		n++
	}
	if n < len(s) && s[n] == '$' && (n == 1 || s[1] > '9') {
		return kindQuoted, until(s, n+1, s[:n+1])
	}
	return kindSymbol, 1
}
