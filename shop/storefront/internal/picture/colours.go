package picture

import "fmt"

// palette are colours that go together.
type palette struct {
	tone                string
	paper, sky          string // of the background
	main, second, third string
	dark, light         string
}

var palettes = [...]palette{
	{"red", "#fbe9d2", "#f6d5b8", "#d1573a", "#3d7a6c", "#f0b84b", "#3a2a26", "#fff8ec"},
	{"green", "#e3efe6", "#c9e0d2", "#2f7a5b", "#e0785a", "#f2c14e", "#1f3a33", "#fbfdf6"},
	{"pink", "#fde6e6", "#f7cfd3", "#c9506b", "#4a6fa5", "#f3b562", "#43212e", "#fff7f5"},
	{"blue", "#e4ecf7", "#c8d8ee", "#3f64a8", "#e58a62", "#f4cf6b", "#202d4c", "#fafcff"},
	{"yellow", "#fbf0cf", "#f3dd9f", "#d98a1f", "#4d7f86", "#c24d3d", "#43331a", "#fffaf0"},
	{"purple", "#efe6f5", "#dccbea", "#7d53a3", "#e08a9b", "#f0c35e", "#34234a", "#fdf9ff"},
	{"green", "#e0f0f0", "#bfdfe0", "#1f7f8c", "#f08a6c", "#f6d27a", "#173c44", "#f7fdfd"},
	{"brown", "#f4e8df", "#e5cfbd", "#9a5b3c", "#6d8a5e", "#e3a857", "#38261b", "#fffaf4"},
	{"green", "#e9efd9", "#d2dfb4", "#6b8a35", "#d0613f", "#f3c24f", "#2c381b", "#fcfef4"},
	{"red", "#f8e3da", "#efc4b1", "#e2725b", "#35587a", "#f5cc7f", "#2f2a3b", "#fff6f0"},
	{"grey", "#e6e9ee", "#cdd4de", "#4b5d79", "#d9694f", "#eab855", "#242c3a", "#fbfcfe"},
	{"white", "#dde6e2", "#bccdc6", "#fdfaf3", "#c98a68", "#e3b04b", "#39403c", "#dccfbd"},
	{"pink", "#fdeef0", "#fbd5dc", "#e26d8f", "#6a9a8b", "#f4c15d", "#4a2434", "#fffafa"},
	{"red", "#fdebd8", "#f9d0b4", "#b8453e", "#5b8a8f", "#efc05a", "#3c2324", "#fffaf2"},
}

// toned returns the palettes of a tone; all, of one that is none.
func toned(tone string) []palette {
	var out []palette
	for _, p := range palettes {
		if p.tone == tone {
			out = append(out, p)
		}
	}
	if out == nil {
		return palettes[:]
	}
	return out
}

// pattern is what is printed on the thing, in its own colours.
func pattern(printed string, c palette) string {
	ground := `<rect width="48" height="48" fill="` + c.main + `"/>`
	var inside string
	switch printed {
	case "dots":
		inside = fmt.Sprintf(`<g fill="%s"><circle cx="12" cy="12" r="7"/><circle cx="36" cy="36" r="7"/></g>`, c.light)
	case "check":
		inside = fmt.Sprintf(`<g fill="%s" opacity=".5"><rect width="24" height="48"/><rect width="48" height="24"/></g>`, c.light)
	case "stripes":
		inside = fmt.Sprintf(`<g fill="%s" opacity=".75"><rect x="4" width="9" height="48"/><rect x="28" width="9" height="48"/></g>`, c.light)
	case "hearts":
		inside = fmt.Sprintf(`<g fill="%s"><path d="M14 24C0 14 4 5 9 5c4 0 5 3 5 3s1-3 5-3c5 0 9 9-5 19z`+
			`M37 47C23 37 27 28 32 28c4 0 5 3 5 3s1-3 5-3c5 0 9 9-5 19z"/></g>`, c.light)
	case "stars":
		inside = fmt.Sprintf(`<g fill="%s"><path d="M13 3l3 7 8 1-6 5 2 8-7-4-7 4 2-8-6-5 8-1zM37 27l3 7 8 1-6 5 2 8-7-4-7 4 2-8-6-5 8-1z"/></g>`, c.light)
	case "petals":
		inside = fmt.Sprintf(`<g fill="%s"><circle cx="12" cy="6" r="5"/><circle cx="18" cy="12" r="5"/>`+
			`<circle cx="12" cy="18" r="5"/><circle cx="6" cy="12" r="5"/>`+
			`<circle cx="36" cy="30" r="5"/><circle cx="42" cy="36" r="5"/><circle cx="36" cy="42" r="5"/><circle cx="30" cy="36" r="5"/></g>`+
			`<g fill="%s"><circle cx="12" cy="12" r="4"/><circle cx="36" cy="36" r="4"/></g>`, c.light, c.third)
	default:
		return ""
	}
	return `<pattern id="p" width="48" height="48" patternUnits="userSpaceOnUse" patternTransform="rotate(-8)">` + ground + inside + `</pattern>`
}
