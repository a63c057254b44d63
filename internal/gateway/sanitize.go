package gateway

import (
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/gowarren/warren/internal/transcode"
)

// maxHeader is what no setting can exceed: net/http refuses more before a
// handler sees the request.
const maxHeader = 1 << 20

// maxMethod is longer than every method that has a name.
const maxMethod = 32

// ambiguous refuses requests that two servers could read in two ways: what is
// routed, authorized, limited and logged here must be what arrives behind.
func ambiguous(r *http.Request) *transcode.Problem {
	switch {
	case r.Method == http.MethodConnect:
		return transcode.NewProblem(http.StatusMethodNotAllowed, "METHOD_NOT_ALLOWED", "this is not a forward proxy")
	case len(r.Method) > maxMethod:
		return transcode.NewProblem(http.StatusNotImplemented, "METHOD_NOT_IMPLEMENTED", "there is no such method")
	case r.URL.Host != "":
		return malformed("the request's target is a whole URL; send its path")
	}
	if why := ambiguousPath(r.URL.EscapedPath(), r.URL.Path); why != "" {
		return malformed("the path " + why)
	}
	if why := ambiguousHeader(r.Header); why != "" {
		return malformed(why)
	}
	if expect := r.Header["Expect"]; len(expect) > 1 || len(expect) == 1 && !strings.EqualFold(expect[0], "100-continue") {
		return transcode.NewProblem(http.StatusExpectationFailed, "EXPECTATION_FAILED", "the only expectation that can be met is 100-continue")
	}
	return nil
}

func malformed(detail string) *transcode.Problem {
	return transcode.NewProblem(http.StatusBadRequest, "MALFORMED_REQUEST", detail)
}

// ambiguousPath says what is wrong with a path, or nothing. It is strict
// where servers differ: encoded separators, empty and dot segments, path
// parameters, what is encoded twice, and what is no text.
func ambiguousPath(escaped, path string) string {
	if escaped == "" || escaped[0] != '/' {
		return "does not start with a slash"
	}
	for i := range len(escaped) {
		switch c := escaped[i]; {
		case c == '%' && hiddenSeparator(escaped[i:]):
			return "has a percent-encoded separator, dot or control character"
		case c == '\\' || c == ';':
			return "has a backslash or semicolon"
		case c == '/' && i+1 < len(escaped) && escaped[i+1] == '/':
			return "has an empty segment"
		}
	}
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "." || segment == ".." {
			return "has a dot segment"
		}
	}
	for i := range len(path) {
		if path[i] < ' ' || path[i] == 0x7f {
			return "has a control character"
		}
	}
	if !utf8.ValidString(path) {
		return "is not valid UTF-8"
	}
	return ""
}

// hiddenSeparator tells whether what starts with a percent sign hides a
// slash, a backslash, a dot, a semicolon or NUL, also when encoded twice.
func hiddenSeparator(s string) bool {
	for len(s) >= 5 && s[1] == '2' && s[2] == '5' {
		s = "%" + s[3:]
	}
	if len(s) < 3 {
		return false
	}
	switch strings.ToLower(s[1:3]) {
	case "2f", "5c", "2e", "3b", "00":
		return true
	}
	return false
}

// single are the fields of which two would have two meanings.
var single = [...]string{"Authorization", "Content-Type", "Idempotency-Key", "X-Request-Timeout", "Content-Encoding", "Origin"}

func ambiguousHeader(h http.Header) string {
	for _, name := range single {
		if len(h[name]) > 1 {
			return "the header " + name + " is given more than once"
		}
	}
	return ""
}

// strip removes what only the gateway may say: who is calling, from where,
// and everything that would become metadata of the system.
func strip(h http.Header) {
	for name := range h {
		if forged(name) {
			delete(h, name)
		}
	}
}

func forged(name string) bool {
	if strings.IndexByte(name, '_') >= 0 { // X_User_Id is X-User-Id to many servers
		return true
	}
	switch name[0] {
	case 'F', 'f':
		return strings.EqualFold(name, "Forwarded")
	case 'G', 'g':
		return hasPrefixFold(name, "Grpc-Metadata-")
	case 'W', 'w':
		return hasPrefixFold(name, "Warren-")
	case 'P', 'p':
		return hasPrefixFold(name, "Proxy-")
	case 'X', 'x':
		for _, prefix := range [...]string{
			"X-User", "X-Forwarded-", "X-Real-Ip", "X-Auth", "X-Remote-", "X-Spiffe", "X-Original-", "X-Rewrite-", "X-Warren-", "X-Client-",
		} {
			if hasPrefixFold(name, prefix) {
				return true
			}
		}
	}
	return false
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// tooLarge refuses a header beyond the limits now in force.
func (g *Gateway) tooLarge(r *http.Request) *transcode.Problem {
	size, fields := len(r.RequestURI), 0
	for name, values := range r.Header {
		fields += len(values)
		for _, v := range values {
			size += len(name) + len(v) + 4
		}
	}
	if size > g.numbers.header.Get() || fields > g.numbers.headerFields.Get() {
		return transcode.NewProblem(http.StatusRequestHeaderFieldsTooLarge, "HEADER_TOO_LARGE", "the request's header is too large")
	}
	return nil
}
