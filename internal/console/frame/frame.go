// Package frame is what all pages of the console share: how they look, how a
// request becomes a view, who may see and do what, what is kept up to date by
// itself, and how the keyboard works. It knows nothing of what the pages show.
//
// A page is one row of a table: its path, its key, a function from a request to
// a view model, and a template that draws it. The URL is all the state there
// is: whoever gets a link sees the same.
package frame

import (
	"context"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"sync"
	"time"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
)

// Page is one screen.
type Page struct {
	// Name is its template, NAME.html.
	Name string
	// Path is a pattern of http.ServeMux, without a method.
	Path  string
	Title string
	// Group and Icon place it in the navigation; without a group it isn't there.
	Group, Icon string
	// Key opens it from the keyboard; empty: none does.
	Key string
	// Under is the page of the navigation to which it belongs.
	Under string
	// Live is how often it is brought up to date; zero: never by itself.
	Live time.Duration
	// Ranged pages ask about a span of time.
	Ranged bool
	// Needs is the role for it; Viewer where it isn't said.
	Needs Role
	// Show makes the view model that the template draws. An error fills the
	// page with what went wrong; what is missing only in part is told by
	// Request.Missing.
	Show func(*Request) (any, error)
	// Send takes a form that stands on the page, and makes the view anew with
	// what came of it; nil where the page has none. It needs the role SendNeeds.
	Send      func(*Request) (any, error)
	SendNeeds Role
}

// Action is something that a person does, after being asked for a reason.
type Action struct {
	// Name is how it is audited where somebody may not do it: "restart". What is
	// done is audited by what it asks to do it.
	Name string
	// Path is a pattern; GET asks, POST does.
	Path  string
	Needs Role
	Ask   func(*Request) (Form, error)
	Do    func(*Request) (Outcome, error)
}

// Form is the question before an action.
type Form struct {
	Title, Submit string
	// Says tells what will happen, one sentence each.
	Says []string
	// Type has to be typed, where what is done can't be taken back.
	Type   string
	Fields []Field
	Danger bool
	// Back is the page to return to.
	Back string
}

// Field is one input of a form.
type Field struct {
	Name, Label, Help, Value string
	// Kind is "text", "number", "area" or "choice".
	Kind    string
	Choices []string
}

// Outcome is what an action has done.
type Outcome struct {
	Title string
	Lines []string
	Back  string
	// To is where it leads at once, in place of telling; empty: nowhere.
	To string
}

// Header is what stands above every page.
type Header struct {
	System, Environment string
	Status              Status
}

// Options say what the frame is to hold.
type Options struct {
	Pages   []Page
	Actions []Action
	Feeds   []Feed
	// Templates has NAME.html of every page, which defines "content".
	Templates fs.FS
	// Header is asked for every full page.
	Header func(context.Context) Header
	// Notices are what every page says while it is so; nil: nothing. It is asked
	// once a second while somebody looks, for all of them.
	Notices func(context.Context) ([]Notice, error)
	// Find turns what was typed into the search into a path; empty: not found.
	Find func(ctx context.Context, text string) string
	// Home is where / leads.
	Home    string
	Version string
	// Access says who comes in.
	Access Access
	// Record keeps what happens here: who signs in and out, and who was refused.
	Record func(context.Context, *observev1.AuditEntry) error
	Logger *slog.Logger
}

// Frame serves the pages.
type Frame struct {
	opts      Options
	assets    *assets
	templates map[string]*template.Template
	pages     *http.ServeMux
	mux       *http.ServeMux
	sessions  *sessions
	lives     chan struct{}
	done      chan struct{}
	closed    sync.Once
	renewals  renewals
	nav       []navGroup
	board     *board
}

// mostLive bounds the open pages that hear of what changes.
const mostLive = 128

// New reads the templates and serves the pages of the options.
func New(opts Options) (*Frame, error) {
	f := &Frame{
		opts: opts, pages: http.NewServeMux(), mux: http.NewServeMux(),
		lives: make(chan struct{}, mostLive), done: make(chan struct{}), sessions: newSessions(opts.Access),
		board: &board{ask: opts.Notices},
	}
	var err error
	if f.assets, err = readAssets(); err != nil {
		return nil, err
	}
	if err := f.readTemplates(); err != nil {
		return nil, err
	}
	for i := range opts.Pages {
		p := &opts.Pages[i]
		f.addToNav(p)
		f.pages.Handle("GET "+p.Path, f.page(p))
		if p.Send != nil {
			f.pages.Handle("POST "+p.Path, f.send(p))
		}
	}
	for i := range opts.Feeds {
		f.pages.Handle("GET "+opts.Feeds[i].Path, f.feed(&opts.Feeds[i]))
	}
	for i := range opts.Actions {
		a := &opts.Actions[i]
		f.pages.Handle("GET "+a.Path, f.ask(a))
		f.pages.Handle("POST "+a.Path, f.do(a))
	}
	f.routes()
	return f, nil
}

func (f *Frame) routes() {
	f.mux.Handle("GET /assets/{name}", f.assets)
	f.mux.HandleFunc("GET /sign-in", f.signInForm)
	f.mux.HandleFunc("POST /sign-in", f.signIn)
	f.mux.HandleFunc("POST /sign-out", f.signOut)
	f.mux.HandleFunc("POST /theme", f.setTheme)
	f.mux.Handle("GET /search", f.signedIn(http.HandlerFunc(f.search)))
	f.mux.Handle("GET /live", f.signedIn(http.HandlerFunc(f.live)))
	f.mux.Handle("GET /{$}", http.RedirectHandler(f.opts.Home, http.StatusFound))
	f.mux.Handle("/", f.signedIn(http.HandlerFunc(f.any)))
}

// Handler answers browsers.
func (f *Frame) Handler() http.Handler {
	return guarded(f.opts.Access, f.mux)
}

// Close ends what is kept up to date.
func (f *Frame) Close() { f.closed.Do(func() { close(f.done) }) }

// any serves a page, or tells that there is none.
func (f *Frame) any(w http.ResponseWriter, r *http.Request) {
	if _, pattern := f.pages.Handler(r); pattern == "" {
		f.page(&Page{Name: "nowhere", Title: "Not found", Show: func(*Request) (any, error) {
			return nil, errNowhere
		}}).ServeHTTP(w, r)
		return
	}
	f.pages.ServeHTTP(w, r)
}

// search leads to what was typed, or to the page that says that it isn't there.
func (f *Frame) search(w http.ResponseWriter, r *http.Request) {
	text := r.URL.Query().Get("q")
	to := ""
	if f.opts.Find != nil && text != "" {
		to = f.opts.Find(r.Context(), text)
	}
	if to == "" {
		f.page(&Page{Name: "nowhere", Title: "Search", Show: func(*Request) (any, error) {
			return nil, notFound(text)
		}}).ServeHTTP(w, r)
		return
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}
