package main

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	cartv1 "github.com/gowarren/warren/shop/api/shop/cart/v1"
	notificationv1 "github.com/gowarren/warren/shop/api/shop/notification/v1"
	"github.com/gowarren/warren/shop/storefront/internal/picture"
)

//go:embed templates/*.html
var templateFiles embed.FS

// views are the pages' templates, each with the layout around it.
type views struct{ pages map[string]*template.Template }

func newViews(assets *assets) (*views, error) {
	names, err := templateFiles.ReadDir("templates")
	if err != nil {
		return nil, fmt.Errorf("read templates: %w", err)
	}
	functions := template.FuncMap{
		"price": price, "plainPrice": plainPrice, "asset": assets.path, "picture": picturePath, "moment": moment, "machine": machine,
		"stateWords": stateWords, "entryWords": entryWords, "iconOf": iconOf, "lower": strings.ToLower, "category": categoryPath,
		"itemWord": itemWord, "tile": newTile, "badge": badgeOf, "field": textField, "numeric": numericField, "stepWord": stepName,
	}
	v := &views{pages: map[string]*template.Template{}}
	for _, file := range names {
		name, _ := strings.CutSuffix(file.Name(), ".html")
		if name == "layout" || name == "parts" {
			continue
		}
		page, err := template.New(name).Funcs(functions).ParseFS(templateFiles, "templates/layout.html", "templates/parts.html", "templates/"+file.Name())
		if err != nil {
			return nil, fmt.Errorf("read template %s: %w", file.Name(), err)
		}
		v.pages[name] = page
	}
	return v, nil
}

// view is what every page knows beside its own.
type view struct {
	Title     string
	Query     string // in the search box
	SignedIn  bool
	Name      string
	CSRF      string
	InCart    int
	Unread    string
	Say       string // what the last form has done
	Path      string
	RequestID string
	// Reload is after how many seconds browsers without scripts ask again.
	Reload int
	Page   any
}

// shown is a page's own part.
type shown interface{ title() string }

// reloaded is a page that changes by itself.
type reloaded interface{ reload() int }

// show writes a page.
func (v *visit) show(status int, name string, page shown) error {
	top := view{
		Title: page.title(), Query: v.r.URL.Query().Get("q"), SignedIn: v.session.signedIn(), Name: v.session.Name, CSRF: v.session.csrf(),
		Path: v.r.URL.RequestURI(), RequestID: v.id, Say: v.flash(), Page: page,
	}
	if r, ok := page.(reloaded); ok {
		top.Reload = r.reload()
	}
	top.InCart, top.Unread = v.counts()
	text, err := v.views.write(name, "layout", top)
	if err != nil {
		return err
	}
	v.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	v.w.Header().Add("Vary", "Cookie")
	v.w.WriteHeader(status)
	_, _ = v.w.Write(text) // a visitor who left is no error
	return nil
}

func (vs *views) write(page, part string, data any) ([]byte, error) {
	var out bytes.Buffer
	if err := vs.pages[page].ExecuteTemplate(&out, part, data); err != nil {
		return nil, fmt.Errorf("write page %s: %w", page, err)
	}
	return out.Bytes(), nil
}

// flash is what the last form has to say, once.
func (v *visit) flash() string {
	c, err := v.r.Cookie(v.cookieName(flashCookie))
	if err != nil {
		return ""
	}
	v.setCookie(flashCookie, "", -time.Second)
	return sayings(c.Value)
}

// sayings are said after a form.
func sayings(code string) string {
	switch code {
	case "added":
		return "Added to your cart."
	case "changed":
		return "Your cart is up to date."
	case "cart-full":
		return "A cart holds fifty different things; please take something out first."
	case "cart-trouble":
		return "Your cart could not be changed just now. Please try again."
	case "cart-gone":
		return "That product is no longer sold, so it was not added."
	case "signed-in":
		return "Welcome back!"
	case "signed-up":
		return "Welcome! Your account is ready."
	case "signed-out":
		return "You are signed out. See you soon."
	case "sign-in-first":
		return "Please sign in first."
	case "cancelling":
		return "We are stopping your order. The page below says whether we were in time."
	case "returning":
		return "Your return has begun."
	case "too-late":
		return "That is not possible any more: the order has moved on."
	case "renamed":
		return "Saved."
	case "read":
		return "All read."
	case "look-at-cart":
		return "Please look at your cart first."
	}
	return ""
}

// counts are the numbers at the top of the page. They are looked up beside one
// another, and left out where they don't come.
func (v *visit) counts() (inCart int, unread string) {
	ctx, cancel := v.glance()
	defer cancel()
	token := ""
	if v.session.signedIn() && !v.forgetful {
		token, _ = v.tokens.access(ctx, v.session)
	}
	var both sync.WaitGroup
	if v.counted < 0 {
		both.Go(func() {
			if cart, err := v.cartAt(ctx, token); err == nil {
				inCart = pieces(cart)
			}
		})
	} else {
		inCart = v.counted
	}
	if token != "" {
		both.Go(func() { unread = v.unread(ctx, token) })
	}
	both.Wait()
	return inCart, unread
}

func (v *visit) unread(ctx context.Context, token string) string {
	const most = 9
	out := &notificationv1.ListNotificationsResponse{}
	query := url.Values{"unread": {"true"}, "page_size": {strconv.Itoa(most + 1)}}
	if err := v.api.do(ctx, call{path: "/v1/notifications", query: query, token: token, out: out}); err != nil || len(out.GetNotifications()) == 0 {
		return ""
	}
	if len(out.GetNotifications()) > most {
		return strconv.Itoa(most) + "+"
	}
	return strconv.Itoa(len(out.GetNotifications()))
}

func pieces(cart *cartv1.Cart) int {
	n := 0
	for _, l := range cart.GetLines() {
		n += int(l.GetQuantity())
	}
	return n
}

// moment writes a time for people; machine for programs, which may show it in
// the visitor's zone.
func moment(at *timestamppb.Timestamp) string {
	if at == nil {
		return ""
	}
	return at.AsTime().UTC().Format("2 January 2006, 15:04 UTC")
}

func machine(at *timestamppb.Timestamp) string {
	if at == nil {
		return ""
	}
	return at.AsTime().UTC().Format(time.RFC3339)
}

func itemWord(n int) string {
	if n == 1 {
		return "1 item"
	}
	return fmt.Sprint(n, " items")
}

func picturePath(sku, name string) string { return "/pictures/" + picture.Name(sku, name) }

func categoryPath(name string) string { return "/browse?category=" + url.QueryEscape(name) }

// servePicture draws a picture. All that it depends on stands in its name, so
// nobody needs to ask twice.
func servePicture(w http.ResponseWriter, r *http.Request) {
	serveForever(w, r, path.Base(r.URL.Path), "image/svg+xml", picture.Draw)
}

func serveRobots(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("User-agent: *\nDisallow: /cart\nDisallow: /checkout\nDisallow: /orders\nDisallow: /wallet\nDisallow: /account\n"))
}
