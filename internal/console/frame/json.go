package frame

import (
	"encoding/json"
	"io"
	"math"
	"strconv"
	"strings"
)

// writeJSON writes the table as a list of objects for other programs: a member
// for each column that has a name, numbers as numbers, moments as RFC 3339,
// null where there is nothing.
func (t *Table) writeJSON(w io.Writer) error {
	names := t.names()
	rows := make([]map[string]any, 0, len(t.Rows))
	for _, row := range t.Rows {
		one := map[string]any{}
		for i, c := range row.Cells {
			if names[i] != "" {
				one[names[i]] = c.plain(t.Columns[i].Number)
			}
		}
		rows = append(rows, one)
	}
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	return out.Encode(rows)
}

// names are what programs call the columns: their keys, else their titles with
// underscores. Columns for people only, with links, have none.
func (t *Table) names() []string {
	var out []string
	for _, c := range t.Columns {
		name := c.Key
		if name == "" {
			name = strings.ReplaceAll(strings.ToLower(c.Title), " ", "_")
		}
		out = append(out, name)
	}
	return out
}

// plain is the value of a cell, without what makes it nice to read.
func (c Cell) plain(number bool) any {
	if len(c.Chips) > 0 {
		return c.Chips
	}
	text := c.words()
	if text == "" || text == "–" {
		return nil
	}
	if !number || !c.Time.IsZero() {
		return text
	}
	if c.Order != 0 && !math.IsNaN(c.Order) && !math.IsInf(c.Order, 0) {
		return c.Order
	}
	figure, _, _ := strings.Cut(text, " ")
	if v, err := strconv.ParseFloat(figure, 64); err == nil && (figure == text || v == 0) {
		return v
	}
	return text
}
