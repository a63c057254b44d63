package frame

import "net/http"

// send takes the form of a page, and draws the page anew with what came of it.
func (f *Frame) send(p *Page) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, hr *http.Request) {
		hr.Body = http.MaxBytesReader(w, hr.Body, maxForm)
		if err := hr.ParseForm(); err != nil {
			http.Error(w, "this form can't be read", http.StatusBadRequest)
			return
		}
		r := f.request(hr, p)
		v := &view{Request: r, Frame: f, Theme: theme(hr)}
		var err error
		if r.Caller.Role < p.SendNeeds {
			err = forbidden(p.SendNeeds)
			r.Audit("send", hr.URL.Path, err)
		} else {
			v.Data, err = p.Send(r)
		}
		if err != nil {
			v.Problem = problemOf(err, r.ID)
			r.status = v.Problem.Status
		}
		f.draw(w, v, p.Name)
	})
}

// Audit writes down that somebody did something, where a page does it itself.
// The error is kept in its own words: it has to be one without secrets.
func (r *Request) Audit(name, target string, err error) {
	r.frame.audit(r, &Action{Name: name}, Form{Target: target}, err)
}

// Fail has the page answer with a status of its own.
func (r *Request) Fail(status int) { r.status = status }
