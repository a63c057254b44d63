// Package redact knows what must not be written down: values under the names of
// secrets, and card numbers wherever they stand.
package redact

import (
	"strings"
	"unicode"
)

// Redacted stands where a secret was.
const Redacted = "[redacted]"

// Key says whether what has this name is a secret. Long words count wherever
// they stand ("accessToken"), short ones only by themselves ("card_number", but
// not "discarded"). That hides "tokens_left" too: better a number hidden than a
// token shown.
func Key(key string) bool {
	lower := strings.ToLower(key)
	for _, part := range [...]string{
		"password", "passwd", "passphrase", "secret", "token", "authorization", "credential", "cookie",
		"apikey", "api_key", "api-key", "privatekey", "private_key", "private-key",
	} {
		if strings.Contains(lower, part) {
			return true
		}
	}
	if !hasShort(lower) {
		return false
	}
	for _, word := range words(key) {
		switch word {
		case "card", "cards", "cvv", "cvc", "pin", "iban", "jwt":
			return true
		}
	}
	return false
}

// hasShort spares most names from being split.
func hasShort(lower string) bool {
	for _, part := range [...]string{"card", "cvv", "cvc", "pin", "iban", "jwt"} {
		if strings.Contains(lower, part) {
			return true
		}
	}
	return false
}

// words splits "card_number", "card-number" and "cardNumber" alike; "userPIN" has
// two words, and "PINCode", too.
func words(key string) []string {
	var b strings.Builder
	letters := []rune(key)
	for i, r := range letters {
		begins := i > 0 && unicode.IsUpper(r) && (!unicode.IsUpper(letters[i-1]) || i+1 < len(letters) && unicode.IsLower(letters[i+1]))
		if begins {
			b.WriteByte(' ')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return strings.FieldsFunc(b.String(), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}

// Card numbers have 13 to 19 digits, the last of which checks the others, and
// begin with 2 to 6: so a time in nanoseconds is none.
const (
	leastDigits, mostDigits = 13, 19
	firstDigits             = "23456"
)

// Text replaces the card numbers in a text, also those written in groups, and
// returns how many there were.
func Text(s string) (string, int) {
	if len(s) < leastDigits {
		return s, 0
	}
	n, kept := 0, 0
	var b strings.Builder
	for i := 0; i < len(s); {
		if !digit(s[i]) {
			i++
			continue
		}
		end, digits := run(s, i)
		if digits >= leastDigits && !inWord(s, i, end) {
			if from, to, ok := cardIn(s[i:end]); ok {
				b.WriteString(s[kept : i+from])
				b.WriteString(Redacted)
				kept = i + to
				n++
				i = kept
				continue
			}
		}
		i = end
	}
	if n == 0 {
		return s, 0
	}
	b.WriteString(s[kept:])
	return b.String(), n
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

// run is where digits, with single blanks or hyphens between them, end.
func run(s string, i int) (end, digits int) {
	for i < len(s) {
		switch {
		case digit(s[i]):
			digits++
			i++
			end = i
		case (s[i] == ' ' || s[i] == '-') && i+1 < len(s) && digit(s[i+1]):
			i++
		default:
			return end, digits
		}
	}
	return end, digits
}

// inWord says whether the digits are part of something longer, as in a
// hexadecimal id.
func inWord(s string, from, to int) bool {
	letter := func(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' }
	return from > 0 && letter(s[from-1]) || to < len(s) && letter(s[to])
}

// cardIn finds a card number in a run: all of it if it is written in one
// piece, or groups of it, since the number before may be an amount.
func cardIn(s string) (from, to int, ok bool) {
	starts, ends := groups(s)
	for a := range starts {
		for b := len(ends) - 1; b >= a; b-- {
			if card(s[starts[a]:ends[b]]) {
				return starts[a], ends[b], true
			}
		}
	}
	return 0, 0, false
}

func groups(s string) (starts, ends []int) {
	for i := range len(s) {
		if digit(s[i]) && (i == 0 || !digit(s[i-1])) {
			starts = append(starts, i)
		}
		if digit(s[i]) && (i == len(s)-1 || !digit(s[i+1])) {
			ends = append(ends, i+1)
		}
	}
	const most = 64 // groups looked at: the rest of an endless row of numbers is no card
	return starts[:min(most, len(starts))], ends[:min(most, len(ends))]
}

func card(s string) bool {
	if strings.IndexByte(firstDigits, s[0]) < 0 {
		return false
	}
	sum, digits := 0, 0
	for i := len(s) - 1; i >= 0; i-- {
		if !digit(s[i]) {
			continue
		}
		d := int(s[i] - '0')
		if digits%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
		digits++
		if digits > mostDigits {
			return false
		}
	}
	return digits >= leastDigits && sum%10 == 0
}
