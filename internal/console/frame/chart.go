package frame

import (
	"encoding/json"
	"fmt"
	"html/template"
	"math"
	"strings"
	"time"
)

// Chart is lines over time, with their table twin.
type Chart struct {
	ID, Title, Unit string
	// Times are the moments of all lines.
	Times []time.Time
	Lines []Line
	// Marks are moments at which something was changed.
	Marks []Mark
	Empty Empty
}

// Line is one line; NaN is a gap.
type Line struct {
	Name   string
	Values []float64
}

// Mark is a change that may explain what a chart shows.
type Mark struct {
	Time time.Time
	Text string
}

// JSON is what the script draws.
func (c *Chart) JSON() (string, error) {
	type line struct {
		Name   string     `json:"name"`
		Values []*float64 `json:"values"`
	}
	type mark struct {
		Time float64 `json:"time"`
		Text string  `json:"text"`
	}
	data := struct {
		Unit  string    `json:"unit"`
		Times []float64 `json:"times"`
		Lines []line    `json:"lines"`
		Marks []mark    `json:"marks"`
	}{Unit: c.Unit, Times: []float64{}, Lines: []line{}, Marks: []mark{}}
	const second = 1e3
	for _, t := range c.Times {
		data.Times = append(data.Times, float64(t.UnixMilli())/second)
	}
	for _, l := range c.Lines {
		one := line{Name: l.Name}
		for _, v := range l.Values {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				one.Values = append(one.Values, nil)
				continue
			}
			one.Values = append(one.Values, &v)
		}
		data.Lines = append(data.Lines, one)
	}
	for _, m := range c.Marks {
		data.Marks = append(data.Marks, mark{float64(m.Time.UnixMilli()) / second, m.Text})
	}
	text, err := json.Marshal(data)
	return string(text), err
}

// LineFacts is one line in figures, for the table twin.
type LineFacts struct{ Name, Last, Mean, Least, Most string }

// Facts are the lines in figures.
func (c *Chart) Facts() []LineFacts {
	var out []LineFacts
	for _, l := range c.Lines {
		least, most, sum, n, last := math.Inf(1), math.Inf(-1), 0.0, 0, math.NaN()
		for _, v := range l.Values {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				continue
			}
			least, most, sum, last = min(least, v), max(most, v), sum+v, v
			n++
		}
		out = append(out, LineFacts{l.Name, Amount(last, c.Unit), Amount(sum/float64(n), c.Unit), Amount(least, c.Unit), Amount(most, c.Unit)})
	}
	return out
}

// Spoken is the chart in a sentence.
func (c *Chart) Spoken() string {
	var parts []string
	for i, f := range c.Facts() {
		const enough = 6
		if i == enough {
			parts = append(parts, fmt.Sprintf("and %d more", len(c.Lines)-enough))
			break
		}
		parts = append(parts, fmt.Sprintf("%s: now %s, between %s and %s", f.Name, f.Last, f.Least, f.Most))
	}
	return c.Title + ". " + strings.Join(parts, "; ")
}

// spark draws a small line without axes. The values stand beside it as text.
func spark(values []float64) template.HTML {
	const width, height = 96.0, 22.0
	most := 0.0
	for _, v := range values {
		if !math.IsNaN(v) {
			most = max(most, v)
		}
	}
	if len(values) < 2 {
		return ""
	}
	var points strings.Builder
	for i, v := range values {
		if math.IsNaN(v) {
			continue
		}
		y := height - 1.5
		if most > 0 {
			y = height - 1.5 - v/most*(height-3)
		}
		fmt.Fprintf(&points, "%.1f,%.1f ", float64(i)*width/float64(len(values)-1), y)
	}
	line := strings.TrimSpace(points.String())
	const begin = `<svg class="spark" viewBox="0 0 96 22" width="96" height="22" aria-hidden="true" focusable="false">`
	text := fmt.Sprintf(`<polygon points="0,22 %s 96,22"/><polyline points="%s"/></svg>`, line, line)
	return template.HTML(begin + text) //nolint:gosec // numbers only: nothing of it comes from outside
}
