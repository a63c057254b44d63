package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// shop is the web site.
type shop struct {
	api      *api
	front    *front
	sessions *sessions
	tokens   *tokens
	settings *settings
	views    *views
	assets   *assets
	origins  *http.CrossOriginProtection
	log      *slog.Logger
	now      func() time.Time
	ending   <-chan struct{} // closed when the process ends
}

func newShop(gateway http.RoundTripper, settings *settings, metrics prometheus.Registerer, log *slog.Logger) (*shop, error) {
	assets, err := newAssets()
	if err != nil {
		return nil, err
	}
	views, err := newViews(assets)
	if err != nil {
		return nil, err
	}
	api := &api{transport: gateway, patience: settings.patience.Get}
	front, err := newFront(api, settings.calls, metrics)
	if err != nil {
		return nil, err
	}
	return &shop{
		api: api, front: front, settings: settings,
		views: views, assets: assets, origins: http.NewCrossOriginProtection(), log: log, now: time.Now,
	}, nil
}

// visit is one request of a visitor.
type visit struct {
	*shop
	w       http.ResponseWriter
	r       *http.Request
	ctx     context.Context
	id      string     // of the request
	form    url.Values // that was sent
	session *session
	// forgetful: what is kept of the visitor can't be read at the moment.
	forgetful bool
	// counted is what the top of the page says is in the cart; -1: not known yet.
	counted int
}

const (
	sessionCookie = "shop_session"
	flashCookie   = "shop_flash"
	pageTime      = 20 * time.Second
)

// page makes a handler of a page: it finds out who the visitor is, refuses
// forms of other sites, and answers for what went wrong.
func (s *shop) page(show func(*visit) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := &visit{shop: s, w: w, r: r, id: r.Header.Get("X-Request-Id"), counted: -1}
		s.secure(w.Header())
		v.ctx = withOrigin(r.Context(), origin{requestID: v.id, address: r.Header.Get("X-Forwarded-For")})
		if !strings.HasSuffix(r.URL.Path, "/live") {
			ctx, cancel := context.WithTimeout(v.ctx, pageTime)
			defer cancel()
			v.ctx = ctx
		}
		r.Body = http.MaxBytesReader(w, r.Body, int64(s.settings.body.Get()))
		v.recognise()
		if err := v.admit(show); err != nil {
			v.fail(err)
		}
	})
}

// admit shows the page unless the request is a form that is not the visitor's.
func (v *visit) admit(show func(*visit) error) error {
	if v.r.Method != http.MethodPost {
		return show(v)
	}
	if err := v.r.ParseForm(); err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return &problem{Status: http.StatusRequestEntityTooLarge, Reason: "BODY_TOO_LARGE", cause: err}
		}
		return &problem{Status: http.StatusBadRequest, Reason: "BAD_FORM", cause: err}
	}
	if err := v.origins.Check(v.r); err != nil {
		return &problem{Status: http.StatusForbidden, Reason: "FOREIGN_FORM", cause: err}
	}
	v.form = v.r.PostForm //nolint:forbidigo // the request's, whose body is bounded
	if !v.session.isCSRF(v.form.Get("csrf")) {
		return &problem{Status: http.StatusForbidden, Reason: "FOREIGN_FORM", cause: errors.New("the form's token is not the visitor's")}
	}
	return show(v)
}

// recognise finds out who the visitor is. Without sessions everybody is a
// visitor, and what needs more says so.
func (v *visit) recognise() {
	if c, err := v.r.Cookie(v.cookieName(sessionCookie)); err == nil {
		if one, err := sessionOf(c.Value); err == nil {
			v.session = one
			if err := v.sessions.read(v.ctx, one); err != nil {
				v.log.WarnContext(v.ctx, "a visitor is not recognised", "error", err)
				v.forgetful = true
				return
			}
			v.keepCookie()
			return
		}
	}
	v.session = newSession()
	v.setCookie(sessionCookie, v.session.cookie(), v.settings.keep.Get())
}

// keepCookie has the browser go on keeping the cookie of somebody who comes back:
// it was told for how long when it got it.
func (v *visit) keepCookie() {
	renewed, err := v.sessions.renew(v.ctx, v.session)
	if err != nil {
		v.log.InfoContext(v.ctx, "a session is not renewed", "error", err) // with the next page
	}
	if renewed {
		v.setCookie(sessionCookie, v.session.cookie(), v.settings.keep.Get())
	}
}

// renewSession gives the visitor a new secret: one that was known before
// somebody signed in must not be worth more afterwards.
func (v *visit) renewSession(change func(*kept)) error {
	next := newSession()
	if err := v.sessions.save(v.ctx, next, func(k *kept) {
		change(k)
		k.Renewed = v.sessions.now()
	}); err != nil {
		return err
	}
	if err := v.sessions.remove(v.ctx, v.session); err != nil {
		v.log.WarnContext(v.ctx, "an old session is left to its end", "error", err)
	}
	v.session = next
	v.setCookie(sessionCookie, next.cookie(), v.settings.keep.Get())
	return nil
}

// cookieName has the prefix by which browsers refuse cookies that another
// host, or http, has set.
func (v *visit) cookieName(name string) string {
	if v.settings.secure.Get() {
		return "__Host-" + name
	}
	return name
}

func (v *visit) setCookie(name, value string, keep time.Duration) {
	http.SetCookie(v.w, &http.Cookie{ //nolint:gosec // whether by https only is a setting
		Name: v.cookieName(name), Value: value, Path: "/", MaxAge: int(keep.Seconds()),
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: v.settings.secure.Get(),
	})
}

// asUser calls the API as the user who is signed in. A token that the gateway
// does not take, though it should be good, is renewed once.
func (v *visit) asUser(c call) error {
	if v.forgetful {
		return &problem{Status: http.StatusServiceUnavailable, Reason: "SESSIONS_AWAY", retryAfter: time.Second}
	}
	for again := true; ; again = false {
		token, err := v.tokens.access(v.ctx, v.session)
		if err != nil {
			return err
		}
		c.token = token
		err = v.api.do(v.ctx, c)
		if p, ok := errors.AsType[*problem](err); !ok || p.Status != http.StatusUnauthorized {
			return err
		}
		if !again {
			return errSignedOut
		}
		if err := v.tokens.stale(v.ctx, v.session, token); err != nil {
			return err
		}
	}
}

// glance returns a context for what a page can do without.
func (v *visit) glance() (context.Context, context.CancelFunc) {
	return context.WithTimeout(v.ctx, v.settings.glance.Get())
}

// redirect sends the visitor on after a form, with something to say there.
func (v *visit) redirect(to, say string) error {
	if say != "" {
		v.setCookie(flashCookie, say, time.Minute)
	}
	http.Redirect(v.w, v.r, to, http.StatusSeeOther)
	return nil
}

// local returns a path of this site, or otherwise: what stands in a URL must
// not send visitors elsewhere.
func local(path, otherwise string) string {
	u, err := url.Parse(path)
	if err != nil || u.Host != "" || u.Scheme != "" || !strings.HasPrefix(path, "/") ||
		strings.HasPrefix(path, "//") || strings.ContainsAny(path, "\\\r\n\t") {
		return otherwise
	}
	return path
}

// secure says what the page may do: only what comes from here.
func (s *shop) secure(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; "+
		"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	h.Set("Cache-Control", "private, no-store")
}

// fail answers for what went wrong, in words for people.
func (v *visit) fail(err error) {
	if errors.Is(err, errSignedOut) {
		back := v.r.URL.RequestURI()
		if v.r.Method != http.MethodGet {
			back = v.from()
		}
		_ = v.redirect("/sign-in?next="+url.QueryEscape(back), "sign-in-first")
		return
	}
	p := problemOf(err)
	if v.r.Context().Err() != nil {
		return // the visitor left
	}
	if p.Status >= http.StatusInternalServerError {
		v.log.WarnContext(v.ctx, "a page was not shown", "path", v.r.Pattern, "request_id", v.id, "error", err)
	}
	if p.Status == http.StatusServiceUnavailable || p.Status == http.StatusTooManyRequests {
		v.w.Header().Set("Retry-After", strconv.Itoa(max(1, int(p.retryAfter.Seconds()))))
	}
	page := failureOf(p, v)
	if err := v.show(page.Status, "error", page); err != nil {
		v.log.ErrorContext(v.ctx, "the error page was not shown", "error", err)
		http.Error(v.w, "something went wrong; the request was "+v.id, http.StatusInternalServerError)
	}
}

// from is the page on which a form stood.
func (v *visit) from() string {
	u, err := url.Parse(v.r.Referer())
	if err != nil || u.Host != v.r.Host {
		return "/"
	}
	return local(u.RequestURI(), "/")
}
