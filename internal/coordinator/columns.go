package coordinator

// column is what a table has of each R: a text, bytes, or a number. That is said
// in one place for what is written row by row and for what is written as arrays.
type column[R any] struct {
	name   string
	text   func(*R) string
	bytes  func(*R) []byte
	number func(*R) int64
}

func text[R any](name string, of func(*R) string) column[R] {
	return column[R]{name: name, text: of}
}

func binary[R any](name string, of func(*R) []byte) column[R] {
	return column[R]{name: name, bytes: of}
}

func number[R any](name string, of func(*R) int64) column[R] {
	return column[R]{name: name, number: of}
}

// value is what the column has of one.
func (c column[R]) value(r *R) any {
	switch {
	case c.text != nil:
		return c.text(r)
	case c.bytes != nil:
		return blob(c.bytes(r))
	}
	return c.number(r)
}

// array is what the column has of many.
func (c column[R]) array(rows []*R) any {
	switch {
	case c.text != nil:
		return collect(rows, c.text)
	case c.bytes != nil:
		return collect(rows, func(r *R) []byte { return blob(c.bytes(r)) })
	}
	return collect(rows, c.number)
}

// arrayType is that of array, as PostgreSQL calls it.
func (c column[R]) arrayType() string {
	switch {
	case c.text != nil:
		return "text[]"
	case c.bytes != nil:
		return "bytea[]"
	}
	return "bigint[]"
}

func collect[R, V any](rows []*R, of func(*R) V) []V {
	values := make([]V, len(rows))
	for i, r := range rows {
		values[i] = of(r)
	}
	return values
}

func names[R any](columns []column[R]) []string {
	list := make([]string, len(columns))
	for i, c := range columns {
		list[i] = c.name
	}
	return list
}
