package coordinator

import "strconv"

// shape is a kind of rows: the columns in which they differ, which are sent as
// arrays, and those in which all have the same, which stands in the statement.
type shape[R any] struct {
	columns []column[R]
	same    []column[R]
	values  map[string]int64 // of same
}

// shapeOf takes what all rows have in some of the columns: a number, or of a text
// and of bytes 0, that they are empty.
func shapeOf[R any](all []column[R], values map[string]int64) shape[R] {
	s := shape[R]{values: values}
	for _, c := range all {
		if _, ok := values[c.name]; ok {
			s.same = append(s.same, c)
		} else {
			s.columns = append(s.columns, c)
		}
	}
	return s
}

// fits reports whether a row has what all of the shape have.
func (s shape[R]) fits(r *R) bool {
	for _, c := range s.same {
		switch {
		case c.text != nil:
			if c.text(r) != "" {
				return false
			}
		case c.bytes != nil:
			if len(c.bytes(r)) > 0 {
				return false
			}
		case c.number(r) != s.values[c.name]:
			return false
		}
	}
	return true
}

// literal is what all rows have in a column, in SQL.
func (s shape[R]) literal(c column[R]) string {
	switch {
	case c.text != nil:
		return "''"
	case c.bytes != nil:
		return "''::bytea"
	}
	return strconv.FormatInt(s.values[c.name], 10)
}

// insert is the part of an INSERT after the name of the table.
func (s shape[R]) insert() string {
	into, from := names(s.columns), names(s.columns)
	for _, c := range s.same {
		into, from = append(into, c.name), append(from, s.literal(c))
	}
	return "(" + list(into) + ") SELECT " + list(from) + " FROM " + s.unnest()
}

// update changes transactions that have the epoch; gid and epoch are the first two
// columns.
func (s shape[R]) update() string {
	var sets []string
	for _, c := range s.columns[2:] {
		sets = append(sets, c.name+" = u."+c.name)
	}
	for _, c := range s.same {
		sets = append(sets, c.name+" = "+s.literal(c))
	}
	return "UPDATE warren_txn t SET " + list(sets) + " FROM " + s.unnest() + " WHERE t.gid = u.gid AND t.epoch = u.epoch"
}

// unnest makes rows, called u, of arrays, one for each column, that of the first
// column last. Only that one is unnested, and the others are read by the number of
// the row: to unnest them all costs several times as much as to write the rows. The
// condition always holds. The planner takes it to leave next to nothing, so that each
// transaction is looked up by its key, and not all of them are read.
func (s shape[R]) unnest() string {
	first, read := s.columns[0], make([]string, len(s.columns))
	read[0] = "key AS " + first.name
	for i, c := range s.columns[1:] {
		read[i+1] = "(?::" + c.arrayType() + ")[n] AS " + c.name
	}
	return "(SELECT " + list(read) + " FROM unnest(?::" + first.arrayType() + ") WITH ORDINALITY AS keys (key, n) WHERE n BETWEEN 1 AND 2147483647) AS u"
}

// arrays turns rows into one array for each column, in the order of unnest.
func (s shape[R]) arrays(rows []*R) []any {
	if len(s.columns) == 0 {
		return nil
	}
	out := make([]any, 0, len(s.columns))
	for _, c := range s.columns[1:] {
		out = append(out, c.array(rows))
	}
	return append(out, s.columns[0].array(rows))
}
