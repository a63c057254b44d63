package frame

import (
	"cmp"
	"encoding/csv"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Table is rows to read, sort and walk through.
type Table struct {
	Caption string
	Columns []Column
	Rows    []Row
	// Empty is shown in place of no rows.
	Empty Empty
	// Note stands beneath: how many there are, what is left out.
	Note string
	// More is the link to what comes next.
	More string
	// Sort is the column by which it is sorted, with a minus if downwards.
	Sort string
}

// Column is one column. Wide ones are left out where there is no room.
type Column struct {
	Key, Title string
	Number     bool
	Wide       bool
	Fixed      bool // is not sorted by
}

// Row is one row; Href is what it opens.
type Row struct {
	ID, Href string
	Dim      bool
	Cells    []Cell
}

// Cell is one value.
type Cell struct {
	Text, Sub, Href, Title string
	Status                 *Status
	Mono                   bool
	Time                   time.Time
	// Share of the largest value draws a bar; zero: none.
	Share float64
	Spark []float64
	// Order sorts the column where Text would not.
	Order float64
	Chips []string
	// Actions are small links of the row.
	Actions []Link
}

// Link is a link; one that Asks opens a question.
type Link struct {
	Text, Href string
	Asks       bool
	Danger     bool
}

// Empty says why there is nothing, and what to do.
type Empty struct {
	Title, Text string
	// Code is a command that makes something appear.
	Code string
	// Clear is the page without its filters.
	Clear string
}

// Text is a cell that says something.
func Text(text string) Cell { return Cell{Text: text} }

// Mono is an identifier, in letters of one width.
func Mono(text string) Cell { return Cell{Text: text, Mono: true} }

// Stated is a status.
func Stated(word string, tone Tone) Cell { return Cell{Text: word, Status: &Status{word, tone}} }

// Number is a count.
func Number(n int64) Cell { return Cell{Text: Count(n), Order: float64(n)} }

// Measured is a value with a unit: s, %, B or another.
func Measured(v float64, unit string) Cell { return Cell{Text: Amount(v, unit), Order: v} }

// Exact is a value for programs, with all its figures.
func Exact(v float64) Cell { return Cell{Text: strconv.FormatFloat(v, 'g', -1, 64), Order: v} }

// At is a moment.
func At(t time.Time) Cell {
	if never(t) {
		return Cell{Text: "–"}
	}
	return Cell{Time: t, Order: float64(t.UnixMilli())}
}

// Sorted returns the table in the order that the URL asks for, or by default.
func (r *Request) Sorted(t Table, fallback string) *Table {
	t.Sort = r.Get("sort")
	column := func() int {
		return slices.IndexFunc(t.Columns, func(c Column) bool { return c.Key == strings.TrimPrefix(t.Sort, "-") && !c.Fixed })
	}
	if t.Sort == "" || column() < 0 {
		t.Sort = fallback
	}
	i := column()
	if i < 0 {
		return &t
	}
	slices.SortStableFunc(t.Rows, func(a, b Row) int {
		x, y := a.Cells[i], b.Cells[i]
		n := cmp.Or(cmp.Compare(x.Order, y.Order), strings.Compare(x.Text, y.Text))
		if strings.HasPrefix(t.Sort, "-") {
			return -n
		}
		return n
	})
	return &t
}

// SortOf is how a column is sorted now, as aria-sort names it.
func (t *Table) SortOf(key string) string {
	switch t.Sort {
	case key:
		return "ascending"
	case "-" + key:
		return "descending"
	}
	return "none"
}

// Next is the order that a click on the column's head asks for.
func (t *Table) Next(c Column) string {
	if t.Sort == "-"+c.Key || t.Sort != c.Key && !c.Number {
		return c.Key
	}
	return "-" + c.Key
}

// seenBy is the table without what a viewer would only be refused: whatever asks
// before it is done needs an operator at least.
func (t *Table) seenBy(c Caller) *Table {
	if c.Role > Viewer {
		return t
	}
	out := *t
	out.Rows = slices.Clone(t.Rows)
	for i, row := range out.Rows {
		out.Rows[i].Cells = slices.Clone(row.Cells)
		for n, cell := range row.Cells {
			out.Rows[i].Cells[n].Actions = slices.DeleteFunc(slices.Clone(cell.Actions), func(l Link) bool { return l.Asks })
		}
	}
	return &out
}

// words is what a cell says to other programs.
func (c Cell) words() string {
	switch {
	case !c.Time.IsZero():
		return c.Time.UTC().Format(time.RFC3339Nano)
	case c.Title != "" && strings.HasSuffix(c.Text, "…"): // cut for people
		return c.Title
	case c.Text != "":
		return c.Text
	case c.Status != nil:
		return c.Status.Word
	}
	return strings.Join(c.Chips, ", ")
}

// writeCSV writes the table as text for other programs. Values that a
// spreadsheet would take for a formula are quoted as text.
func (t *Table) writeCSV(w io.Writer) error {
	out := csv.NewWriter(w)
	line := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		line[i] = c.Title
	}
	if err := out.Write(line); err != nil {
		return err
	}
	for _, row := range t.Rows {
		for i, c := range row.Cells {
			line[i] = c.words()
			if line[i] != "" && strings.ContainsRune("=+-@\t\r", rune(line[i][0])) {
				line[i] = "'" + line[i]
			}
		}
		if err := out.Write(line); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}
