package frame

import (
	"cmp"
	"net/http"
	"strings"
)

// maxForm bounds what a browser may send.
const maxForm = 1 << 20

// asked is what the templates of actions see.
type asked struct {
	Form    Form
	Problem string
	Reason  string
	Action  string
}

// ask shows what an action will do, and asks for the reason.
func (f *Frame) ask(a *Action) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, hr *http.Request) {
		r := f.request(hr, &Page{Name: "ask", Title: a.Name})
		f.drawForm(w, r, a, "")
	})
}

func (f *Frame) drawForm(w http.ResponseWriter, r *Request, a *Action, problem string) {
	v := &view{Request: r, Frame: f, Theme: theme(r.Request)}
	var form Form
	err := forbidden(a.Needs)
	if r.Caller.Role >= a.Needs {
		form, err = a.Ask(r)
	}
	if err != nil {
		v.Problem = problemOf(err, r.ID)
		r.status = v.Problem.Status
	}
	for i, field := range form.Fields {
		if r.PostForm != nil && r.PostForm.Has(field.Name) {
			form.Fields[i].Value = r.PostForm.Get(field.Name)
		}
	}
	if problem != "" {
		r.status = http.StatusUnprocessableEntity
	}
	r.page.Name, r.page.Title = "ask", cmp.Or(form.Title, a.Name)
	v.Data = asked{Form: form, Problem: problem, Reason: r.PostForm.Get("reason"), Action: r.URL.RequestURI()}
	f.draw(w, v, "ask")
}

// do does it.
func (f *Frame) do(a *Action) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, hr *http.Request) {
		hr.Body = http.MaxBytesReader(w, hr.Body, maxForm)
		if err := hr.ParseForm(); err != nil {
			http.Error(w, "this form can't be read", http.StatusBadRequest)
			return
		}
		r := f.request(hr, &Page{Name: "done", Title: a.Name})
		if problem := f.checked(r, a); problem != "" {
			f.drawForm(w, r, a, problem)
			return
		}
		outcome, err := a.Do(r)
		f.board.forget()
		if err != nil {
			f.drawForm(w, r, a, problemOf(err, r.ID).Text)
			return
		}
		if outcome.To != "" {
			leadTo(w, hr, outcome.To)
			return
		}
		r.page.Title = outcome.Title
		f.draw(w, &view{Request: r, Frame: f, Theme: theme(hr), Data: outcome}, "done")
	})
}

// leadTo opens a page, also from within the dialog.
func leadTo(w http.ResponseWriter, r *http.Request, to string) {
	if r.Header.Get("HX-Request") != "" {
		w.Header().Set("HX-Redirect", to)
		return
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// checked tells what keeps the action from being done.
func (f *Frame) checked(r *Request, a *Action) string {
	if r.Caller.Role < a.Needs {
		f.refuse(r, a.Name, r.URL.Path, forbidden(a.Needs))
		return "This needs the role " + a.Needs.String() + "."
	}
	form, err := a.Ask(r)
	switch {
	case err != nil:
		return problemOf(err, r.ID).Text
	case r.Reason() == "":
		return "Say why: the reason is kept with what you do."
	case form.Type != "" && strings.TrimSpace(r.PostForm.Get("typed")) != form.Type:
		return "Type " + form.Type + " to confirm."
	}
	return ""
}

// Reason is why somebody does something.
func (r *Request) Reason() string { return strings.TrimSpace(r.PostForm.Get("reason")) }
