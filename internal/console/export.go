package console

import (
	"math"

	"github.com/gowarren/warren/internal/console/frame"
)

// Export is the lines that are shown.
func (v logsView) Export() *frame.Table {
	t := &frame.Table{Columns: []frame.Column{
		{Key: "time", Title: "When"}, {Key: "level", Title: "Level"}, {Key: "who", Title: "Who"}, {Key: "message", Title: "Message"},
		{Key: "trace", Title: "Trace"}, {Key: "id", Title: "Line"},
	}}
	for _, l := range v.Lines {
		t.Rows = append(t.Rows, frame.Row{Cells: []frame.Cell{
			frame.At(l.Time), frame.Text(l.Level), frame.Text(l.Who), frame.Text(l.Said), frame.Text(l.Trace), frame.Text(l.ID),
		}})
	}
	return t
}

// Export is what the query found, a row for each moment of each series; without
// a query, what is asked for metrics.
func (v metricsView) Export() *frame.Table {
	if v.Chart == nil {
		return v.Targets
	}
	t := &frame.Table{Columns: []frame.Column{{Key: "time", Title: "When"}, {Key: "series", Title: "Series"}, {Key: "value", Title: "Value", Number: true}}}
	for _, l := range v.Chart.Lines {
		for i, at := range v.Chart.Times {
			if !math.IsNaN(l.Values[i]) {
				t.Rows = append(t.Rows, frame.Row{Cells: []frame.Cell{frame.At(at), frame.Text(l.Name), frame.Exact(l.Values[i])}})
			}
		}
	}
	return t
}
