package main

import (
	"errors"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	identityv1 "github.com/gowarren/warren/shop/api/shop/identity/v1"
)

// entrance is the page to sign in or up.
type entrance struct {
	Up     bool
	Email  string
	Name   string
	Next   string
	Errors map[string]string // by field; "" is of the whole
}

func (e entrance) title() string {
	if e.Up {
		return "Create an account"
	}
	return "Sign in"
}

func (v *visit) signInPage() error { return v.entrancePage(false) }
func (v *visit) signUpPage() error { return v.entrancePage(true) }

func (v *visit) entrancePage(up bool) error {
	next := local(v.r.URL.Query().Get("next"), "/")
	if v.session.signedIn() {
		return v.redirect(next, "")
	}
	return v.show(http.StatusOK, "entrance", entrance{Up: up, Next: next})
}

// fill returns the page as the visitor filled it in, without the password.
func (v *visit) fill(up bool) entrance {
	form := v.form
	return entrance{
		Up: up, Email: strings.TrimSpace(form.Get("email")), Name: strings.TrimSpace(form.Get("name")),
		Next: local(form.Get("next"), "/"), Errors: map[string]string{},
	}
}

func (v *visit) signIn() error {
	page := v.fill(false)
	if page.Email == "" {
		page.Errors["email"] = "Please enter your e-mail address."
	}
	if v.form.Get("password") == "" {
		page.Errors["password"] = "Please enter your password."
	}
	if len(page.Errors) > 0 {
		return v.show(http.StatusUnprocessableEntity, "entrance", page)
	}
	return v.enter(page, "signed-in")
}

// enter opens a session at the identity service and takes it over.
func (v *visit) enter(page entrance, say string) error {
	got := &identityv1.Session{}
	err := v.api.do(v.ctx, call{method: http.MethodPost, path: "/v1/sessions", out: got,
		in: &identityv1.SignInRequest{Email: page.Email, Password: v.form.Get("password")}})
	switch {
	case because(err, "BAD_CREDENTIALS"):
		page.Errors[""] = "That e-mail address and password don't belong together. Please check both."
	case because(err, "TOO_MANY_SIGN_INS", "RATE_LIMITED"):
		page.Errors[""] = "Too many attempts. Please wait a minute and try again."
	case because(err, "BUSY"):
		page.Errors[""] = "Many people are signing in right now. Please try again in a moment."
	case err != nil && refused(err):
		page.Errors[""] = "That did not work. Please check what you entered."
	case err != nil:
		return err
	}
	if err != nil {
		return v.show(http.StatusUnprocessableEntity, "entrance", page)
	}
	before := v.session.kept
	if err := v.renewSession(func(k *kept) {
		k.Cart, k.Seen = before.Cart, before.Seen
		k.signIn(got)
	}); err != nil {
		return err
	}
	v.mergeCart()
	return v.redirect(page.Next, say)
}

func (v *visit) signUp() error {
	page := v.fill(true)
	password := v.form.Get("password")
	if len(password) < 10 {
		page.Errors["password"] = "Please choose a password of at least ten characters."
	}
	if !strings.Contains(page.Email, "@") {
		page.Errors["email"] = "Please enter an e-mail address, such as ada@example.com."
	}
	if page.Name == "" {
		page.Errors["name"] = "What may we call you?"
	}
	if len(page.Errors) > 0 {
		return v.show(http.StatusUnprocessableEntity, "entrance", page)
	}
	err := v.api.do(v.ctx, call{method: http.MethodPost, path: "/v1/users",
		in: &identityv1.RegisterRequest{Email: page.Email, Password: password, DisplayName: page.Name}})
	switch {
	case err == nil:
		return v.enter(page, "signed-up")
	case because(err, "EMAIL_TAKEN"):
		page.Errors["email"] = "There is an account with this address. You can sign in instead."
	case because(err, "RATE_LIMITED"):
		page.Errors[""] = "Too many attempts. Please wait a minute and try again."
	case refused(err):
		fieldErrors(page.Errors, err, map[string]string{"email": "email", "password": "password", "displayName": "name", "display_name": "name"})
	default:
		return err
	}
	return v.show(http.StatusUnprocessableEntity, "entrance", page)
}

// fieldErrors puts what the API says of its fields beside those of the form.
func fieldErrors(into map[string]string, err error, fields map[string]string) {
	p, _ := errors.AsType[*problem](err)
	for _, violation := range p.Violations {
		name, known := fields[violation.Field]
		if known && into[name] == "" {
			into[name] = sentence(violation.Description)
		}
	}
	if len(into) == 0 {
		into[""] = sentence(p.Detail)
	}
}

// sentence makes one of a phrase.
func sentence(text string) string {
	text = strings.TrimSpace(text)
	if text == "" {
		return "That did not work."
	}
	first, size := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(first)) + strings.TrimSuffix(text[size:], ".") + "."
}

// signOut ends the session here in any case, and at the identity service if it
// can be reached.
func (v *visit) signOut() error {
	if v.session.signedIn() {
		if err := v.asUser(call{method: http.MethodDelete, path: "/v1/sessions/current"}); err != nil {
			v.log.InfoContext(v.ctx, "a session at the identity service is left to its end", "error", err)
		}
	}
	if err := v.renewSession((*kept).signOut); err != nil {
		return err
	}
	return v.redirect("/", "signed-out")
}

// account is what the shop knows of its user.
type account struct {
	*identityv1.User
	Errors map[string]string
}

func (account) title() string { return "Your account" }

func (v *visit) account() error {
	user := &identityv1.User{}
	if err := v.asUser(call{path: "/v1/users/me", out: user}); err != nil {
		return err
	}
	return v.show(http.StatusOK, "account", account{User: user})
}

func (v *visit) rename() error {
	name := strings.TrimSpace(v.form.Get("name"))
	user := &identityv1.User{}
	err := v.asUser(call{method: http.MethodPatch, path: "/v1/users/me", out: user, in: &identityv1.UpdateProfileRequest{DisplayName: &name}})
	if err != nil && refused(err) {
		page := account{User: &identityv1.User{Email: v.session.Email, DisplayName: name}, Errors: map[string]string{}}
		fieldErrors(page.Errors, err, map[string]string{"displayName": "name", "display_name": "name"})
		return v.show(http.StatusUnprocessableEntity, "account", page)
	}
	if err != nil {
		return err
	}
	if err := v.sessions.save(v.ctx, v.session, func(k *kept) { k.Name = user.GetDisplayName() }); err != nil {
		return err
	}
	return v.redirect("/account", "renamed")
}
