package main

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"net/http"
	"path"
	"strings"
)

//go:embed assets
var assetFiles embed.FS

// assets are the files beside the pages. Their names hold a hash of their
// content: browsers keep them for good, and get new ones with a new page.
type assets struct {
	files map[string]asset  // by hashed name
	names map[string]string // hashed names, by name
}

type asset struct {
	content []byte
	kind    string
}

func newAssets() (*assets, error) {
	a := &assets{files: map[string]asset{}, names: map[string]string{}}
	// Fonts first: the style sheet names them.
	for _, name := range []string{"fraunces.woff2", "figtree.woff2", "favicon.svg", "shop.js", "shop.css"} {
		content, err := assetFiles.ReadFile("assets/" + name)
		if err != nil {
			return nil, fmt.Errorf("read asset %s: %w", name, err)
		}
		if name == "shop.css" {
			text := string(content)
			for plain, hashed := range a.names {
				text = strings.ReplaceAll(text, "url("+plain+")", "url("+hashed+")")
			}
			content = []byte(text)
		}
		a.add(name, content)
	}
	return a, nil
}

func (a *assets) add(name string, content []byte) {
	kinds := map[string]string{".woff2": "font/woff2", ".svg": "image/svg+xml", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}
	sum := sha256.Sum256(content)
	extension := path.Ext(name)
	hashed := strings.TrimSuffix(name, extension) + "." + hex.EncodeToString(sum[:6]) + extension
	a.names[name], a.files[hashed] = hashed, asset{content: content, kind: kinds[extension]}
}

// path is where a page finds a file.
func (a *assets) path(name string) string { return "/assets/" + a.names[name] }

func (a *assets) serve(w http.ResponseWriter, r *http.Request) {
	name := path.Base(r.URL.Path)
	serveForever(w, r, name, a.files[name].kind, func(string) ([]byte, bool) {
		f, ok := a.files[name]
		return f.content, ok
	})
}

// serveForever serves what never changes under its name.
func serveForever(w http.ResponseWriter, r *http.Request, name, kind string, draw func(name string) ([]byte, bool)) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	sum := sha256.Sum256([]byte(name))
	tag := `"` + hex.EncodeToString(sum[:8]) + `"`
	content, ok := draw(name)
	if !ok {
		http.Error(w, "there is no such file", http.StatusNotFound)
		return
	}
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("ETag", tag)
	if strings.Contains(r.Header.Get("If-None-Match"), tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", kind)
	_, _ = w.Write(content) // a visitor who left is no error
}
