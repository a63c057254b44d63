package store

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// statement is a query as the engine takes it, and what it is called in metrics.
type statement struct {
	text  string // for the engine
	op    string // SELECT
	table string // products; may be empty
	marks int    // how many arguments it takes
	// absorb: a taken key means "nothing inserted" and is no error. It stands for
	// ON CONFLICT DO NOTHING on MySQL.
	absorb bool
	timing *timing
}

// summary names the statement in errors, spans and logs: "select products".
func (s *statement) summary() string {
	if s.table == "" {
		return strings.ToLower(s.op)
	}
	return strings.ToLower(s.op) + " " + s.table
}

// maxStatements bounds the translated texts kept. Programs have some hundreds;
// one that glues values into its SQL would otherwise grow without end.
const maxStatements = 2048

// statements keeps what was translated already.
type statements struct {
	dialect Dialect
	mu      sync.RWMutex
	known   map[string]*statement
}

func newStatements(d Dialect) *statements {
	return &statements{dialect: d, known: map[string]*statement{}}
}

func (c *statements) get(text string, m *metrics) (*statement, error) {
	c.mu.RLock()
	s := c.known[text]
	c.mu.RUnlock()
	if s != nil {
		return s, nil
	}
	s, err := translate(c.dialect, text)
	if err != nil {
		return nil, err
	}
	s.timing = m.timing(s.op, s.table)
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.known) >= maxStatements {
		clear(c.known)
	}
	c.known[text] = s
	return s, nil
}

// translate turns the portable SQL into the dialect's.
func translate(d Dialect, text string) (*statement, error) {
	tokens := scan(strings.TrimRight(strings.TrimSpace(text), "; \n\t"))
	s := &statement{}
	s.op, s.table = describe(tokens)
	if s.op == "" {
		return nil, errors.New("statement is empty")
	}
	var err error
	switch d {
	case PostgreSQL:
		number(tokens)
	case SQLite:
		tokens = dropForUpdate(tokens)
	case MySQL:
		tokens, s.absorb, err = onDuplicate(tokens)
	}
	if err != nil {
		return nil, fmt.Errorf("translate %s: %w", s.summary(), err)
	}
	for _, t := range tokens {
		if t.kind == kindMark {
			s.marks++
		}
	}
	s.text = join(tokens)
	return s, nil
}

// values are the arguments as the database takes them.
func (s *statement) values(args []any) ([]any, error) {
	if len(args) != s.marks {
		return nil, fmt.Errorf("%s: statement has %d placeholders, got %d arguments", s.summary(), s.marks, len(args))
	}
	values, err := toDatabase(args)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.summary(), err)
	}
	return values, nil
}

func join(tokens []token) string {
	var b strings.Builder
	for _, t := range tokens {
		if t.text == "??" {
			t.text = "?"
		}
		b.WriteString(t.text)
	}
	return b.String()
}

// number writes PostgreSQL's $1, $2, … for the question marks.
func number(tokens []token) {
	n := 0
	for i, t := range tokens {
		if t.kind == kindMark {
			n++
			tokens[i].text = "$" + strconv.Itoa(n)
		}
	}
}

// describe finds the verb and the first table of a statement.
func describe(tokens []token) (op, table string) {
	words := significant(tokens)
	depth := 0
	for i, at := range words {
		t := tokens[at]
		switch t.text {
		case "(":
			depth++
		case ")":
			depth--
		}
		switch {
		case op == "" && t.kind == kindWord && !t.is("with"):
			op = strings.ToUpper(t.text)
		case op == "":
			// WITH: the verb is the one outside of the parentheses.
			op = verbAfterWith(tokens, words[i+1:])
		}
		named := t.is("from") || t.is("into") || t.is("update") && i == 0 || t.is("table")
		if named && depth == 0 && i+1 < len(words) {
			return op, tableName(tokens, words[i+1:])
		}
	}
	return op, ""
}

func verbAfterWith(tokens []token, words []int) string {
	depth := 0
	for _, at := range words {
		switch t := tokens[at]; {
		case t.text == "(":
			depth++
		case t.text == ")":
			depth--
		case depth == 0 && (t.is("select") || t.is("insert") || t.is("update") || t.is("delete")):
			return strings.ToUpper(t.text)
		}
	}
	return "WITH"
}

func tableName(tokens []token, words []int) string {
	for _, at := range words {
		t := tokens[at]
		if t.is("if") || t.is("not") || t.is("exists") || t.is("only") {
			continue
		}
		if t.kind == kindWord || t.kind == kindQuoted {
			return strings.Trim(t.text, "\"`")
		}
		return ""
	}
	return ""
}

// significant lists the tokens that are neither space nor comment.
func significant(tokens []token) []int {
	out := make([]int, 0, len(tokens))
	for i, t := range tokens {
		if t.kind != kindSpace {
			out = append(out, i)
		}
	}
	return out
}

// dropForUpdate takes FOR UPDATE away, with what may follow it: on SQLite a
// transaction that writes is the only one.
func dropForUpdate(tokens []token) []token {
	words := significant(tokens)
	for i := 0; i+1 < len(words); i++ {
		if tokens[words[i]].is("for") && tokens[words[i+1]].is("update") {
			return tokens[:words[i]]
		}
	}
	return tokens
}

// onDuplicate writes ON CONFLICT in MySQL's way. DO NOTHING has no equal there:
// IGNORE would hide other mistakes too, so the duplicate is absorbed afterwards.
func onDuplicate(tokens []token) (out []token, absorb bool, err error) {
	words := significant(tokens)
	for i := 0; i+1 < len(words); i++ {
		if !tokens[words[i]].is("on") || !tokens[words[i+1]].is("conflict") {
			continue
		}
		do := i + 2
		for do < len(words) && !tokens[words[do]].is("do") {
			do++
		}
		if do+1 >= len(words) {
			return nil, false, errors.New("ON CONFLICT without DO NOTHING or DO UPDATE SET")
		}
		before := tokens[:words[i]]
		if tokens[words[do+1]].is("nothing") {
			return before, true, nil
		}
		if do+2 >= len(words) || !tokens[words[do+1]].is("update") || !tokens[words[do+2]].is("set") {
			return nil, false, errors.New("ON CONFLICT without DO NOTHING or DO UPDATE SET")
		}
		after, err := excluded(tokens[words[do+2]+1:])
		out := append(before[:len(before):len(before)], token{kindWord, "ON DUPLICATE KEY UPDATE"})
		return append(out, after...), false, err
	}
	return tokens, false, nil
}

// excluded writes VALUES(x) for excluded.x.
func excluded(tokens []token) ([]token, error) {
	var out []token
	for i := 0; i < len(tokens); i++ {
		t := tokens[i]
		if t.is("where") {
			return nil, errors.New("MySQL knows no WHERE after ON CONFLICT DO UPDATE")
		}
		if t.is("excluded") && i+2 < len(tokens) && tokens[i+1].text == "." {
			out = append(out, token{kindWord, "VALUES(" + tokens[i+2].text + ")"})
			i += 2
			continue
		}
		out = append(out, t)
	}
	return out, nil
}
