package console

import "strings"

// run is a piece of a text: words, code, or words that matter.
type run struct {
	Text         string
	Code, Strong bool
}

// prose reads paragraphs with `code` and *emphasis*, which is the Markdown that
// runbooks are written in.
func prose(text string) [][]run {
	var out [][]run
	for paragraph := range strings.SplitSeq(text, "\n\n") {
		if paragraph = strings.TrimSpace(paragraph); paragraph != "" {
			out = append(out, runs(strings.ReplaceAll(paragraph, "\n", " ")))
		}
	}
	return out
}

func runs(text string) []run {
	var out []run
	add := func(one run) {
		if one.Text != "" {
			out = append(out, one)
		}
	}
	for {
		at := strings.IndexAny(text, "`*")
		if at < 0 {
			add(run{Text: text})
			return out
		}
		mark := text[at : at+1]
		inner, rest, closed := strings.Cut(text[at+1:], mark)
		if !closed || inner == "" || mark == "*" && inner[0] == ' ' { // a sign like any other
			add(run{Text: text[:at+1]})
			text = text[at+1:]
			continue
		}
		add(run{Text: text[:at]})
		add(run{Text: inner, Code: mark == "`", Strong: mark == "*"})
		text = rest
	}
}
