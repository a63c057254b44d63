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
			f.refuse(r, "send", hr.URL.Path, err)
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

// Fail has the page answer with a status of its own.
func (r *Request) Fail(status int) { r.status = status }
