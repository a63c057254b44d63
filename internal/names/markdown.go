package names

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Markdown writes the register as tables.
func (r *Register) Markdown() string {
	var b strings.Builder
	b.WriteString("### Metrics\n\n| metric | kind | labels | meaning | from |\n|---|---|---|---|---|\n")
	for _, m := range r.Metrics {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", m.Name, m.Kind, labelsText(m), m.Help, m.By)
	}
	b.WriteString("\n### Labels\n\n| label | values |\n|---|---|\n")
	for _, name := range slices.Sorted(maps.Keys(r.Labels)) {
		l := r.Labels[name]
		bound := l.Bound
		if len(l.Values) > 0 {
			bound = strings.Join(l.Values, ", ")
		}
		fmt.Fprintf(&b, "| `%s` | %s |\n", name, bound)
	}
	b.WriteString("\n### Spans\n\n| span, for example | kind | attributes | meaning | from |\n|---|---|---|---|---|\n")
	for _, s := range r.Spans {
		fmt.Fprintf(&b, "| `%s` | %s | `%s` | %s | %s |\n", s.Name, s.Kind, strings.Join(s.Attributes, "` `"), s.Help, s.By)
	}
	words(&b, "Attributes of any span", r.Attributes)
	words(&b, "Keys of log lines", r.Logs)
	return b.String()
}

func words(b *strings.Builder, title string, list []Word) {
	fmt.Fprintf(b, "\n### %s\n\n| name | meaning |\n|---|---|\n", title)
	for _, w := range list {
		fmt.Fprintf(b, "| `%s` | %s |\n", w.Name, w.Help)
	}
}

func labelsText(m Metric) string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(m.Labels)) {
		text := "`" + name + "`"
		if values := m.Labels[name]; len(values) > 0 {
			text += " (" + strings.Join(values, ", ") + ")"
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}
