package gateway

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/cespare/xxhash/v2"
	"google.golang.org/protobuf/proto"

	"github.com/gowarren/warren/internal/contract"
	"github.com/gowarren/warren/internal/transcode"
)

// buffers hold answers while they are written.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// answer writes a message: with a tag by which clients can ask again for
// changes only, compressed if that pays.
func (e *exchange) answer(reply proto.Message) {
	pooled := buffers.Get().(*[]byte)
	defer func() {
		if cap(*pooled) <= keepBody {
			buffers.Put(pooled)
		}
	}()
	body, contentType, err := e.found.route.plan.Encode((*pooled)[:0], reply)
	*pooled = body[:0]
	if err != nil {
		e.g.logger.ErrorContext(e.ctx, "answer not written as JSON", "method", e.endpoint.method.FullName, "error", err)
		e.span.SetError(err)
		e.fail(transcode.NewProblem(http.StatusInternalServerError, "INTERNAL", "the service's answer cannot be written as JSON"))
		return
	}
	h := e.w.Header()
	h.Set("Content-Type", contentType)
	h.Set("X-Content-Type-Options", "nosniff")
	e.cacheHeaders(h)
	may := e.mayCompress(h, contentType, body, e.endpoint.secret)
	if e.taggable() {
		tag := entityTag(body)
		h["Etag"] = []string{tag} // as Set would spell it
		if matches(e.r.Header.Get("If-None-Match"), tag) {
			h.Del("Content-Type")
			e.w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	e.writeBody(h, body, may)
}

// cacheHeaders says who may keep the answer. The contract decides; what it
// does not open is for nobody but the caller, and not without asking again.
func (e *exchange) cacheHeaders(h http.Header) {
	m := e.endpoint.method
	switch {
	case !m.Safe || e.endpoint.secret:
		h.Set("Cache-Control", "no-store")
	case m.Cache == nil:
		h.Set("Cache-Control", "private, no-cache")
	case m.Cache.Shared && m.Access == contract.AccessPublic:
		h.Set("Cache-Control", "public, max-age="+strconv.Itoa(int(m.Cache.MaxAge.Seconds())))
	default:
		h.Set("Cache-Control", "private, max-age="+strconv.Itoa(int(m.Cache.MaxAge.Seconds())))
	}
}

func (e *exchange) taggable() bool {
	return e.endpoint.method.Safe && !e.endpoint.secret && (e.r.Method == http.MethodGet || e.r.Method == http.MethodHead)
}

// entityTag is weak, because the same answer may be compressed or not.
func entityTag(body []byte) string {
	var buffer [32]byte
	tag := append(buffer[:0], `W/"`...)
	tag = strconv.AppendUint(tag, xxhash.Sum64(body), 36)
	tag = strconv.AppendInt(tag, int64(len(body)), 36)
	return string(append(tag, '"'))
}

// matches compares weakly, as If-None-Match asks for.
func matches(header, tag string) bool {
	if header == "" {
		return false
	}
	for part := range strings.SplitSeq(header, ",") {
		part = strings.TrimSpace(part)
		if part == "*" || strings.TrimPrefix(part, "W/") == strings.TrimPrefix(tag, "W/") {
			return true
		}
	}
	return false
}

// mayCompress tells whether the body is compressed for who accepts that, which then
// stands in the header: also in that of an answer that nothing has changed. Secrets
// never are: the length of what is compressed tells them to those who can put text
// beside them.
func (e *exchange) mayCompress(h http.Header, contentType string, body []byte, secret bool) bool {
	if len(body) < e.g.numbers.gzipMin.Get() || !compressible(contentType) || secret {
		return false
	}
	h.Add("Vary", "Accept-Encoding")
	return true
}

func (e *exchange) writeBody(h http.Header, body []byte, mayCompress bool) {
	if mayCompress && acceptsGzip(e.r.Header.Get("Accept-Encoding")) {
		z := bodies.Get().(*bytes.Buffer)
		defer release(z)
		compress(z, body)
		body = z.Bytes()
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	e.w.WriteHeader(http.StatusOK)
	_, _ = e.w.Write(body) // a client that left is noticed by its context
}

// compressors favour speed: the better levels cost several times as much for a
// tenth less.
var compressors = sync.Pool{New: func() any {
	z, err := gzip.NewWriterLevel(nil, gzip.BestSpeed)
	if err != nil { // cannot happen: the level exists
		return gzip.NewWriter(nil)
	}
	return z
}}

func compress(dst *bytes.Buffer, body []byte) {
	z := compressors.Get().(*gzip.Writer)
	defer compressors.Put(z)
	z.Reset(dst)
	_, _ = z.Write(body) // a buffer takes everything
	_ = z.Close()
}

func compressible(contentType string) bool {
	return strings.HasPrefix(contentType, "application/json") || strings.HasPrefix(contentType, "text/") ||
		strings.HasSuffix(contentType, "+json") || strings.HasSuffix(contentType, "+xml")
}

// acceptsGzip tells whether the header names gzip, or everything, and does not
// rule it out: what it says of gzip counts more than what it says of everything.
func acceptsGzip(header string) bool {
	all := false
	for part := range strings.SplitSeq(header, ",") {
		name, params, _ := strings.Cut(strings.TrimSpace(part), ";")
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "gzip":
			return weighs(params)
		case "*":
			all = weighs(params)
		}
	}
	return all
}

// weighs tells whether an alternative of a header is one: "q=0" says that it is not.
func weighs(params string) bool {
	q, found := strings.CutPrefix(strings.ToLower(strings.ReplaceAll(params, " ", "")), "q=")
	if !found {
		return true
	}
	weight, err := strconv.ParseFloat(q, 64)
	return err == nil && weight > 0
}
