// Command storefront is the shop's web site: pages for people, made on the
// server of what the gateway's public API answers.
package main

import (
	"context"
	"net/http"
	"time"

	"github.com/gowarren/warren"
)

func main() { warren.Main(setup) }

func setup(ctx context.Context, app *warren.App) error {
	db, err := app.Database(ctx, migrations)
	if err != nil {
		return err
	}
	settings := watchSettings(app.Settings())
	s, err := newShop(app.Gateway(), settings, app.Metrics(), app.Logger())
	if err != nil {
		return err
	}
	app.OnStop(func(context.Context) error { s.front.kept.Close(); return nil })
	s.sessions = &sessions{db: db, keep: settings.keep.Get, now: time.Now}
	s.tokens = &tokens{sessions: s.sessions, api: s.api, log: app.Logger(), now: time.Now}
	s.ending = ctx.Done()
	s.routes(app.Handle)

	locks := app.Locks()
	app.Go("clean up", func(ctx context.Context) error {
		return locks.Lead(ctx, "storefront/clean", func(ctx context.Context, _ int64) error { return s.sessions.clean(ctx) })
	})
	return nil
}

// routes hands every page to handle, in the notation of http.ServeMux.
func (s *shop) routes(handle func(pattern string, h http.Handler)) {
	for pattern, page := range map[string]func(*visit) error{
		"GET /{$}": (*visit).home,
		// What is only one word long is nobody's but a page's: what is longer
		// may be a route of the API, about which the gateway answers.
		"GET /{page}":              (*visit).nowhere,
		"GET /browse":              (*visit).browse,
		"GET /search":              (*visit).search,
		"GET /products/{sku}":      (*visit).product,
		"GET /cart":                (*visit).cart,
		"POST /cart":               (*visit).changeCart,
		"GET /sign-in":             (*visit).signInPage,
		"POST /sign-in":            (*visit).signIn,
		"GET /sign-up":             (*visit).signUpPage,
		"POST /sign-up":            (*visit).signUp,
		"POST /sign-out":           (*visit).signOut,
		"GET /account":             (*visit).account,
		"POST /account":            (*visit).rename,
		"GET /checkout":            (*visit).checkout,
		"POST /checkout":           (*visit).placeOrder,
		"GET /orders":              (*visit).orders,
		"GET /orders/{id}":         (*visit).order,
		"GET /orders/{id}/live":    (*visit).orderLive,
		"POST /orders/{id}/cancel": (*visit).cancelOrder,
		"POST /orders/{id}/return": (*visit).returnOrder,
		"GET /wallet":              (*visit).wallet,
		"POST /wallet":             (*visit).topUp,
		"GET /notifications":       (*visit).notifications,
		"POST /notifications":      (*visit).readNotifications,
	} {
		handle(pattern, s.page(page))
	}
	handle("GET /assets/{file}", http.HandlerFunc(s.assets.serve))
	handle("GET /pictures/{file}", http.HandlerFunc(servePicture))
	handle("GET /favicon.ico", http.RedirectHandler(s.assets.path("favicon.svg"), http.StatusFound))
	handle("GET /robots.txt", http.HandlerFunc(serveRobots))
}
