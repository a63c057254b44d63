package console

import (
	"slices"
	"strings"
)

// want is what may stand at a place of a query.
type want int

const (
	wantNothing want = iota
	wantExpression
	wantLabel
	wantValue
	wantTime
)

// place is where in a query somebody types.
type place struct {
	want
	typed  string // of what stands there
	metric string // of the selector, within braces
	label  string // of the value
}

// placeAt reads a query up to where somebody types. It understands what is
// needed for that, and no more: the query need not be whole, or right.
func placeAt(before string) place {
	in, quote := scan(before)
	if quote >= 0 {
		if in.kind != '{' {
			return place{}
		}
		label := wordBefore(strings.TrimRight(before[:quote], "=~! "))
		return place{want: wantValue, typed: before[quote+1:], metric: in.word, label: label}
	}
	typed := trailing(before)
	last := strings.TrimRight(before[:len(before)-len(typed)], " \n\t")
	switch {
	case in.kind == '[':
		return place{want: wantTime, typed: before[strings.LastIndexByte(before, '[')+1:]}
	case in.kind == '{', in.kind == '(' && slices.Contains(labelLists(), strings.ToLower(in.word)):
		return labelPlace(in, last, typed)
	case typed != "" && typed[0] >= '0' && typed[0] <= '9', typed == "" && last != "" && strings.Contains(")]}\"'`", last[len(last)-1:]):
		return place{} // a number, or behind something that is whole
	}
	return place{want: wantExpression, typed: typed}
}

// labelPlace is where a label may stand: at the beginning of a list, and behind
// a comma.
func labelPlace(in bracket, last, typed string) place {
	if !strings.HasSuffix(last, string(in.kind)) && !strings.HasSuffix(last, ",") {
		return place{}
	}
	p := place{want: wantLabel, typed: typed}
	if in.kind == '{' {
		p.metric = in.word
	}
	return p
}

// scan finds the innermost bracket that is open, and where a text begins that is
// not closed; -1: none.
func scan(before string) (in bracket, quote int) {
	var open []bracket
	quote = -1
	for i := 0; i < len(before); i++ {
		c := before[i]
		switch {
		case quote >= 0 && c == '\\' && before[quote] != '`':
			i++
		case quote >= 0 && c == before[quote]:
			quote = -1
		case quote >= 0:
		case strings.IndexByte("\"'`", c) >= 0:
			quote = i
		case strings.IndexByte("([{", c) >= 0:
			open = append(open, bracket{c, wordBefore(before[:i])})
		case strings.IndexByte(")]}", c) >= 0 && len(open) > 0:
			open = open[:len(open)-1]
		}
	}
	if len(open) > 0 {
		in = open[len(open)-1]
	}
	return in, quote
}

// bracket is one that is open, with the word before it.
type bracket struct {
	kind byte
	word string
}

// labelLists are the words before a list of labels.
func labelLists() []string {
	return []string{"by", "without", "on", "ignoring", "group_left", "group_right"}
}

func wordBefore(text string) string { return trailing(strings.TrimRight(text, " \n\t")) }

// trailing is the name that a text ends with.
func trailing(text string) string {
	i := len(text)
	for i > 0 && nameByte(text[i-1]) {
		i--
	}
	return text[i:]
}

func nameByte(c byte) bool {
	return c == '_' || c == ':' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// metricsIn are the names in a query that may be metrics.
func metricsIn(query string) []string {
	var out []string
	known := map[string]bool{}
	for _, w := range promWords() {
		known[w.Text] = true
	}
	for i := range len(query) {
		if !nameByte(query[i]) || i > 0 && nameByte(query[i-1]) {
			continue
		}
		end := i
		for end < len(query) && nameByte(query[end]) {
			end++
		}
		name := query[i:end]
		starts := name[0] < '0' || name[0] > '9'
		if p := placeAt(query[:i+1]); starts && p.want == wantExpression && !known[strings.ToLower(name)] && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	const most = 10
	return out[:min(most, len(out))]
}

// promWords are the functions and words of PromQL.
func promWords() []option {
	var out []option
	add := func(kind string, words ...string) {
		for _, w := range words {
			name, help, _ := strings.Cut(w, " ")
			out = append(out, option{Text: name, Kind: kind, Help: help})
		}
	}
	add(
		"aggregation",
		"sum adds up", "avg is the mean", "min is the least", "max is the most", "count counts series", "topk are the k largest",
		"bottomk are the k smallest", "quantile is a quantile over series", "stddev is the standard deviation", "stdvar is the variance",
		"group is 1 for each group", "count_values counts equal values",
	)
	add(
		"function",
		"rate per second, of a counter", "increase over a time, of a counter", "irate per second, of the last two points",
		"delta of a gauge over a time", "idelta of the last two points", "deriv per second, of a gauge",
		"predict_linear where a gauge will be", "histogram_quantile of a histogram's buckets", "histogram_count of a native histogram",
		"histogram_sum of a native histogram", "histogram_avg of a native histogram", "histogram_fraction between two bounds",
		"avg_over_time", "min_over_time", "max_over_time", "sum_over_time", "count_over_time", "quantile_over_time", "stddev_over_time",
		"stdvar_over_time", "last_over_time", "present_over_time", "absent_over_time", "changes of a value over a time",
		"resets of a counter over a time", "absent is 1 where there is nothing", "abs", "ceil", "floor", "round", "exp", "ln", "log2",
		"log10", "sqrt", "sgn", "clamp between two bounds", "clamp_max", "clamp_min", "label_replace by a regular expression",
		"label_join", "scalar of one series", "vector of a number", "sort", "sort_desc", "time now, in seconds since 1970",
		"timestamp of the sample", "minute", "hour", "day_of_week", "day_of_month", "day_of_year", "days_in_month", "month", "year",
	)
	add(
		"keyword",
		"by keeps these labels", "without drops these labels", "on matches by these labels", "ignoring matches by the others",
		"group_left many to one", "group_right one to many", "and", "or", "unless", "bool", "offset looks back",
	)
	return out
}
