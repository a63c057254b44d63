package frame

import (
	"context"
	"crypto/rand"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

const (
	sessionCookie = "warren_session"
	themeCookie   = "warren_theme"
	sessionTime   = 12 * time.Hour
	mostSessions  = 1000
	// signInPause is what a wrong token costs everybody who tries one, so that
	// guessing is hopeless; nobody else waits.
	signInPause = 200 * time.Millisecond
)

// sessions are those who have signed in. They are forgotten with the process.
type sessions struct {
	access Access
	wrong  chan struct{} // held by who has tried a wrong token, one after the other

	mu   sync.Mutex
	open map[string]session
}

type session struct {
	caller Caller
	until  time.Time
}

func newSessions(access Access) *sessions {
	return &sessions{access: access, wrong: make(chan struct{}, 1), open: map[string]session{}}
}

// begin takes a token for a session.
func (s *sessions) begin(ctx context.Context, token string) (id string, ok bool) {
	if s.access.Check == nil {
		return "", false
	}
	caller, ok := s.access.Check(token)
	if !ok {
		s.pause(ctx)
		return "", false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for id, one := range s.open {
		if now.After(one.until) {
			delete(s.open, id)
		}
	}
	if len(s.open) >= mostSessions {
		return "", false
	}
	id = rand.Text() + rand.Text()
	caller.Session = id
	s.open[id] = session{caller: caller, until: now.Add(sessionTime)}
	return id, true
}

// pause is what a wrong token costs: those who try wait for one another.
func (s *sessions) pause(ctx context.Context) {
	select {
	case s.wrong <- struct{}{}:
	case <-ctx.Done():
		return
	}
	defer func() { <-s.wrong }()
	select {
	case <-time.After(signInPause):
	case <-ctx.Done():
	}
}

// find is who has a session, as long as the token that began it is good.
func (s *sessions) find(id string) (Caller, bool) {
	caller, ok := s.known(id)
	if ok && !s.access.Still(caller) {
		s.end(id)
		return Caller{}, false
	}
	return caller, ok
}

func (s *sessions) known(id string) (Caller, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one, ok := s.open[id]
	if !ok || time.Now().After(one.until) {
		delete(s.open, id)
		return Caller{}, false
	}
	return one.caller, true
}

func (s *sessions) end(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, id)
}

type callerContext struct{}

func callerOf(ctx context.Context) Caller {
	c, _ := ctx.Value(callerContext{}).(Caller)
	return c
}

// signedIn lets in those who are known, and sends the others to the door.
func (f *Frame) signedIn(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller, ok := f.opts.Access.Caller, f.opts.Access.Open
		if !ok {
			if c, err := r.Cookie(sessionCookie); err == nil {
				caller, ok = f.sessions.find(c.Value)
			}
		}
		if !ok {
			f.toSignIn(w, r)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), callerContext{}, caller)))
	})
}

// still tells whether who asked is let in yet, for answers that take long.
func (f *Frame) still(r *http.Request) bool {
	if f.opts.Access.Open {
		return true
	}
	_, ok := f.sessions.find(callerOf(r.Context()).Session)
	return ok
}

func (f *Frame) toSignIn(w http.ResponseWriter, r *http.Request) {
	to := "/sign-in"
	if r.Method == http.MethodGet && r.URL.Path != "/live" {
		to += "?to=" + url.QueryEscape(r.URL.RequestURI())
	}
	if r.Header.Get("HX-Request") != "" || r.URL.Path == "/live" {
		w.Header().Set("HX-Redirect", to)
		http.Error(w, "signed out", http.StatusUnauthorized)
		return
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}

func (f *Frame) signInForm(w http.ResponseWriter, r *http.Request) {
	f.drawSignIn(w, r, http.StatusOK, "")
}

func (f *Frame) drawSignIn(w http.ResponseWriter, r *http.Request, status int, problem string) {
	w.WriteHeader(status)
	_ = f.templates["sign-in"].ExecuteTemplate(w, "sign-in", map[string]any{
		"To": ownPath(r.FormValue("to")), "Problem": problem, "Theme": theme(r),
	})
}

func (f *Frame) signIn(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	id, ok := f.sessions.begin(r.Context(), strings.TrimSpace(r.PostFormValue("token")))
	f.opts.Logger.Info("console sign-in", "accepted", ok, "from", r.RemoteAddr)
	if !ok {
		f.drawSignIn(w, r, http.StatusForbidden, "This token is not known here.")
		return
	}
	if caller, ok := f.sessions.known(id); ok {
		f.signed(r, caller, "sign in")
	}
	http.SetCookie(w, f.cookie(r, sessionCookie, id, sessionTime))
	http.Redirect(w, r, ownPath(r.PostFormValue("to")), http.StatusSeeOther) //nolint:gosec // ownPath leads to no other site
}

func (f *Frame) signOut(w http.ResponseWriter, r *http.Request) {
	if c, err := r.Cookie(sessionCookie); err == nil {
		if caller, ok := f.sessions.known(c.Value); ok {
			f.signed(r, caller, "sign out")
		}
		f.sessions.end(c.Value)
	}
	http.SetCookie(w, f.cookie(r, sessionCookie, "", -time.Second))
	http.Redirect(w, r, "/sign-in", http.StatusSeeOther)
}

// cookie is sent to this console only, with no request that another site caused.
func (f *Frame) cookie(r *http.Request, name, value string, age time.Duration) *http.Cookie {
	return &http.Cookie{ //nolint:gosec // it is secure wherever the console is reached by TLS; on loopback there is none
		Name: name, Value: value, Path: "/", MaxAge: int(age.Seconds()), HttpOnly: true, SameSite: http.SameSiteStrictMode,
		Secure: r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https",
	}
}

// setTheme is for browsers without JavaScript; with it, the page does it itself.
func (f *Frame) setTheme(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	c := f.cookie(r, themeCookie, themeNamed(r.PostFormValue("theme")), 365*24*time.Hour) //nolint:gosec // scripts read it, and it tells nothing
	c.HttpOnly = false
	http.SetCookie(w, c)
	to := "/"
	if u, err := url.Parse(r.Referer()); err == nil {
		to = ownPath(u.RequestURI())
	}
	http.Redirect(w, r, to, http.StatusSeeOther) //nolint:gosec // ownPath leads to no other site
}

func theme(r *http.Request) string {
	c, err := r.Cookie(themeCookie)
	if err != nil {
		return "system"
	}
	return themeNamed(c.Value)
}

func themeNamed(name string) string {
	if name == "light" || name == "dark" {
		return name
	}
	return "system"
}

// ownPath keeps a link within the console.
func ownPath(to string) string {
	u, err := url.Parse(to)
	if err != nil || u.Host != "" || u.Scheme != "" || !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") || strings.Contains(to, `\`) {
		return "/"
	}
	return to
}
