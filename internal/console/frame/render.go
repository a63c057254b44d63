package frame

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"strings"
	"time"
)

//go:embed templates
var templateFiles embed.FS

type navGroup struct {
	Name  string
	Pages []*Page
}

func (f *Frame) addToNav(p *Page) {
	if p.Group == "" {
		return
	}
	for i := range f.nav {
		if f.nav[i].Name == p.Group {
			f.nav[i].Pages = append(f.nav[i].Pages, p)
			return
		}
	}
	f.nav = append(f.nav, navGroup{p.Group, []*Page{p}})
}

// view is what the templates of the frame see.
type view struct {
	*Request
	Frame   *Frame
	Header  Header
	Data    any
	Problem *Problem
	Theme   string
}

// readTemplates joins each page's template with those that all share.
func (f *Frame) readTemplates() error {
	shared, err := template.New("").Funcs(f.funcs()).ParseFS(templateFiles, "templates/*.html")
	if err != nil {
		return fmt.Errorf("read the console's templates: %w", err)
	}
	f.templates = map[string]*template.Template{"nowhere": shared, "ask": shared, "done": shared, "sign-in": shared}
	for _, p := range f.opts.Pages {
		if f.templates[p.Name] != nil {
			continue
		}
		own, err := shared.Clone()
		if err == nil {
			own, err = own.ParseFS(f.opts.Templates, p.Name+".html")
		}
		if err != nil {
			return fmt.Errorf("read the template of %s: %w", p.Name, err)
		}
		f.templates[p.Name] = own
	}
	return nil
}

func (f *Frame) funcs() template.FuncMap {
	return template.FuncMap{
		"asset": f.assets.url, "spark": spark, "count": Count, "amount": Amount, "span": Span, "ago": Ago, "icon": icon, "presets": Presets,
		"percent": func(v float64) string { return fmt.Sprintf("%.2f", 100*v) },
		"iso":     func(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") },
		"local":   func(t time.Time) string { return t.Local().Format("2006-01-02T15:04:05") },
		"clock":   func(t time.Time) string { return clock(t, time.Now()) },
		"moment":  func(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05.000 MST") },
		"zone":    func() int { return eastOf(time.Now()) }, "zoneName": func() string { return time.Now().Format("MST") },
		"join":   strings.Join,
		"status": func(word string, tone Tone) Status { return Status{word, tone} },
		"on":     func(r *Request, t *Table) tableView { return tableView{r, t.seenBy(r.Caller)} },
		"json":   Indented,
	}
}

// tableView is a table with the page on which it stands.
type tableView struct {
	*Request
	Table *Table
}

// Indented makes JSON readable; what is none stays as it is.
func Indented(text string) string {
	var out bytes.Buffer
	if json.Indent(&out, []byte(text), "", "  ") != nil {
		return text
	}
	return out.String()
}

// Nav is the menu.
func (f *Frame) Nav() any { return f.nav }

// Version is the console's.
func (f *Frame) Version() string { return f.opts.Version }

// SignsIn tells whether people sign in here.
func (f *Frame) SignsIn() bool { return !f.opts.Access.Open }

// Current tells whether a page of the menu is the one that is shown, or above it.
func (v *view) Current(p *Page) bool {
	return v.page != nil && (v.page.Name == p.Name || v.page.Under == p.Name)
}

// Title is what the page is called, and what it is about: that tells one tab, and
// one page of the past, from another.
func (v *view) Title() string {
	var about []string
	for part := range strings.SplitSeq(v.page.Path, "/") {
		if name, ok := strings.CutPrefix(part, "{"); ok {
			about = append(about, v.PathValue(strings.TrimSuffix(name, "}")))
		}
	}
	if about == nil {
		return v.page.Title
	}
	return strings.Join(about, "/") + " · " + v.page.Title
}

// Page is what is shown.
func (v *view) Page() *Page { return v.page }

// Gaps are what is missing on the page.
func (v *view) Gaps() []Missing { return v.missing }

// LiveEvery is how often the page is renewed, in milliseconds; 0: it isn't.
func (v *view) LiveEvery() int64 {
	if v.page == nil || !v.Range.Relative() {
		return 0
	}
	return v.page.Live.Milliseconds()
}

// May tells whether the caller has a role at least.
func (r *Request) May(role string) bool {
	needed, ok := ParseRole(role)
	return ok && r.Caller.Role >= needed
}

// exporter is a view model that can be had as a table.
type exporter interface{ Export() *Table }

func (f *Frame) page(p *Page) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, hr *http.Request) {
		r := f.request(hr, p)
		v := &view{Request: r, Frame: f, Theme: theme(hr)}
		var err error
		if r.Caller.Role < p.Needs {
			err = forbidden(p.Needs)
		} else {
			v.Data, err = p.Show(r)
		}
		if err != nil {
			v.Problem = problemOf(err, r.ID)
			r.status = v.Problem.Status
			f.opts.Logger.Info("console page not shown", "page", p.Name, "path", hr.URL.Path, "request", r.ID, "error", err.Error())
		} else if e, ok := v.Data.(exporter); ok && export(w, e.Export(), p.Name, r.Get("format")) {
			return
		}
		f.draw(w, v, p.Name)
	})
}

// export writes a table in the format asked for, if it is one.
func export(w http.ResponseWriter, t *Table, name, format string) bool {
	if t == nil {
		return false
	}
	formats := map[string]struct {
		kind  string
		write func(io.Writer) error
	}{"csv": {"text/csv; charset=utf-8", t.writeCSV}, "json": {"application/json", t.writeJSON}}
	f, ok := formats[format]
	if !ok {
		return false
	}
	w.Header().Set("Content-Type", f.kind)
	w.Header().Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", name+"."+format))
	_ = f.write(w)
	return true
}

// Exports tells whether the page can be had as a table.
func (v *view) Exports() bool {
	e, ok := v.Data.(exporter)
	return ok && e.Export() != nil
}

func forbidden(role Role) error {
	return &Problem{Status: http.StatusForbidden, Title: "Not allowed", Text: "This needs the role " + role.String() + "."}
}

// draw writes the whole page, or what is between its edges for a browser that
// has the rest.
func (f *Frame) draw(w http.ResponseWriter, v *view, name string) {
	t := f.templates[name]
	block := "page"
	switch {
	case v.URL.Query().Has("fragment"), v.sent("X-Fragment") != "":
		block = "inside"
	case v.sent("HX-Target") == "dialog":
		block = "dialog"
	}
	if block == "page" && f.opts.Header != nil {
		v.Header = f.opts.Header(v.Context())
	}
	var out bytes.Buffer
	if err := t.ExecuteTemplate(&out, block, v); err != nil {
		f.opts.Logger.Error("console page not drawn", "page", name, "request", v.ID, "error", err.Error())
		http.Error(w, "this page could not be drawn; request "+v.ID, http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if v.status != 0 {
		w.WriteHeader(v.status)
	}
	_, _ = w.Write(out.Bytes())
}

// sent is a header of the request; Header is what stands above the page.
func (v *view) sent(name string) string { return v.Request.Request.Header.Get(name) } //nolint:staticcheck // without it, it is the page's

// Frozen is this page with its span of time nailed down.
func (r *Request) Frozen() string {
	from, to := r.Range.Millis()
	return r.With("from", from, "to", to)
}

// Levels are those of log lines, for pages to choose from.
func (r *Request) Levels() []string { return []string{"debug", "info", "warn", "error"} }
