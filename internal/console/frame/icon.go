package frame

import "html/template"

// icon draws one of the console's own icons: lines on a grid of 24.
func icon(name string) template.HTML {
	paths := map[string]string{
		"overview": `<path d="M4 13h6V4H4zM14 9h6V4h-6zM14 20h6v-7h-6zM4 20h6v-3H4z"/>`,
		"topology": `<circle cx="5" cy="12" r="2.5"/><circle cx="18" cy="5.5" r="2.5"/>` +
			`<circle cx="18" cy="18.5" r="2.5"/><path d="m7.3 10.9 8.4-4.2M7.3 13.1l8.4 4.2"/>`,
		"services": `<rect x="4" y="4" width="16" height="6.5" rx="1.5"/>` +
			`<rect x="4" y="13.5" width="16" height="6.5" rx="1.5"/><path d="M8 7.25h.01M8 16.75h.01"/>`,
		"traces":  `<path d="M4 6h10M8 12h9M12 18h8"/>`,
		"logs":    `<path d="M5 5h14M5 10h14M5 15h9M5 20h6"/>`,
		"metrics": `<path d="M4 4v16h16"/><path d="m7 15 4-5 3.5 3L20 7"/>`,
		"alerts":  `<path d="M6 16V11a6 6 0 0 1 12 0v5l1.5 2h-15zM10 21h4"/>`,
		"saga": `<circle cx="6" cy="6" r="2.2"/><circle cx="6" cy="18" r="2.2"/>` +
			`<circle cx="18" cy="12" r="2.2"/><path d="M6 8.2v7.6M8.2 6H12a3.8 3.8 0 0 1 3.8 3.8"/>`,
		"letters":  `<rect x="3.5" y="5.5" width="17" height="13" rx="1.5"/><path d="m4 7 8 6 8-6"/>`,
		"settings": `<path d="M4 7h9M17 7h3M4 17h3M11 17h9"/><circle cx="15" cy="7" r="2"/><circle cx="9" cy="17" r="2"/>`,
		"contract": `<path d="M7 3.5h7l4 4V20.500H7z"/><path d="M14 3.500v4h4M10 12h5M10 16h5"/>`,
		"fault":    `<path d="M13 3 5 13.500h6L10 21l8-10.500h-6z"/>`,
		"events":   `<path d="M4 12h4l2.500-6 4 12 2-6H20"/>`,
		"audit":    `<circle cx="12" cy="12" r="8"/><path d="M12 7.500V12l3 2"/>`,
		"search":   `<circle cx="11" cy="11" r="6"/><path d="m15.500 15.500 4.500 4.500"/>`,
		"good":     `<path d="m5 12.500 4.500 4.500L19 7.500"/>`,
		"busy":     `<path d="M12 4a8 8 0 1 1-8 8"/>`,
		"warn":     `<path d="M12 4 2.800 20h18.400zM12 10v4.500M12 17.400v.100"/>`,
		"bad":      `<path d="m6.500 6.500 11 11M17.500 6.500l-11 11"/>`,
		"idle":     `<path d="M6 12h12"/>`,
		"theme":    `<circle cx="12" cy="12" r="8"/><path d="M12 4a8 8 0 0 1 0 16z" fill="currentColor" stroke="none"/>`,
		"help":     `<circle cx="12" cy="12" r="8.500"/><path d="M9.700 9.500a2.400 2.400 0 1 1 3.500 2.100c-.8.400-1.200.900-1.200 1.900M12 16.600v.100"/>`,
		"pause":    `<path d="M9 6v12M15 6v12"/>`,
		"play":     `<path d="M8 5.500v13l10.500-6.500z"/>`,
		"more":     `<path d="M9 6l6 6-6 6"/>`,
		"clock":    `<circle cx="12" cy="12" r="8.500"/><path d="M12 7v5l3.500 2"/>`,
		"user":     `<circle cx="12" cy="8.500" r="3.500"/><path d="M5 20a7 7 0 0 1 14 0"/>`,
	}
	const begin = `<svg class="icon" viewBox="0 0 24 24" width="18" height="18" aria-hidden="true" focusable="false">`
	return template.HTML(begin + paths[name] + `</svg>`) //nolint:gosec // all of it stands here
}
