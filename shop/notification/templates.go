package main

import (
	"embed"
	"fmt"
	htmltemplate "html/template"
	"strings"
	texttemplate "text/template"

	notificationv1 "github.com/gowarren/warren/shop/api/shop/notification/v1"
)

// Each kind has one template, with a title and a text; as HTML it is escaped by
// where it stands in the page.
//
//go:embed templates/*.tmpl
var templateFiles embed.FS

var (
	textTemplates = texttemplate.Must(texttemplate.New("").Option("missingkey=error").ParseFS(templateFiles, "templates/*.tmpl"))
	htmlTemplates = htmltemplate.Must(htmltemplate.New("").Option("missingkey=error").ParseFS(templateFiles, "templates/*.tmpl"))
)

// words returns what a notification says, as plain text.
func words(kind notificationv1.Kind, f facts) (title, text string, err error) {
	if title, err = plain(kind, "title", f); err != nil {
		return "", "", err
	}
	text, err = plain(kind, "text", f)
	return title, text, err
}

func plain(kind notificationv1.Kind, part string, f facts) (string, error) {
	var out strings.Builder
	if err := textTemplates.ExecuteTemplate(&out, name(kind)+"."+part, f); err != nil {
		return "", fmt.Errorf("write the %s of %s: %w", part, kind, err)
	}
	return strings.TrimSpace(out.String()), nil
}

// letter returns what an e-mail says.
func letter(kind notificationv1.Kind, f facts) (subject, text, html string, err error) {
	if subject, text, err = words(kind, f); err != nil {
		return "", "", "", err
	}
	greeting := "Hello,"
	if f.Name != "" {
		greeting = "Hello " + f.Name + ","
	}
	var out strings.Builder
	if err := htmlTemplates.ExecuteTemplate(&out, name(kind)+".html", f); err != nil {
		return "", "", "", fmt.Errorf("write the page of %s: %w", kind, err)
	}
	return subject, greeting + "\n\n" + text + "\n", out.String(), nil
}

func name(kind notificationv1.Kind) string { return strings.ToLower(kind.String()) }
