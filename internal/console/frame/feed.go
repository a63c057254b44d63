package frame

import (
	"encoding/json"
	"net/http"
)

// Feed answers scripts of a page with JSON: what makes working easier, and
// nothing that a page needs.
type Feed struct {
	Path string
	Show func(*Request) (any, error)
}

func (f *Frame) feed(d *Feed) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, hr *http.Request) {
		r := f.request(hr, &Page{Name: "feed"})
		found, err := d.Show(r)
		if err != nil {
			p := problemOf(err, r.ID)
			http.Error(w, p.Text, p.Status)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(found)
	})
}
