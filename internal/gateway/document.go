package gateway

import (
	"net/http"
	"sync"

	"github.com/gowarren/warren/internal/contract"
	"github.com/gowarren/warren/internal/openapi"
)

// document is the description of all routes, as clients fetch it.
type document struct {
	body []byte
	tag  string
}

// describe writes the document when it is asked for first: new routes must not
// wait for it.
func (g *Gateway) describe(contracts []*known) func() *document {
	services := make([]*contract.Service, len(contracts))
	for i, k := range contracts {
		services[i] = k.service
	}
	return sync.OnceValue(func() *document { return g.document(services) })
}

func (g *Gateway) document(services []*contract.Service) *document {
	body, err := openapi.Document(openapi.Info{Title: g.opts.Title, Version: g.opts.Version}, services)
	if err != nil {
		g.logger.Error("OpenAPI document not written", "error", err)
		return &document{}
	}
	return &document{body: body, tag: entityTag(body)}
}

func (e *exchange) serveDocument(d *document) {
	h := e.w.Header()
	switch e.r.Method {
	case http.MethodGet, http.MethodHead:
	case http.MethodOptions:
		e.options([]string{http.MethodGet})
		return
	default:
		e.notAllowed([]string{http.MethodGet})
		return
	}
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-cache")
	h.Set("ETag", d.tag)
	may := e.mayCompress(h, "application/json", d.body, false)
	if matches(e.r.Header.Get("If-None-Match"), d.tag) {
		e.w.WriteHeader(http.StatusNotModified)
		return
	}
	e.writeBody(h, d.body, may)
}
