package export

import (
	"encoding/json"
	"fmt"
	"strings"
)

// A board is a dashboard as we write it down; the rest of Grafana's model
// follows from it.
type board struct {
	id, title, about string
	rows             []row
}

type row struct {
	title  string
	panels []panel
}

type panel struct {
	title, about string
	unit         string // as Grafana calls it
	kind         string // timeseries, unless it says otherwise
	lines        []line
}

type line struct{ expr, legend string }

// Grafana's model, as far as we need it.
//
//nolint:tagliatelle // the names are Grafana's
type (
	grafanaBoard struct {
		UID           string         `json:"uid"`
		Title         string         `json:"title"`
		Description   string         `json:"description"`
		Tags          []string       `json:"tags"`
		SchemaVersion int            `json:"schemaVersion"`
		Version       int            `json:"version"`
		Editable      bool           `json:"editable"`
		Refresh       string         `json:"refresh"`
		Timezone      string         `json:"timezone"`
		GraphTooltip  int            `json:"graphTooltip"`
		Time          map[string]any `json:"time"`
		Templating    map[string]any `json:"templating"`
		Annotations   map[string]any `json:"annotations"`
		Links         []any          `json:"links"`
		Panels        []grafanaPanel `json:"panels"`
	}
	grafanaPanel struct {
		ID          int             `json:"id"`
		Type        string          `json:"type"`
		Title       string          `json:"title"`
		Description string          `json:"description,omitempty"`
		GridPos     gridPos         `json:"gridPos"`
		Collapsed   *bool           `json:"collapsed,omitempty"`
		Datasource  *source         `json:"datasource,omitempty"`
		FieldConfig *fieldConfig    `json:"fieldConfig,omitempty"`
		Options     map[string]any  `json:"options,omitempty"`
		Targets     []grafanaTarget `json:"targets,omitempty"`
		Panels      []grafanaPanel  `json:"panels,omitempty"`
	}
	gridPos struct {
		H int `json:"h"`
		W int `json:"w"`
		X int `json:"x"`
		Y int `json:"y"`
	}
	source struct {
		Type string `json:"type"`
		UID  string `json:"uid"`
	}
	fieldConfig struct {
		Defaults  map[string]any `json:"defaults"`
		Overrides []any          `json:"overrides"`
	}
	grafanaTarget struct {
		RefID        string `json:"refId"`
		Expr         string `json:"expr"`
		LegendFormat string `json:"legendFormat"`
		Datasource   source `json:"datasource"`
	}
)

// prometheus is the data source that whoever looks chooses.
func prometheus() source { return source{Type: "prometheus", UID: "${datasource}"} }

// dashboards makes a file of each board.
func dashboards() ([]File, error) {
	var out []File
	for _, b := range boards() {
		text, err := json.MarshalIndent(b.grafana(), "", "  ")
		if err != nil {
			return nil, fmt.Errorf("export dashboard %s: %w", b.title, err)
		}
		out = append(out, File{Name: "grafana/dashboards/" + strings.TrimPrefix(b.id, "warren-") + ".json", Text: append(text, '\n')})
	}
	return out, nil
}

func (b board) grafana() grafanaBoard {
	const (
		schema       = 39 // of Grafana 11; later ones read it
		sharedCursor = 1
	)
	out := grafanaBoard{
		UID: b.id, Title: "Warren / " + b.title, Description: b.about, Tags: []string{"warren"}, SchemaVersion: schema, Version: 1,
		Editable: true, Refresh: "10s", Timezone: "browser", GraphTooltip: sharedCursor, Links: []any{},
		Time:       map[string]any{"from": "now-1h", "to": "now"},
		Templating: map[string]any{"list": variables()}, Annotations: map[string]any{"list": marks()},
	}
	y, id := 0, 1
	for _, r := range b.rows {
		open := false
		out.Panels = append(out.Panels, grafanaPanel{ID: id, Type: "row", Title: r.title, GridPos: gridPos{H: 1, W: width, Y: y}, Collapsed: &open})
		id, y = id+1, y+1
		for n, p := range r.panels {
			across := min(len(r.panels)-n/perRow*perRow, perRow)
			out.Panels = append(out.Panels, p.grafana(id, gridPos{H: height, W: width / across, X: n % perRow * (width / across), Y: y + n/perRow*height}))
			id++
		}
		y += (len(r.panels) + perRow - 1) / perRow * height
	}
	return out
}

// The grid of a dashboard.
const (
	width  = 24
	height = 8
	perRow = 3
)

func (p panel) grafana(id int, at gridPos) grafanaPanel {
	from := prometheus()
	out := grafanaPanel{
		ID: id, Type: p.kind, Title: p.title, Description: p.about, GridPos: at, Datasource: &from,
		FieldConfig: &fieldConfig{Defaults: map[string]any{"unit": p.unit, "min": 0}, Overrides: []any{}},
		Options: map[string]any{
			"legend":  map[string]any{"displayMode": "list", "placement": "bottom", "showLegend": true},
			"tooltip": map[string]any{"mode": "multi", "sort": "desc"},
		},
	}
	if out.Type == "" {
		out.Type = "timeseries"
	}
	if out.Type == "stat" {
		out.Options = map[string]any{"reduceOptions": map[string]any{"calcs": []string{"lastNotNull"}}, "colorMode": "value"}
	}
	for n, l := range p.lines {
		out.Targets = append(out.Targets, grafanaTarget{RefID: string(rune('A' + n)), Expr: l.expr, LegendFormat: l.legend, Datasource: from})
	}
	return out
}

// variables are what whoever looks chooses: the data source and the services.
func variables() []any {
	const refreshOnTime = 2
	return []any{
		map[string]any{"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "hide": 0},
		map[string]any{
			"name": "service", "label": "Service", "type": "query", "datasource": prometheus(), "refresh": refreshOnTime,
			"query": `label_values(warren_build_info, service)`, "definition": `label_values(warren_build_info, service)`,
			"multi": true, "includeAll": true, "allValue": ".*", "sort": 1,
			"current": map[string]any{"text": "All", "value": "$__all"},
		},
	}
}

// marks show on each graph when a new version began and when alerts fired.
func marks() []any {
	return []any{
		map[string]any{
			"name": "New processes", "datasource": prometheus(), "enable": true, "iconColor": "blue",
			"expr": `changes(process_start_time_seconds{service=~"$service"}[1m]) > 0`, "titleFormat": "{{instance}} {{version}}", "step": "10s",
		},
		map[string]any{
			"name": "Alerts", "datasource": prometheus(), "enable": true, "iconColor": "red",
			"expr": `ALERTS{alertstate="firing",severity=~"page|ticket"}`, "titleFormat": "{{alertname}} {{service}}", "step": "10s",
		},
	}
}
