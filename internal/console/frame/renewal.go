package frame

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// renewals are the pages that are kept up to date. Whoever looks at the same, as
// the same, shares one: a second console on the wall costs nothing.
type renewals struct {
	mu  sync.Mutex
	all map[renewed]*renewal
}

// renewed tells what is shown to whom.
type renewed struct {
	name string
	role Role
	page string
}

// renewal is one page, as it was drawn last.
type renewal struct {
	looking int // guarded by renewals.mu

	mu   sync.Mutex
	at   time.Time
	last *recorder
}

// join takes part in the page of a request, until leave is called.
func (r *renewals) join(of *http.Request) (page *renewal, leave func()) {
	caller := callerOf(of.Context())
	key := renewed{caller.Name, caller.Role, of.URL.RequestURI()}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.all == nil {
		r.all = map[renewed]*renewal{}
	}
	page = r.all[key]
	if page == nil {
		page = &renewal{}
		r.all[key] = page
	}
	page.looking++
	return page, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if page.looking--; page.looking == 0 {
			delete(r.all, key)
		}
	}
}

// page is what was drawn lately, or is drawn now. What somebody did not wait for
// is kept for nobody.
func (r *renewal) page(ctx context.Context, fresh time.Duration, draw func() *recorder) *recorder {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last != nil && time.Since(r.at) < fresh {
		return r.last
	}
	out := draw()
	if ctx.Err() == nil {
		r.last, r.at = out, time.Now()
	}
	return out
}
