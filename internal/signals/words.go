package signals

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	"github.com/gowarren/warren/rpc"
)

// words are what a query looks for: in the store as its full-text search
// understands it, and in lines as they come.
type words []word

type word struct {
	tokens []string // one after the other
	prefix bool     // the last one is how a word begins
	not    bool
}

// mostWords is how many words a query may have: the full-text search takes no
// more than a few hundred.
const mostWords = 64

// readWords reads a query as people type it.
func readWords(query string) (words, error) {
	var out words
	rest := strings.TrimSpace(query)
	for rest != "" {
		var w word
		rest, w.not = cutPrefix(rest, "-")
		var text string
		if quoted, ok := strings.CutPrefix(rest, `"`); ok {
			var closed bool
			if text, rest, closed = strings.Cut(quoted, `"`); !closed {
				return nil, rpc.Errorf(observev1.TraceReason_BAD_SEARCH, `a quotation mark is not closed: %s`, query)
			}
			rest, w.prefix = cutPrefix(rest, "*")
		} else {
			end := strings.IndexFunc(rest, unicode.IsSpace)
			if end < 0 {
				end = len(rest)
			}
			text, rest = rest[:end], rest[end:]
			text, w.prefix = strings.CutSuffix(text, "*")
		}
		rest = strings.TrimSpace(rest)
		if w.tokens = tokens(text); len(w.tokens) > 0 {
			out = append(out, w)
		}
	}
	if len(out) > mostWords {
		return nil, rpc.Errorf(observev1.TraceReason_BAD_SEARCH, "a search has at most %d words, and not %d", mostWords, len(out))
	}
	if len(out) > 0 && !out.positive() {
		return nil, rpc.Errorf(observev1.TraceReason_BAD_SEARCH, "a search needs a word that stands in the line, too")
	}
	return out, nil
}

func cutPrefix(s, prefix string) (string, bool) { return strings.CutPrefix(s, prefix) }

func (w words) positive() bool {
	for _, one := range w {
		if !one.not {
			return true
		}
	}
	return false
}

// fts is the query for SQLite's FTS5.
func (w words) fts() string {
	var is, not []string
	for _, one := range w {
		text := `"` + strings.Join(one.tokens, " ") + `"`
		if one.prefix {
			text += " *"
		}
		if one.not {
			not = append(not, text)
		} else {
			is = append(is, text)
		}
	}
	out := strings.Join(is, " AND ")
	for _, text := range not {
		out = "(" + out + ") NOT " + text
	}
	return out
}

// match says whether a line has the words.
func (w words) match(text string) bool {
	if len(w) == 0 {
		return true
	}
	have := tokens(text)
	for _, one := range w {
		if one.in(have) == one.not {
			return false
		}
	}
	return true
}

func (w word) in(have []string) bool {
	for i := range have {
		if i+len(w.tokens) > len(have) {
			return false
		}
		if w.begins(have[i:]) {
			return true
		}
	}
	return false
}

func (w word) begins(have []string) bool {
	last := len(w.tokens) - 1
	for j, token := range w.tokens {
		if have[j] != token && (j != last || !w.prefix || !strings.HasPrefix(have[j], token)) {
			return false
		}
	}
	return true
}

// tokens cuts a text as the tokenizer unicode61 does: letters and digits, in
// lower case, without accents.
func tokens(text string) []string {
	plain := strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return unicode.ToLower(r)
	}, norm.NFD.String(text))
	return strings.FieldsFunc(plain, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsNumber(r) && !unicode.Is(unicode.Co, r)
	})
}
