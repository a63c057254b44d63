package gateway

import (
	"net/http"

	"google.golang.org/protobuf/proto"

	"github.com/gowarren/warren/internal/contract"
	"github.com/gowarren/warren/internal/transcode"
)

// unary answers a request with one call.
func (e *exchange) unary() {
	request, p := e.request()
	if p != nil {
		e.fail(p)
		return
	}
	plan := e.found.route.plan
	reply := plan.NewResponse()
	if err := e.g.client.Invoke(e.ctx, e.endpoint.method.FullName, request, reply); err != nil {
		e.failCall(err)
		return
	}
	e.answer(reply)
}

// request reads and decodes the request's message, and takes it out of the
// limits that depend on it.
func (e *exchange) request() (proto.Message, *transcode.Problem) {
	plan := e.found.route.plan
	contentType := e.r.Header.Get("Content-Type")
	if e.r.ContentLength != 0 && !plan.Accepts(contentType) {
		return nil, transcode.NewProblem(http.StatusUnsupportedMediaType, "UNSUPPORTED_MEDIA_TYPE", "send the body as application/json")
	}
	buffer, p := e.readBody()
	if p != nil {
		return nil, p
	}
	input := transcode.Request{Vars: e.found.vars, Query: e.r.URL.RawQuery, ContentType: contentType}
	if buffer != nil {
		input.Body = buffer.Bytes()
		if !plan.RawBody() { // a raw body becomes part of the message
			defer release(buffer)
		}
	}
	message, err := plan.Decode(input)
	if err != nil {
		return nil, transcode.ProblemOf(err)
	}
	if e.endpoint.byField {
		if p := e.limit(contract.ByField, message); p != nil {
			return nil, p
		}
	}
	return message, nil
}
